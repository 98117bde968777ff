"""The benchmark as a program: what it judges, what it writes, and that it asks everyone the same question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import growth
from benchmarks.__main__ import main, rooms, table
from benchmarks.context import Context
from benchmarks.measure import Cost, Figure

FIELDS = {"id", "size", "value", "limit", "met", "floor", "command"}


@pytest.mark.parametrize(
    ("judged_at", "value", "least", "met"),
    [
        ("100k", 1.4, False, True),
        ("100k", 1.6, False, False),
        ("any", 1.5, False, True),
        ("1m", 1.4, False, None),
        ("100k", 1.4, True, False),
        ("100k", 1.6, True, True),
    ],
)
def test_a_row_is_judged_only_at_the_size_it_names(
    tmp_path: Path, judged_at: str, value: float, least: bool, met: bool | None
) -> None:
    figure = Figure.of([value, value + 0.1, value - 0.1])
    row = Context(tmp_path, "100k").row(
        "x", figure, floor="f", command="c", limit=1.5, judged_at=judged_at, limit_is_least=least
    )
    assert row.met is met
    assert ("MISSED" in table([row])) == (met is False)


@pytest.mark.external
@pytest.mark.timeout(300)
def test_every_room_asks_the_same_question_of_both_sides(tmp_path: Path) -> None:
    assert main("10k", rounds=1, results=tmp_path) == 0
    found = json.loads((tmp_path / "latest.json").read_text())
    assert found.keys() >= {"versions", "machine", "date", "rows"}
    assert all(row.keys() >= FIELDS for row in found["rows"])
    assert len(found["rows"]) > len(rooms())
    assert str(tmp_path) not in json.dumps(found)


def test_the_chart_of_growth_keeps_sizes_that_this_run_did_not_measure(tmp_path: Path) -> None:
    path = tmp_path / "growth.json"
    older, newer = (Cost(wall_s, 1.0, 2**20) for wall_s in (80.0, 90.0))
    growth.kept({"1m": {"collect": older}, "10m": {"collect": older}}, path)
    found = growth.kept({"100k": {"collect": newer}, "1m": {"collect": newer}}, path)
    assert found == {"100k": {"collect": newer}, "1m": {"collect": newer}, "10m": {"collect": older}}
    assert list(found) == ["100k", "1m", "10m"]
    growth.draw(found, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
