"""What collects count by the minute is what the revisions say, whatever came, changed, went or was forgotten."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from analyzer import sql
from analyzer.store import Store, minutes
from analyzer.store.checking import problems_of
from analyzer.store.repairing import repair
from tests import storing
from tests.analysis.histories import HOUR_MS, Deployment


def is_counted(path: Path) -> bool:
    """Tell whether all revisions of messages and traces are counted, and nothing else is."""
    with duckdb.connect(str(path), read_only=True) as duck:
        counted = duck.execute("select * from counted_minute order by all").fetchall()
        wanted = duck.execute(f"select * from ({sql.load_text('check/minutes')}) order by all").fetchall()
    assert wanted
    return counted == wanted


def put_all(folder: Path, seed: int, order: tuple[int, ...]) -> Path:
    snapshots = Deployment(seed, is_wild=True).snapshots(len(order))
    for hour in order:
        path = storing.put(folder, snapshots[hour], at_ms=storing.NOW_MS + hour * HOUR_MS)
        assert is_counted(path), (seed, hour)
    other = storing.put(folder, snapshots[0], deployment="other-animal-456")
    assert is_counted(other)
    return other


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (1, 0, 3, 2)])
def test_after_every_collect_all_revisions_are_counted(order: tuple[int, ...], tmp_path: Path) -> None:
    assert problems_of(put_all(tmp_path, seed=sum(order) + order[0], order=order)) == ()


def test_a_collect_adds_its_own_revisions_and_leaves_what_is_counted_as_it_is(tmp_path: Path) -> None:
    message = storing.document("chatMessages", 1, status="streaming")
    path = storing.put(tmp_path, {"chatMessages": [message]})
    with Store.write(path) as store:
        store._duck.execute("update counted_minute set status = 'untouched'")
    storing.put(tmp_path, {"chatMessages": [message | {"status": "complete"}]}, at_ms=storing.NOW_MS + 1)
    with Store.read(path) as store:
        found = store._duck.execute("select status from counted_minute order by revision_ns").fetchall()
    assert found == [("untouched",), ("complete",)]


def test_a_store_of_which_nothing_is_counted_is_counted_whole_by_the_next_collect(tmp_path: Path) -> None:
    path = put_all(tmp_path, seed=5, order=(0, 1))
    with Store.write(path) as store:
        minutes.forget(store._duck)
    assert problems_of(path) == ()
    storing.put(tmp_path, {"chatMessages": []}, at_ms=storing.NOW_MS + 9 * HOUR_MS)
    storing.put(tmp_path, {"chatMessages": []}, at_ms=storing.NOW_MS + 9 * HOUR_MS, deployment="other-animal-456")
    assert is_counted(path)


@pytest.mark.parametrize(
    "damage",
    [
        "delete from counted_minute where exists_ms = (select min(exists_ms) from counted_minute)",
        "update counted_minute set document_count = document_count + 1",
        "update counted_minute set judged_at_ms = judged_at_ms + 1",
        "update counted_minute set status = null where status is not null",
    ],
)
def test_a_check_finds_what_is_not_counted_as_it_is_and_a_repair_drops_it(damage: str, tmp_path: Path) -> None:
    path = put_all(tmp_path, seed=6, order=(0, 1))
    with Store.write(path) as store:
        store._duck.execute(damage)
    assert {problem.check for problem in problems_of(path)} == {"derived"}
    repair(path)
    assert problems_of(path) == ()
    with Store.read(path) as store:
        assert store.frame(store.snapshot(deployment="other-animal-456")).rows("health/counted_until") == [(-1,)]
