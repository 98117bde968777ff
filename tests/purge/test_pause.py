"""`--pause`: nothing of the app's writes while documents go, and the app runs again whatever happens."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from analyzer.errors import AccessDenied, GuardRefused, SourceError
from analyzer.purge import ledger, pause
from analyzer.purge.apply import Pace
from analyzer.purge.ledger import Ledger, State
from tests.purge.leftovers import LEFTOVERS, NOW_MS, World, world

DELETE = "_system/frontend/deleteDocuments"


def events(path: Path) -> list[str]:
    import json

    return [json.loads(line)["event"] for line in ledger.path_of(path).read_bytes().splitlines()]


def test_the_app_is_paused_for_the_deletion_alone_and_runs_afterwards(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        seen = []
        pace = Pace(settle_s=0.0, batch_documents=2, progress=lambda _: seen.append(w.deployment.settings.state))
        made = w.apply(plan, path, pauses=True, pace=pace)
        assert set(seen) == {"paused"} and w.deployment.settings.state == "running"
        assert made["verified"]["ok"] and made["paused_by"] == "us"
        assert made["health_before"] and made["health_after"]
        told = events(path)
        assert told.index("backup") < told.index("pause") < told.index("paused") < told.index("intent")
        assert told[-2:] == ["unpause", "finish"]


def test_what_somebody_else_paused_stays_paused(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.settings.state = "paused"
        said: list[str] = []
        made = w.apply(plan, path, pauses=True, narrate=said.append)
        assert made["verified"]["ok"] and made["paused_by"] == "others"
        assert w.deployment.settings.state == "paused"
        assert not w.deployment.called(pause.PAUSE_PATH) and not w.deployment.called(pause.UNPAUSE_PATH)
        assert any("paused already" in text for text in said)


def test_somebody_who_pauses_in_the_same_moment_is_not_overruled(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        w.deployment.faults.refuse(400, "PauseDeploymentFailed", path=pause.PAUSE_PATH)
        book = Ledger(None, State())

        def other(_: str) -> None:
            w.deployment.settings.state = "paused"

        with pause.paused(source.connection.client, book, other):
            assert book.state.paused_by == "others"
        assert w.deployment.settings.state == "paused"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_or_a_fault_ends_the_pause(tmp_path: Path, error: type[BaseException]) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()

        def stop(_: int) -> None:
            raise error

        with pytest.raises(error):
            w.apply(plan, path, pauses=True, pace=Pace(settle_s=0.0, batch_documents=1, progress=stop))
        assert w.deployment.settings.state == "running"
        made = w.apply(plan, path)
        assert made["verified"]["ok"] and {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_polite_signal_ends_the_pause(tmp_path: Path, number: int) -> None:
    with world(tmp_path, is_filled=False) as w, w.source() as source:
        before = [signal.getsignal(n) for n in pause.ENDING]
        held = pause.paused(source.connection.client, Ledger(None, State()), lambda _: None)
        with pytest.raises(KeyboardInterrupt), held:
            assert w.deployment.settings.state == "paused"
            os.kill(os.getpid(), number)
            signal.sigtimedwait((), 5)
        assert w.deployment.settings.state == "running"
        assert [signal.getsignal(n) for n in pause.ENDING] == before


def killed(w: World, path: Path, event: str) -> None:
    """Let the ledger end with an event, as after SIGKILL, and the deployment be as it was then."""
    book = ledger.path_of(path)
    lines = book.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if f'"event": "{event}"'.encode() in line)
    book.write_bytes(b"".join(lines[: last + 1]))
    w.deployment.settings.state = "paused"


@pytest.mark.external
@pytest.mark.parametrize("event", ["pause", "paused", "call"])
def test_a_killed_apply_lets_the_app_run_first_of_all_when_it_is_started_again(tmp_path: Path, event: str) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.faults.refuse(500, "InternalServerError", function=DELETE, times=None)
        with pytest.raises(SourceError):
            w.apply(plan, path, pauses=True)
        w.deployment.faults.clear()
        killed(w, path, event)
        with pytest.raises(GuardRefused, match="guard confirmation"):  # before anything is asked
            w.apply(plan, path, confirm=lambda _: None)
        assert w.deployment.settings.state == "running"
        assert w.apply(plan, path, pauses=True)["verified"]["ok"]
        assert w.deployment.settings.state == "running"


def test_a_pause_that_was_announced_and_is_somebody_elses_is_left(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        client = source.connection.client
        state = State(server_ms=NOW_MS, paused_by="us")
        key = w.deployment.backend.keys.of_key(w.deployment.admin_key)
        w.deployment.settings.state = "paused"
        w.deployment.backend.audit.write("pause_deployment", {}, key, user_agent="dashboard-0.0.0")
        pause.recover(client, Ledger(None, state), lambda _: None)
        assert w.state == "paused" and state.paused_by == "others"
        state = State(server_ms=NOW_MS, paused_by="us", is_pause_done=True)  # it was ours for certain
        pause.recover(client, Ledger(None, state), lambda _: None)
        assert w.state == "running" and state.paused_by is None


@pytest.mark.parametrize("path_", [pause.PAUSE_PATH, pause.UNPAUSE_PATH])
@pytest.mark.parametrize("after_commit", [False, True])
def test_lost_answers_to_pausing_are_settled_by_asking(tmp_path: Path, path_: str, after_commit: bool) -> None:
    with world(tmp_path, is_filled=False) as w, w.source() as source:
        w.deployment.faults.drop(path=path_, after_commit=after_commit)
        entered = []
        try:
            with pause.paused(source.connection.client, Ledger(None, State()), lambda _: None, wait_s=0.0):
                entered.append(w.deployment.settings.state)
        except SourceError:
            assert path_ == pause.PAUSE_PATH and not after_commit
        assert entered in ([], ["paused"])
        assert w.deployment.settings.state == "running"


def test_a_deployment_that_cannot_be_woken_is_said_to_be_paused_still(tmp_path: Path) -> None:
    with world(tmp_path, is_filled=False) as w, w.source() as source:
        w.deployment.faults.refuse(500, "InternalServerError", path=pause.UNPAUSE_PATH, times=None)
        book = Ledger(None, State())
        with (
            pytest.raises(SourceError, match="IS STILL PAUSED") as told,
            pause.paused(source.connection.client, book, lambda _: None, wait_s=0.0),
        ):
            pass
        assert "dashboard" in str(told.value.hint)
        assert book.state.paused_by == "us"  # so the next start tries again
        assert len(w.deployment.called(pause.UNPAUSE_PATH)) == pause.TRIES


def test_pausing_needs_permission_and_on_production_the_configuration(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        weak = w.deployment.key_without("UnpauseDeployment")
        with pytest.raises(GuardRefused, match="guard pause"):
            w.apply(plan, path, weak, pauses=True)
        assert not w.deployment.called(pause.PAUSE_PATH)
        with (
            w.source(w.deployment.read_key) as source,
            pytest.raises(AccessDenied),
            pause.paused(source.connection.client, Ledger(None, State()), lambda _: None),
        ):
            raise AssertionError("it was not paused")


def test_a_dry_run_pauses_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.apply(plan, path, pauses=True, is_dry_run=True)
        assert not w.deployment.called(pause.PAUSE_PATH)
