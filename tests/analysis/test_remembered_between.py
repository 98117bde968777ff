"""At a clock between snapshots, what they remembered is what a search finds, or readers are told to search."""

from __future__ import annotations

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

RULES = rules.load_all()
TICK = {"step_ms": 1, "from_tick": 0, "until_tick": 0, "window_ms": HOUR_MS, "stuck_ms": 300_000}


def compared(folder: Path, seed: int, *, is_wild: bool) -> int:
    """Compare recalling with searching at many clocks; returns how many before a later snapshot were recalled."""
    for hour, documents in enumerate(Deployment(seed, is_wild=is_wild).snapshots(3)):
        path = storing.put(folder, documents, at_ms=storing.NOW_MS + hour * HOUR_MS)
        with Store.read(path) as store:
            result = CollectResult(store.snapshot(), already_present=False)
        remember(path, result, RULES)
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
