"""Deploys that were seen become phases by themselves, beside flags or alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer import cli
from analyzer.analysis.diagnosis import FlagChange
from analyzer.analysis.rollout import MOST_DEPLOYS, from_collected, undo_commands
from analyzer.units import instant
from tests.cli.test_rollout_watch import HOUR_MS, MINUTE_MS, NAME, Watch, started, traffic
from tests.deployment import Deployment

T0 = 1_765_889_640_000


def run(store: Path, *words: str) -> Any:
    return CliRunner().invoke(cli.main, ["rollout", *words, "--db", str(store)])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


def test_a_deploy_alone_is_a_rollout_of_one_phase_that_is_judged(store: Path) -> None:
    with Deployment() as d:
        for table in ("users", "tasks"):
            d.create_table(table)
        traffic(d, 400)
        ready = Watch(d, store)
        ready.collect(NAME, "before")
        d.clock.advance_ms(HOUR_MS)
        d.push(added=["chat.js"])
        pushed_ms = d.clock.now_ms
        d.clock.advance_ms(MINUTE_MS)
        traffic(d, 40, 40)
        d.clock.advance_ms(HOUR_MS)
        ready.collect(NAME, "after")
    shown = " ".join(run(store, "show").stdout.split())
    assert f"code deployed {instant(pushed_ms)}" in shown
    found = json.loads(run(store, "checkpoint", "T+1h", "--format", "json").stdout)
    assert (found["verdict"], found["rollout"]["source"]) == ("FAIL", "collected")
    assert [phase["title"] for phase in found["rollout"]["phases"]] == [f"code deployed {instant(pushed_ms)}"]
    assert not any(finding["id"] == "deployed-during-look" for finding in found["findings"])
    undo = run(store, "show", "--rollback", "--phase", "1").stdout
    assert undo.startswith(f"# no flag undoes the code deployed at {instant(pushed_ms)}")
    assert run(store, "show", "--rollback", "--phase", "2").exit_code == 2


def test_a_deploy_during_a_recorded_rollout_is_shown_among_its_phases(store: Path) -> None:
    with Deployment() as d:
        ready = started(d, store)
        d.clock.advance_ms(MINUTE_MS)
        d.push(added=["during.js"])
        pushed_ms = d.clock.now_ms
        ready.run(for_ms=61 * MINUTE_MS)
    phases = json.loads(run(store, "show", "--format", "json").stdout)["rollout"]["phases"]
    assert [(phase["title"], phase["state"]) for phase in phases] == [
        ("ENABLE_WORKFLOW", "completed"),
        ("code deployed", "seen"),
    ]
    assert phases[1]["at"] == instant(pushed_ms)


def test_a_flag_and_a_deploy_within_an_hour_are_one_change_that_nobody_can_take_apart() -> None:
    found = from_collected("d", [FlagChange("ENABLE_WORKFLOW", "true", T0)], [T0 + MINUTE_MS, T0 + 5 * HOUR_MS])
    assert found is not None
    assert [len(change.flips) for change in found.changes] == [2, 1]
    assert [change.not_separable for change in found.changes] == [True, False]
    assert found.plan.flags == ("ENABLE_WORKFLOW",)
    assert [line.split()[0] for line in undo_commands(found, ())] == ["#", "#", "npx"]


def test_of_very_many_deploys_only_the_last_are_phases_and_none_is_a_rollout_of_nothing() -> None:
    found = from_collected("d", [], [T0 + n * HOUR_MS for n in range(100)])
    assert found is not None
    assert len(found.flips) == MOST_DEPLOYS
    assert found.flips[-1].at_ms == T0 + 99 * HOUR_MS
    assert from_collected("d", [], []) is None
