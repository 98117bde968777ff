"""Charts: a question as title, the numbers of the report on the axes, the same bytes every time, whatever n is."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analyzer.analysis.verdict import RolloutReport
from analyzer.report import charts, charts_canvas, charts_rollout, charts_svg, charts_time
from analyzer.report.charts_canvas import label_rows
from analyzer.report.charts_time import FlagHistory, Moment, Usual
from tests.report.reports import HOUR_MS, NASTY, T0_MS, report, without_metrics

Draw = Callable[[RolloutReport], Figure]

COUNTS = (0, 3, 60, 3_000_000)
MOMENTS = (Moment("change 1", T0_MS, T0_MS + 60_000, "change"),)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [label.get_text() for label in (*axes.get_yticklabels(), *axes.get_xticklabels())]
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
    return found


def points(line: Line2D) -> list[tuple[float, float]]:
    """Return x and y of all that a line goes through."""
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata(), dtype=float)]


def title(figure: Figure) -> str:
    return figure.get_suptitle().strip()


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("draw", [charts_rollout.metric_values, charts_rollout.differences])
def test_a_chart_asks_a_question_and_has_a_row_for_every_metric(draw: Draw, n: int) -> None:
    figure = draw(report(n))
    assert title(figure).endswith("?")
    shown = " ".join(texts(figure))
    for metric in report(n).metrics:
        assert metric.title in shown
    figure.savefig(io.BytesIO(), format="png")


def test_values_are_drawn_where_they_are_with_their_intervals_and_n_beside_them() -> None:
    found = report(60)
    figure = charts_rollout.metric_values(found)
    first, axes = found.metrics[0], figure.axes[0]
    own = [line for line in axes.lines if 0 < points(line)[0][1] < 0.5 or -0.3 < points(line)[0][1] < 0]
    (before,) = [points(line)[0][0] for line in own if line.get_marker() == "o"]
    (after,) = [points(line)[0][0] for line in own if line.get_marker() == "D"]
    bars = [tuple(x for x, _ in points(line)) for line in own if len(points(line)) == 2]
    assert first.baseline.rate is not None and first.after.rate is not None
    scale = (after - before) / (first.after.rate - first.baseline.rate)
    for side, mark in ((first.baseline, before), (first.after, after)):
        assert side.rate is not None and side.interval is not None
        ends = tuple(mark + (end - side.rate) * scale for end in side.interval)
        assert any(bar == pytest.approx(ends) for bar in bars)
    assert "6.7% (4 of 60)" in texts(figure) and "1.1% (2 of 180)" in texts(figure)


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("draw", [charts_rollout.metric_values, charts_rollout.differences])
def test_nothing_that_is_written_in_a_chart_is_cut_off_at_its_edge(draw: Draw, n: int) -> None:
    figure = draw(report(n))
    FigureCanvasAgg(figure).draw()
    width, height = figure.bbox.size
    named = [label for axes in figure.axes if axes.axison for label in axes.get_yticklabels()]
    written = [*figure.texts, *named, *(text for axes in figure.axes for text in axes.texts)]
    for text in written:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text.get_text()


def test_a_metric_that_was_not_measured_has_no_row_and_is_counted() -> None:
    found = report(60)
    missing = replace(found.metrics[0], reason_code="not_measured")
    figure = charts_rollout.metric_values(replace(found, metrics=(missing, *found.metrics[1:])))
    assert missing.title not in texts(figure)
    assert any("not measured: 1" in text for text in texts(figure))


def test_names_of_moments_never_lie_on_each_other_whatever_their_number() -> None:
    places = [(0.0, "change 1"), (0.1, "T+1h"), (0.2, "T+6h"), (5.0, "T+24h")]
    assert label_rows(places, 1.0) == [0, 1, 2, 0]
    assert label_rows([], 1.0) == []


def test_baseline_and_after_look_the_same_in_every_chart() -> None:
    values = charts_rollout.metric_values(report(60)).axes[0]
    usual = charts_time.usual_values([Usual("Messages complete", (0.9, 1.0), 0.8)], HOUR_MS).axes[0]
    for axes in (values, usual):
        colours = {line.get_color() for line in axes.lines}
        assert {charts_canvas.BASELINE, charts_canvas.POST} <= colours


def test_differences_turn_every_metric_so_that_worse_is_right() -> None:
    found = report(60)
    lower = next(m for m in found.metrics if m.id == "workflow_completion_rate")
    assert lower.difference.value is not None and lower.difference.value < 0  # completion fell, which is worse
    row = list(found.metrics).index(lower)
    axes = charts_rollout.differences(found).axes[0]
    marks = {y: x for line in axes.lines if line.get_marker() == "D" for x, y in points(line)[:1]}
    assert marks[row] == pytest.approx(-lower.difference.value * 100)


def test_a_chart_without_data_says_so() -> None:
    assert "no metric was compared" in texts(charts_rollout.metric_values(without_metrics()))
    assert "no documents" in texts(charts_rollout.metric_values(report(0)))
    assert "no flag is known" in texts(charts_time.flag_timeline((), T0_MS, T0_MS + HOUR_MS, ()))
    assert "no documents before or after the change" in texts(charts_time.usual_values((), HOUR_MS))


def test_foreign_text_in_a_chart_is_no_formula_and_no_escape_sequence() -> None:
    flags = [FlagHistory("$x^{2$ \x1b[31m", ((T0_MS, None), (T0_MS + 5, True)))]
    figure = charts_time.flag_timeline(flags, T0_MS, T0_MS + HOUR_MS, MOMENTS)
    figure.savefig(io.BytesIO(), format="png")
    assert any("$x^{2$ \\x1b[31m" in text for text in texts(figure))


def test_a_flag_is_drawn_as_on_off_and_not_known() -> None:
    history = FlagHistory("A", ((T0_MS, None), (T0_MS + HOUR_MS, True), (T0_MS + 2 * HOUR_MS, False)))
    axes = charts_time.flag_timeline([history], T0_MS, T0_MS + 4 * HOUR_MS, ()).axes[0]
    assert [line.get_linestyle() for line in axes.lines] == [":", "-", "-"]
    assert [line.get_color() for line in axes.lines].count(charts_time.ON) == 1


# ---- as SVG in a page --------------------------------------------------------------------------------------------


def test_a_drawing_has_the_same_bytes_every_time_and_no_date(tmp_path: Path) -> None:
    for name in ("one.svg", "other.svg", "one.png", "other.png"):
        charts.save(charts_rollout.metric_values(report(60)), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    assert "<dc:date>" not in (tmp_path / "one.svg").read_text()


def test_a_drawing_has_names_of_its_own_a_title_and_nothing_that_rules_the_page() -> None:
    svg = charts_svg.inline(charts_rollout.metric_values(report(60, NASTY)), "mine", "<b>", "a & b")
    root = Xml.fromstring(svg)
    assert all(e.get("id", "mine-").startswith("mine-") for e in root.iter())
    assert root.findtext(f"{{{charts_svg.SVG}}}title") == "<b>"
    assert root.find(f".//{{{charts_svg.SVG}}}style") is None
    known = {e.get("id") for e in root.iter()}
    links = [value.removeprefix("#") for e in root.iter() for key, value in e.attrib.items() if key.endswith("href")]
    assert links and set(links) <= known


def test_every_colour_of_a_drawing_follows_the_page() -> None:
    svg = charts_svg.inline(charts_rollout.differences(report(60)), "x", "t", "d")
    assert f"var(--c-{charts_canvas.POST.removeprefix('#')}, {charts_canvas.POST})" in svg
    assert charts_canvas.POST.removeprefix("#") in charts_svg.DARK
