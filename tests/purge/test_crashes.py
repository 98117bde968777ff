"""An apply that is killed: whatever was on its way, the same command finishes it, and nothing else was touched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.purge import ledger
from analyzer.purge.select import Choice
from tests.deployment import Gate
from tests.purge.leftovers import LEFTOVERS, World, world

DELETE = "_system/frontend/deleteDocuments"
# A process of its own: it applies the plan of a folder to the deployment at a URL, in batches of two documents.
CHILD = """
import sys
from pathlib import Path
from tests.purge.leftovers import World, Pace
from analyzer.purge import plan_file

class Remote:
    url, admin_key = sys.argv[1], sys.argv[2]
    class settings: kind = "dev"

folder = Path(sys.argv[3])
path = folder / "plan.json"
w = World(Remote, folder)
w.apply(plan_file.read(path), path, pace=Pace(batch_documents=2, settle_s=0.0), pauses=len(sys.argv) > 4)
"""
ROOT = Path(__file__).parents[2]


def killed_while(w: World, gate: Gate, *more: str) -> None:
    """Apply in another process, and kill it when its request has come to the gate."""
    command = [sys.executable, "-c", CHILD, w.deployment.url, w.deployment.admin_key, str(w.folder), *more]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as child:
        assert gate.reached.wait(60), child.stderr and child.stderr.read()
        child.send_signal(signal.SIGKILL)
        child.wait()
    gate.open()


@pytest.mark.slow
@pytest.mark.parametrize("after_commit", [False, True], ids=["before it is done", "after it was done"])
@pytest.mark.parametrize("skip", [0, 1])
def test_killed_while_a_batch_is_on_its_way(tmp_path: Path, after_commit: bool, skip: int) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        before = w.living()
        killed_while(w, w.deployment.faults.hold(function=DELETE, after_commit=after_commit, skip=skip))
        w.deployment.faults.clear()
        state = ledger.read(ledger.path_of(path), plan.hash)
        assert state.unsettled and not state.is_finished
        made = w.apply(plan, path)
        assert before - w.living() == {w.ids[n] for n in LEFTOVERS}
        assert {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}
        assert made["verified"]["ok"]


@pytest.mark.slow
def test_killed_while_paused_it_stays_paused_until_the_same_command_is_started_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        killed_while(w, w.deployment.faults.hold(function=DELETE), "--pause")
        w.deployment.faults.clear()
        assert w.state == "paused"
        assert ledger.read(ledger.path_of(path), plan.hash).paused_by == "us"
        made = w.apply(plan, path)
        assert w.state == "running" and made["verified"]["ok"]
        assert {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}


@pytest.mark.slow
def test_what_another_plan_deleted_meanwhile_is_not_held_against_who_goes_on_late(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        helper = w.add("second helper", "users", name="Workflow Test User", email="workflow-test@test.local")
        other = w.add_test_task("second test", helper)
        w.deployment.clock.advance_s(1)
        plan, path = w.plan(choice=Choice(tasks=(w.ids["test"],)))
        second, second_path = w.plan("second.json", choice=Choice(idle_ms=0, tasks=(other,)))
        killed_while(w, w.deployment.faults.hold(function=DELETE, after_commit=True))
        w.deployment.faults.clear()
        assert w.apply(second, second_path)["verified"]["ok"]
        made = w.apply(plan, path)
        assert made["verified"]["ok"] and made["verified"]["audit_read"]
        signed = {f"purge/{made['id']}" in entry["clientUserAgent"].split() for entry in made["audit"]}
        assert signed == {True}
        assert {w.ids["test"], other}.isdisjoint(w.living())


def lines_of_a_whole_apply(w: World) -> tuple[list[bytes], Path]:
    plan, path = w.plan()
    from analyzer.purge.apply import Pace

    w.apply(plan, path, pace=Pace(batch_documents=2, settle_s=0.0))
    return ledger.path_of(path).read_bytes().splitlines(keepends=True), path


def test_the_ledger_names_each_step_before_it_is_taken(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        lines, path = lines_of_a_whole_apply(w)
        events = [json.loads(line)["event"] for line in lines]
        assert events[:2] == ["begin", "backup"] and events[-1] == "finish"
        assert events[2:-1] == ["intent", "call", "outcome"] * ((len(events) - 3) // 3)
        assert ledger.path_of(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [False, True])
def test_a_ledger_cut_off_anywhere_is_read_to_the_end(tmp_path: Path, torn: bool) -> None:
    with world(tmp_path) as w:
        lines, path = lines_of_a_whole_apply(w)
        plan_hash = json.loads(lines[0])["plan_hash"]
        book = ledger.path_of(path)
        for length in range(1, len(lines)):
            book.write_bytes(b"".join(lines[:length]) + (lines[length][:9] if torn else b""))
            state = ledger.read(book, plan_hash)
            assert not state.is_finished
            assert set(state.deleted) <= {w.ids[n] for n in LEFTOVERS}


@pytest.mark.parametrize("damage", [b"nonsense\n", b'{"event": "outcome", "batch": 9, "result": "deleted"}\n'])
def test_a_ledger_damaged_in_the_middle_stops_everything(tmp_path: Path, damage: bytes) -> None:
    from analyzer.errors import GuardRefused

    with world(tmp_path) as w:
        lines, path = lines_of_a_whole_apply(w)
        book = ledger.path_of(path)
        book.write_bytes(b"".join([*lines[:2], damage, *lines[2:]]))
        with pytest.raises(GuardRefused, match="guard ledger"):
            ledger.read(book, json.loads(lines[0])["plan_hash"])
        book.write_bytes(b"".join(lines))
        with pytest.raises(GuardRefused, match="guard ledger"):
            ledger.read(book, "0" * 64)
