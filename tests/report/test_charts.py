"""Charts: what they ask, what they draw, what is a gap, and that the same data gives the same file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.analysis import health
from analyzer.analysis.policy import DEPLOYED, ROLLOUT, Counts, Policy, Rule, Unknown
from analyzer.analysis.series import Grid, Mark, Series, Tick
from analyzer.errors import AnalyzerError
from analyzer.model import Deployment, FilterName, Snapshot
from analyzer.report import charts
from tests.storing import NOW_MS

HOUR_MS = 3_600_000
GAP = Unknown("gap", "what happened", "after the snapshot", "collect again")
SNAPSHOT = Snapshot(1, "s", Deployment("happy-$animal$-123"), "archive", "e.zip", NOW_MS * 10**6, "file-name", NOW_MS)


def _series(
    ticks: Sequence[tuple[int, int, int, int]],
    *,
    policy: Policy = DEPLOYED,
    filter_name: FilterName = FilterName.EVIDENCE,
    unknown: Callable[[int], Sequence[Unknown]] = lambda _: (),
    reported: Sequence[Mark] = (),
) -> Series:
    """Return a series from (raw complete, raw total, kept complete, kept total) a tick."""
    grid = Grid(NOW_MS, HOUR_MS, len(ticks))
    sides = [
        [
            health.side(Counts(message_completed=done, message_total=total), at_ms, policy, unknown(n))
            for done, total in pair
        ]
        for n, (at_ms, pair) in enumerate(zip(grid.clocks, (((a, b), (c, d)) for a, b, c, d in ticks), strict=True))
    ]
    found = tuple(Tick(at_ms, *pair) for at_ms, pair in zip(grid.clocks, sides, strict=True))
    return Series(SNAPSHOT, policy, filter_name, grid, found, tuple(reported))


def _lines(series: Series) -> dict[str, list[float]]:
    figure = charts.health_series(series)
    return {str(line.get_label()): [float(y) for y in line.get_ydata()] for line in figure.axes[0].get_lines()}


LEFTOVERS = [(8, 8, 8, 8), (9, 10, 8, 8), (0, 0, 0, 0), (5, 10, 5, 10)]


def test_a_health_series_asks_a_question_and_names_units_and_n() -> None:
    figure = charts.health_series(_series(LEFTOVERS))
    rates, counts = figure.axes
    assert figure.get_suptitle().endswith("?")
    assert (rates.get_ylabel(), counts.get_ylabel()) == ("messages complete (%)", "messages (n)")
    assert counts.get_xlabel() == "time (UTC)"
    caption = rates.get_title(loc="left")
    for words in ("filter evidence", "policy deployed", "last 1h", "at most n = 10", "happy-$animal$-123"):
        assert words in caption


def test_rates_are_drawn_with_and_without_what_is_left_out_and_a_clock_without_messages_is_a_gap() -> None:
    lines = _lines(_series(LEFTOVERS))
    raw, without = lines["raw: every message"], lines["without what tests left behind"]
    assert raw[:2] == [100.0, 90.0]
    assert without[:2] == [100.0, 100.0]
    assert math.isnan(raw[2]) and math.isnan(without[2])
    assert raw[3] == without[3] == 50.0


def test_a_clock_at_which_nothing_is_known_is_a_gap_though_it_has_numbers() -> None:
    raw = _lines(_series(LEFTOVERS, unknown=lambda n: [GAP] if n == 0 else ()))["raw: every message"]
    assert math.isnan(raw[0])
    assert raw[1] == 90.0


def test_only_test_messages_leave_the_line_without_them_open() -> None:
    lines = _lines(_series([(1, 2, 0, 0), (1, 2, 0, 0)]))
    assert lines["raw: every message"][0] == 50.0
    assert math.isnan(lines["without what tests left behind"][0])


def test_the_background_tells_degraded_by_tests_from_degraded_without_them() -> None:
    figure = charts.health_series(_series(LEFTOVERS))
    spans = {str(patch.get_label()): patch for patch in figure.axes[0].patches}
    day_ms = 24 * HOUR_MS
    for label, tick in (("degraded by tests only", 1), ("degraded without tests too", 3)):
        left = (NOW_MS + tick * HOUR_MS) / day_ms
        assert spans[label].get_x() == pytest.approx(left)
        assert spans[label].get_width() == pytest.approx(HOUR_MS / day_ms)


@pytest.mark.parametrize(("policy", "limit"), [(DEPLOYED, "limit 90 %"), (ROLLOUT, "limit 95 %")])
def test_the_limit_is_the_policys(policy: Policy, limit: str) -> None:
    assert limit in _lines(_series(LEFTOVERS, policy=policy))


def test_a_policy_without_a_completion_limit_draws_none() -> None:
    policy = replace(DEPLOYED, rules=(Rule("stuck_messages", "<=", 3),))
    assert not any(label.startswith("limit") for label in _lines(_series(LEFTOVERS, policy=policy)))


def test_reported_answers_are_marks_at_their_own_time() -> None:
    marks = [Mark(NOW_MS + 1000, 0.9, "degraded")]
    figure = charts.health_series(_series(LEFTOVERS, reported=marks))
    line = next(line for line in figure.axes[0].get_lines() if line.get_label() == "reported by the deployment")
    assert line.get_linestyle() == "None"
    assert list(line.get_ydata()) == [90.0]
    assert list(line.get_xdata()) == [pytest.approx((NOW_MS + 1000) / (24 * HOUR_MS))]


def test_nothing_left_out_draws_no_second_line() -> None:
    labels = set(_lines(_series(LEFTOVERS, filter_name=FilterName.NONE)))
    assert "without what tests left behind" not in labels


@pytest.mark.parametrize(
    "ticks", [[(0, 0, 0, 0)], [(3, 3, 3, 3)], [(0, 0, 0, 0)] * 50, [(3 * 10**6, 3 * 10**6, 1, 1)] * 3]
)
def test_none_one_and_millions_of_messages_can_be_drawn(ticks: list[tuple[int, int, int, int]], tmp_path: Path) -> None:
    figure = charts.health_series(_series(ticks))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == (["no messages in this time"] if ticks[0][1] == 0 else [])
    charts.save(figure, tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["c.png", "c.svg"])
def test_the_same_series_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}-{name}" for n in range(2)]
    for file in files:
        charts.save(charts.health_series(_series(LEFTOVERS)), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_names_in_an_svg_are_text_and_neither_markup_nor_formula(tmp_path: Path) -> None:
    series = _series(LEFTOVERS)
    named = replace(SNAPSHOT, deployment=Deployment("<script>alert(1)</script> $\\frac{1}{2}$"))
    charts.save(charts.health_series(replace(series, snapshot=named)), tmp_path / "c.svg")
    svg = (tmp_path / "c.svg").read_text()
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "frac" in svg


def test_a_folder_that_does_not_exist_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="cannot write the chart"):
        charts.save(charts.health_series(_series(LEFTOVERS)), tmp_path / "none" / "c.png")
