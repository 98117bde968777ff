"""Watching a deployment for a day: whatever happens, what can be kept is kept, and the rest is known to be lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer.collect.live import LiveOptions
from analyzer.collect.watch import Rhythm, Watched, watch
from analyzer.convex import target as targets
from analyzer.convex.connection import connect
from analyzer.convex.target import Choice
from analyzer.errors import AccessDenied, SourceUnreachable
from analyzer.sources.live import LiveSource
from analyzer.store import Store
from tests.collect.test_live import IMPATIENT, message
from tests.collect.test_observing import FN, call, gaps
from tests.deployment import Deployment

pytestmark = pytest.mark.external  # a minute in all: watches are played over hours of their own clock

MINUTE_MS = 60_000


class Played:
    """A pace in which waiting moves the deployment's clock, and something may happen meanwhile."""

    def __init__(self, d: Deployment, events: dict[int, Callable[[], Any]] | None = None) -> None:
        self._d = d
        self._events = events or {}
        self._awake_s = 0.0
        self.wall_ms = d.clock.now_ms
        self.waits = 0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self._awake_s

    def sleep_s(self, seconds: float) -> None:
        self.waits += 1
        self._awake_s += seconds
        self.wall_ms += int(seconds * 1000)
        self._d.clock.advance_s(seconds)
        self._events.get(self.waits, lambda: None)()


class Slow(Played):
    """A pace in which looking at the clock takes most of a minute, as a busy machine may."""

    def monotonic_s(self) -> float:
        self._awake_s += 50
        return self._awake_s


def watched(
    d: Deployment, store: Path, minutes: int, events: dict[int, Callable[[], Any]] | None = None, **more: Any
) -> tuple[Watched, list[str]]:
    lines: list[str] = []
    pace = more.pop("pace", None) or Played(d, events)
    target = targets.find(Choice(url=d.url), [], (more.pop("key", d.read_key), "a test"))
    done = watch(
        lambda: LiveSource(connect(target, IMPATIENT)),
        store,
        LiveOptions(wait_s=0.2),
        Rhythm(more.pop("every_ms", MINUTE_MS), minutes * MINUTE_MS),
        tell=lines.append,
        pace=pace,
        **more,
    )
    return done, lines


def rows(store: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(store), read_only=True) as duck:
        return duck.execute(query).fetchall()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


def test_every_tick_is_a_snapshot_and_one_line(store: Path) -> None:
    with Deployment() as d:
        d.insert("chatMessages", message(d, "complete"))
        done, lines = watched(d, store, 3, {2: lambda: d.insert("chatMessages", message(d, "failed"))})
    assert (done.ticks, done.failed, len(lines), done.gaps) == (4, 0, 4, [])
    assert "2 documents (1 added, 0 changed, 0 gone)" in lines[2]
    with Store.read(store) as opened:
        assert len(opened.snapshots()) == 4


def test_the_store_can_be_read_between_the_ticks(store: Path) -> None:
    seen: list[int] = []

    def read() -> None:
        with Store.read(store, wait_s=0) as opened:
            seen.append(len(opened.snapshots()))

    with Deployment() as d:
        watched(d, store, 2, {1: read, 2: read})
    assert seen == [1, 2]


def test_a_server_that_was_away_is_a_recorded_failure_and_the_watch_goes_on(store: Path) -> None:
    with Deployment() as d:
        done, lines = watched(d, store, 4, {1: d.stop, 3: d.start})
    assert (done.ticks, done.failed) == (5, 2)
    assert "tick 2 failed" in lines[1] and "cannot be reached" in lines[1]
    assert "snapshot 2" in lines[3]
    assert len(rows(store, "select * from failed_collect where reason like '%cannot be reached%'")) == 2


def test_calls_of_before_a_restart_are_lost_and_known_to_be(store: Path) -> None:
    with Deployment() as d:

        def called_and_restarted() -> None:
            call(d, 4)
            d.restart()

        call(d, 3)
        watched(d, store, 3, {2: called_and_restarted})
    assert [gap.until_ms - gap.from_ms for gap in gaps(store, "calls")] == [pytest.approx(MINUTE_MS, abs=100)]
    assert rows(store, f"select count(*) from function_call where function_path = '{FN}'") == [(3,)]


def test_metrics_of_more_than_an_hour_are_kept_without_a_gap(store: Path) -> None:
    with Deployment() as d:
        d.clock.advance_s(-d.clock.now_ms / 1000 % 60)
        watched(d, store, 100, {n: lambda: call(d, 2) for n in range(1, 5)}, every_ms=20 * MINUTE_MS)
    counted = rows(store, f"select count(*), sum(call_count) from function_minute where function_path = '{FN}'")
    assert counted == [(120, 2 * 4)]
    assert gaps(store, "metrics") == gaps(store, "calls") == []


def test_a_night_asleep_is_a_gap_and_no_end(store: Path) -> None:
    with Deployment() as d:
        pace = Played(d)

        def sleep() -> None:
            pace.wall_ms += 8 * 3_600_000
            d.clock.advance_s(8 * 3600)

        pace._events = {2: sleep}
        done, lines = watched(d, store, 4, pace=pace)
    assert (done.ticks, done.failed) == (5, 0)
    assert [line for line in lines if "clock jumped 8h forward" in line]
    (gap,) = gaps(store, "metrics")
    assert gap.until_ms - gap.from_ms == pytest.approx(7 * 3_600_000, abs=2 * MINUTE_MS)


def test_a_clock_that_is_set_back_changes_nothing_but_a_line(store: Path) -> None:
    with Deployment() as d:
        pace = Played(d)

        def step_back() -> None:
            pace.wall_ms -= 3_600_000

        pace._events = {1: step_back}
        done, lines = watched(d, store, 3, pace=pace)
    assert (done.ticks, done.failed, done.gaps) == (4, 0, [])
    assert [line for line in lines if "clock jumped 1h back" in line]


def test_a_store_that_is_in_use_fails_a_tick_and_no_more(store: Path) -> None:
    held: list[subprocess.Popen[str]] = []
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"

    def take() -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", hold, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        held.append(process)

    def release() -> None:
        held[0].communicate("")

    with Deployment() as d:
        done, lines = watched(d, store, 3, {1: take, 2: release})
    assert (done.ticks, done.failed) == (4, 1)
    assert "is in use by process" in lines[1]


def test_a_wrong_key_ends_the_watch_before_it_begins(store: Path) -> None:
    with Deployment() as d, pytest.raises(AccessDenied):
        watched(d, store, 3, key=d.mint_key()[:-4] + "beef")


def test_a_watch_in_which_nothing_succeeded_fails(store: Path) -> None:
    with Deployment() as d:
        d.faults.drop(times=None)
        with pytest.raises(SourceUnreachable):
            watched(d, store, 2)


def test_ticks_that_last_too_long_are_not_made_up_for(store: Path) -> None:
    with Deployment() as d:
        done, _ = watched(d, store, 20, pace=Slow(d))
    assert done.ticks < 10


def test_ctrl_c_ends_it_with_130_and_the_next_collect_continues(tmp_path: Path) -> None:
    with Deployment(sync_rows=2) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 4)
        key = tmp_path / "key"
        key.write_text(d.read_key)
        key.chmod(0o600)
        words = ["collect", "--url", d.url, "--key-file", str(key), "--db", str(tmp_path / "s.duckdb")]
        command = [sys.executable, "-m", "analyzer", *words, "--every", "1h"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "tick 1: snapshot 1, 4 documents" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        again = subprocess.run([sys.executable, "-m", "analyzer", *words], capture_output=True, text=True, check=True)
    assert "snapshot 2 (0 added" in again.stdout
