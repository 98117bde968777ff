"""Watching a rollout: each planned look is collected when its time comes, judged, and told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer import cli, clock
from analyzer.analysis import policy
from analyzer.analysis.checkpoints import Judged, Judging
from analyzer.analysis.rollout_plan import make_plan
from analyzer.collect.live import LiveOptions, collect_live
from analyzer.convex import target as targets
from analyzer.convex.connection import Options, connect
from analyzer.convex.retry import Policy
from analyzer.convex.target import Choice
from analyzer.convex.traffic import Limits
from analyzer.errors import NoData
from analyzer.flows import rollout_records, rollout_state
from analyzer.flows.watching import Watched, Watching, watch
from analyzer.model import FilterName
from analyzer.rules import InternalLists, load_all
from analyzer.sources.live import LiveSource
from analyzer.store import Store
from tests.deployment import Clock, Deployment

pytestmark = pytest.mark.external  # a minute in all: watches are played over hours of their own clock

IMPATIENT = Options(limits=Limits(policy=Policy(repeats=0, brief_repeats=0)))
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
NAME = "happy-animal-123"


class Watch:
    """A watch whose time is the stand-in's: waiting moves its clock and nothing else."""

    def __init__(self, d: Deployment, store: Path) -> None:
        self.d, self.store = d, store
        self.told: list[tuple[str, str, int]] = []  # label, verdict, minutes after the start
        self.complaints: list[str] = []
        self.collects: list[int] = []  # minutes after the start
        self.stops_at: int | None = None  # minute in which Ctrl-C is pressed
        self.start_ms = d.clock.now_ms

    @property
    def minute(self) -> int:
        return (self.d.clock.now_ms - self.start_ms) // MINUTE_MS

    def sleep_s(self, seconds: float) -> None:
        if self.stops_at is not None and self.minute >= self.stops_at:
            raise KeyboardInterrupt
        self.d.clock.advance_s(seconds)

    def collect(self, deployment: str, label: str) -> object:
        assert deployment == NAME
        self.collects.append(self.minute)
        target = targets.find(Choice(url=self.d.url), [], (self.d.read_key, "a test"))
        with LiveSource(connect(target, IMPATIENT), flag_names=("ENABLE_WORKFLOW",)) as source:
            return collect_live(source, self.store, LiveOptions(label=label or None))

    def judging(self) -> Judging:
        return Judging(
            load_all(), InternalLists((), (), ()), FilterName.EVIDENCE, policy.find("deployed", {}), self.d.clock.now_ms
        )

    def tell(self, judged: Judged) -> None:
        self.told.append((judged.look.label, judged.decision.verdict.value, self.minute))

    def run(self, for_ms: int | None = None) -> None:
        how = Watching(
            self.collect,
            self.judging,
            lambda: self.d.clock.now_ms,
            self.sleep_s,
            self.tell,
            self.complaints.append,
        )
        watch(Watched(self.store), how, for_ms=for_ms)


def traffic(d: Deployment, good: int, bad: int = 0) -> None:
    """Add messages and workflows of this moment, some of which failed."""
    now = float(d.clock.now_ms)
    ends = [("complete", "COMPLETED")] * good + [("failed", "FAILED")] * bad
    messages = [{"role": "ASSISTANT", "status": m, "content": "x", "createdAt": now} for m, _ in ends]
    traces = [{"status": t, "workflowType": "chat", "startedAt": now, "createdAt": now} for _, t in ends]
    d.insert_many("chatMessages", messages)
    d.insert_many("workflowTraces", traces)


def started(d: Deployment, store: Path, *, starts_ms: int | None = None, flips: bool = True) -> Watch:
    """Collect a baseline and freeze a plan with looks an hour and two hours after now."""
    for table in ("users", "tasks"):
        d.create_table(table)
    traffic(d, 400)
    d.set_env(ENABLE_WORKFLOW="false")
    d.clock.advance_ms(HOUR_MS)
    ready = Watch(d, store)
    ready.collect(NAME, "baseline")
    d.clock.advance_ms(MINUTE_MS)
    if flips:
        d.set_env(ENABLE_WORKFLOW="true")
        starts_ms = d.clock.now_ms
    plan = make_plan(flags=["ENABLE_WORKFLOW"], checkpoints_ms=[HOUR_MS, 2 * HOUR_MS])
    with Store.write(store) as opened:
        rollout_records.start(opened, plan, NAME, starts_ms=starts_ms, now_ms=d.clock.now_ms, actor="")
    d.clock.advance_ms(MINUTE_MS)
    ready.start_ms = d.clock.now_ms - MINUTE_MS  # the flip
    ready.collects.clear()
    return ready


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


def test_each_look_is_collected_in_its_minute_and_judged(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store)
        traffic(d, 200)
        ready.run()
    assert ready.collects == [60, 120]
    assert ready.told == [("T+1h", "PASS", 60), ("T+2h", "PASS", 120)]
    with Store.read(store) as opened:
        assert [snapshot.label for snapshot in opened.snapshots()] == ["baseline", "T+1h", "T+2h"]


def test_a_regression_is_told_at_the_look_that_shows_it(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store)
        traffic(d, 150, bad=50)
        ready.run()
    assert [verdict for _, verdict, _ in ready.told] == ["FAIL", "FAIL"]


def test_a_collect_that_fails_is_tried_again_a_minute_later_and_said(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store)
        traffic(d, 200)
        d.faults.page(520, times=None)
        plain = ready.sleep_s

        def repaired(seconds: float) -> None:
            plain(seconds)
            if ready.minute == 63 and len(ready.complaints) == 3:
                d.faults.clear()

        ready.sleep_s = repaired  # type: ignore[method-assign]
        ready.run()
    assert ready.collects == [60, 61, 62, 63, 120]
    assert len(ready.complaints) == 3
    assert ready.told == [("T+1h", "PASS", 63), ("T+2h", "PASS", 120)]


def test_a_look_whose_data_never_came_is_told_as_no_data_an_hour_after_the_last(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Deployment() as d:
        ready = started(d, store)
        d.faults.page(520, times=None)
        monkeypatch.setattr(ready, "sleep_s", lambda _: d.clock.advance_ms(20 * MINUTE_MS))  # asleep in between
        ready.run()
        assert ready.told == [("T+1h", "NO_DATA", 181), ("T+2h", "NO_DATA", 181)]
        assert ready.collects == [61, 81, 101, 121, 141, 161]


def test_time_that_is_up_ends_the_watch_and_leaves_later_looks_alone(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store)
        traffic(d, 200)
        ready.run(for_ms=90 * MINUTE_MS)
        assert ready.minute == 91
    assert ready.told == [("T+1h", "PASS", 60)]


def test_looks_in_the_past_are_judged_at_once_with_one_collect_for_all(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store)
        traffic(d, 200)
        d.clock.advance_ms(24 * HOUR_MS)
        ready.run(for_ms=0)
    assert len(ready.collects) == 1
    assert [(label, verdict) for label, verdict, _ in ready.told] == [("T+1h", "PASS"), ("T+2h", "PASS")]


def test_a_watch_that_was_stopped_goes_on_where_it_was(store: Path) -> None:
    with Deployment() as d:
        first = started(d, store)
        traffic(d, 200)
        first.stops_at = 90
        with pytest.raises(KeyboardInterrupt):
            first.run()
        second = Watch(d, store)
        second.start_ms = first.start_ms
        second.run()
    assert first.told == [("T+1h", "PASS", 60)]
    assert second.told == [("T+1h", "PASS", 90), ("T+2h", "PASS", 120)]
    assert (first.collects, second.collects) == ([60], [120])


def test_a_flag_that_is_not_flipped_yet_is_waited_for(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store, flips=False)
        plain = ready.sleep_s

        def flipping(seconds: float) -> None:
            plain(seconds)
            if ready.minute == 3 and not flipped:
                d.set_env(ENABLE_WORKFLOW="true")
                flipped.append(True)

        flipped: list[bool] = []
        ready.sleep_s = flipping  # type: ignore[method-assign]
        ready.run()
        assert [(label, minute) for label, _, minute in ready.told] == [("T+1h", 63), ("T+2h", 123)]


def test_without_a_rollout_there_is_nothing_to_watch(store: Path) -> None:
    with Deployment() as d:
        ready = Watch(d, store)
        d.create_table("tasks")
        ready.collect(NAME, "")
        with pytest.raises(NoData):
            ready.run()


def command(d: Deployment, store: Path, key_file: Path, *more: str) -> Any:
    key_file.write_text(d.read_key)
    key_file.chmod(0o600)
    words = ["rollout", "watch", "--db", str(store), "--url", d.url, "--key-file", str(key_file), *more]
    return CliRunner().invoke(cli.main, words)


def test_the_command_tells_a_line_a_look_and_ends_as_the_gate_does(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Deployment(clock=Clock(clock.now_ms() - 30 * HOUR_MS)) as d:
        started(d, store)
        traffic(d, 150, bad=50)
        d.clock.advance_ms(24 * HOUR_MS)
        result = command(d, store, tmp_path / "key", "--for", "0s")
        gate = CliRunner().invoke(cli.main, ["rollout", "gate", "--db", str(store)])
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["T+1h", "T+2h"]
    assert all("FAIL" in line and "guardrail_regression" in line for line in lines[:2])
    assert "\n".join(lines[3:]) == gate.stdout.rstrip("\n")
    assert result.exit_code == gate.exit_code == 1


def test_the_command_refuses_a_deployment_that_the_rollout_is_not_of(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Deployment() as d:
        started(d, store)
    with Deployment(name="calm-otter-7") as other:
        result = command(other, store, tmp_path / "key", "--for", "0s")
    assert result.exit_code == 2
    assert "calm-otter-7" in result.stderr
    with Store.read(store) as opened:
        assert len(opened.snapshots()) == 1


def test_the_command_without_data_fails_closed(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Deployment() as d:  # its time is long past
        started(d, store)
        d.faults.page(400, times=None)
        result = command(d, store, tmp_path / "key", "--for", "0s", "--on-inconclusive", "pass")
    assert result.exit_code == 5, result.output
    assert "NO_DATA" in result.stdout
    assert "warning: not collected" in result.stderr


def test_code_deployed_inside_a_look_is_a_finding_and_before_it_is_none(store: Path) -> None:
    with Deployment() as d:
        d.push(added=["before.js"])
        ready = started(d, store)
        d.clock.advance_ms(MINUTE_MS)
        d.push(added=["during.js"])
        pushed_ms = d.clock.now_ms
        ready.run(for_ms=61 * MINUTE_MS)
    with Store.read(store) as opened:
        found = rollout_state.findings(opened, rollout_records.open_rollout(opened))
    (deployed,) = [finding for finding in found if finding.id == "deployed-during-look"]
    assert deployed.details == {"change": 1, "at_ms": [pushed_ms]}
    assert "deployed 1 time inside the looks of change 1" in deployed.text
