"""At a clock between snapshots, what they remembered is what a search finds, or readers are told to search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer import rules
from analyzer.analysis import artifacts, health
from analyzer.flows.remembering import remember
from analyzer.model import CollectResult, FilterName
from analyzer.store import Frame, Store
from tests import storing
from tests.analysis.histories import HOUR_MS, Deployment
from tests.analysis.leftovers import helper_task, message, task, user

RULES = rules.load_all()
TICK = {"step_ms": 1, "from_tick": 0, "until_tick": 0, "window_ms": HOUR_MS, "stuck_ms": 300_000}


def remembered(folder: Path, snapshots: Sequence[storing.Documents]) -> Path:
    """Put snapshots an hour apart into a store, which remembers the artifacts of each."""
    for hour, documents in enumerate(snapshots):
        path = storing.put(folder, documents, at_ms=storing.NOW_MS + hour * HOUR_MS)
        with Store.write(path) as store:
            remember(store, CollectResult(store.snapshot(), already_present=False), RULES)
    return path


def compared(folder: Path, seed: int, *, is_wild: bool) -> int:
    """Compare recalling with searching at many clocks; returns how many before a later snapshot were recalled."""
    path = remembered(folder, Deployment(seed, is_wild=is_wild).snapshots(3))
    recalled = 0
    with Store.read(path) as store:
        for snapshot in store.snapshots():
            for at_ms in range(storing.NOW_MS - HOUR_MS // 2, snapshot.as_of_ms, HOUR_MS // 3):
                frame = store.frame(snapshot, at_ms)
                artifacts.prepare(frame, RULES)
                searched = _found(frame)
                if frame.recall(artifacts.search_hash(frame, RULES), orphans=False):
                    assert _found(frame) == searched, (seed, snapshot.id, at_ms)
                    recalled += snapshot.id > 1
                if frame.recall(artifacts.search_hash(frame, RULES), orphans=False, whole=False):
                    assert _found(frame)[1:] == searched[1:], (seed, snapshot.id, at_ms)
    return recalled


def _found(frame: Frame) -> list[Any]:
    listed = artifacts.list_artifacts(frame, artifacts.TIERS[:-1])
    counts = []
    for name in (FilterName.NONE, FilterName.EVIDENCE):
        health.leave_out(frame, name)
        counts.append(frame.rows("health/series_left_out", first_ms=frame.at_ms, **TICK))
    return [sorted((a.component, a.table, a.id, a.tier) for a in listed), *counts]


@pytest.mark.parametrize("seed", [1, 2])
def test_between_snapshots_of_a_usual_deployment_much_is_recalled(tmp_path: Path, seed: int) -> None:
    assert compared(tmp_path, seed, is_wild=False) > 2


@pytest.mark.parametrize("seed", [3])
def test_a_wild_deployment_is_searched_where_snapshots_do_not_tell(tmp_path: Path, seed: int) -> None:
    compared(tmp_path, seed, is_wild=True)


@pytest.mark.external
@pytest.mark.parametrize("seed", range(10, 30))
def test_between_snapshots_of_many_deployments_nothing_else_is_recalled_than_found(tmp_path: Path, seed: int) -> None:
    compared(tmp_path, seed, is_wild=seed % 2 == 0)


def test_what_named_a_new_artifact_only_until_it_was_changed_is_searched_for(tmp_path: Path) -> None:
    later_ms = float(storing.NOW_MS + HOUR_MS // 4)
    old = {"_creationTime": float(storing.NOW_MS - HOUR_MS), "createdAt": float(storing.NOW_MS - HOUR_MS)}
    own, test = task(1, 1), {**helper_task(2, 1), "_creationTime": later_ms, "createdAt": later_ms}
    users = [user(1)]
    histories: list[storing.Documents] = [
        {"users": users, "tasks": [{**own, **old}], "chatMessages": [{**message(3, 2), **old}]},
        {"users": users, "tasks": [{**own, **old}, test], "chatMessages": [{**message(3, 1), **old}]},
    ]
    path = remembered(tmp_path, histories)
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(), storing.NOW_MS + HOUR_MS // 2)
        artifacts.prepare(frame, RULES)
        found = {a.id for a in artifacts.list_artifacts(frame, artifacts.TIERS[:-1])}
        assert found == {storing.make_id("tasks", 2), storing.make_id("chatMessages", 3)}
        assert not frame.recall(artifacts.search_hash(frame, RULES), orphans=False)


def test_a_task_that_came_after_the_clock_and_has_gone_since_is_searched_for(tmp_path: Path) -> None:
    later_ms = float(storing.NOW_MS + HOUR_MS + HOUR_MS // 2)
    old = {"_creationTime": float(storing.NOW_MS - HOUR_MS), "createdAt": float(storing.NOW_MS - HOUR_MS)}
    test = {**helper_task(2, 1), "_creationTime": later_ms, "createdAt": later_ms}
    without: storing.Documents = {
        "users": [user(1)],
        "tasks": [{**task(1, 1), **old}],
        "chatMessages": [{**message(3, 2), **old}],
    }
    path = remembered(tmp_path, [without, without, {**without, "tasks": [*without["tasks"], test]}, without])
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(), storing.NOW_MS + HOUR_MS // 2)
        artifacts.prepare(frame, RULES)
        found = {a.id for a in artifacts.list_artifacts(frame, artifacts.TIERS[:-1])}
        assert found == {storing.make_id("chatMessages", 3)}
        assert not frame.recall(artifacts.search_hash(frame, RULES), orphans=False)
