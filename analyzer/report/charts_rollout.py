"""Charts of one comparison: what every metric was before and after, and how far apart that is. See `charts`.

The baseline is a grey ring and the time after the change a purple diamond, here and in every other chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyzer.analysis.verdict import MetricResult, RolloutReport
from analyzer.report import rollout_words as words
from analyzer.report.charts_canvas import (
    BASELINE,
    GRID,
    LIMIT,
    MUTED,
    POST,
    RULE,
    Room,
    bare,
    beside,
    empty,
    legend,
    name_rows,
    new_figure,
    place,
)
from analyzer.units import count, truncated, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES, FOREST_INCHES = 0.58, 0.4
NAME_INCHES = 2.75
NAME_LENGTH = 38  # characters
_PLACES = {True: (0.16, BASELINE, "o", "white"), False: (-0.14, POST, "D", POST)}  # is_baseline: height, mark


def metric_values(report: RolloutReport) -> Figure:
    """Draw every metric before and after with its 95 % interval: a row a metric, each on a scale of its own.

    All rows share one pair of axes, 0 to 1 in each row: as many axes as metrics would take most of a page's time.
    """
    metrics = measured_metrics(report)
    figure = new_figure(
        "What was each metric before and after?",
        f"{_deployment(report)} · filter {report.filter.name.value} · bars: 95 % interval · each row on its own scale"
        + _not_measured(report),
        max(1, len(metrics)) * ROW_INCHES + 1.0,
    )
    if not metrics:
        return empty(figure, "no metric was compared")
    numbers = [words.side(metric, side) for metric in metrics for side in (metric.baseline, metric.after)]
    (axes,) = place(figure, [1], Room(NAME_INCHES, beside(numbers), below=0.35))
    for row, metric in enumerate(metrics):
        _draw_values(axes, metric, -row)
    axes.set_xlim(0, 1)
    axes.set_ylim(0.5 - len(metrics), 0.5)
    axes.set_axis_off()
    _legend_of_sides(figure)
    return figure


def differences(report: RolloutReport) -> Figure:
    """Draw a forest of differences, worse to the right, with the margin that each may use up."""
    measured = measured_metrics(report)
    panels = [
        (unit_label, chosen)
        for unit_label, chosen in (
            ("percentage points", [m for m in measured if m.unit == "share"]),
            ("% of the baseline", [m for m in measured if m.unit != "share"]),
        )
        if chosen
    ]
    figure = new_figure(
        "Did anything get worse by more than its margin?",
        f"{_deployment(report)} · after minus baseline, turned so that right is worse · bars: 95 % interval",
        len(measured) * FOREST_INCHES + 1.15 + 0.55 * max(0, len(panels) - 1),
    )
    if not panels:
        return empty(figure, "no metric was compared")
    room = Room(NAME_INCHES, beside([_counts(metric) for metric in measured]), below=0.5, between=0.55)
    axes = place(figure, [len(chosen) for _, chosen in panels], room)
    for panel, (unit_label, chosen) in zip(axes, panels, strict=True):
        _draw_forest(panel, chosen, unit_label)
    return figure


def measured_metrics(report: RolloutReport) -> tuple[MetricResult, ...]:
    """Return the metrics of which anything could be known; the tables name the others, with the reason."""
    return tuple(metric for metric in report.metrics if metric.reason_code not in words.NOT_MEASURED)


def _not_measured(report: RolloutReport) -> str:
    missing = len(report.metrics) - len(measured_metrics(report))
    return f" · not measured: {missing}" if missing else ""


def _deployment(report: RolloutReport) -> str:
    return truncated(visible(report.deployment), 40)


# ---- values ------------------------------------------------------------------------------------------------------


def _draw_values(axes: Axes, metric: MetricResult, row: int) -> None:
    """Draw one row: its name, both sides, what stands behind them, and a scale of its own."""
    sides = {True: metric.baseline, False: metric.after}
    low, high = _limits(metric)
    way = "right" if metric.direction == "higher_is_worse" else "left"
    name = truncated(visible(metric.title), NAME_LENGTH)
    axes.text(-0.05, row + 0.1, name, fontsize=9, ha="right", va="center", parse_math=False)
    note = f"{metric.role} · {metric.verdict.value} · {way} is worse"
    axes.text(-0.05, row - 0.2, note, fontsize=7, color=MUTED, ha="right", va="center")
    if any(side.rate is not None for side in sides.values()):
        _draw_scale(axes, row, (low, high), metric.unit)
    for is_baseline, side in sides.items():
        height, colour, marker, face = _PLACES[is_baseline]
        y = row + height
        behind = words.side(metric, side)
        axes.text(1.07, y + (0.03 if is_baseline else -0.03), behind, fontsize=8.5, color=colour, va="center")
        if side.rate is None:
            continue
        if side.interval is not None:
            ends = [(end - low) / (high - low) for end in side.interval]
            axes.plot(ends, [y, y], color=colour, linewidth=2.5, alpha=0.7, clip_on=False)
        axes.plot(
            [(side.rate - low) / (high - low)],
            [y],
            color=colour,
            marker=marker,
            markerfacecolor=face,
            markeredgewidth=1.8,
            markersize=6.5,
            linestyle="",
            clip_on=False,
            zorder=3,
        )


def _draw_scale(axes: Axes, row: int, ends: tuple[float, float], unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = ends
    floor = row - 0.3
    digits = 0 if high - low > 0.05 else 1 if high - low > 0.005 else 2
    places = []
    for tick in MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high):
        x = (tick - low) / (high - low)
        if -1e-9 <= x <= 1 + 1e-9:
            places.append(x)
            text = f"{tick * 100:.{digits}f}%" if unit == "share" else words.value(float(tick), unit)
            axes.text(x, floor - 0.04, text, fontsize=7, color=MUTED, ha="center", va="top")
    axes.vlines(places, floor, row + 0.3, color=GRID, linewidth=0.6, zorder=0)
    axes.hlines(floor, 0, 1, color=RULE, linewidth=0.8, zorder=0)


def _limits(metric: MetricResult) -> tuple[float, float]:
    """Return the ends of a row's scale: around what is known, shares within 0..1, counts from 0."""
    sides = (metric.baseline, metric.after)
    known = [side.rate for side in sides if side.rate is not None]
    known += [end for side in sides if side.interval is not None for end in side.interval]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    is_share = metric.unit == "share"
    pad = max((high - low) * 0.06, 0.005 if is_share else abs(high) * 0.05, 1e-9)
    low, high = max(low - pad, 0.0), high + pad
    return (low, min(high, 1.0)) if is_share else (low, high if high > 1e-6 else 1.0)


def _legend_of_sides(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, markeredgewidth=1.8, markersize=6.5)
        for _, colour, marker, face in (_PLACES[True], _PLACES[False])
    ]
    legend(figure, handles, ["baseline", "after the change"], 2)


# ---- differences -------------------------------------------------------------------------------------------------


def _draw_forest(axes: Axes, metrics: Sequence[MetricResult], unit_label: str) -> None:
    ends = [0.0]
    for row, metric in enumerate(metrics):
        limit = metric.margin * 100
        ends += [limit, -limit * 0.5]
        axes.plot([limit, limit], [row - 0.32, row + 0.32], color=LIMIT, linewidth=1.6)
        beside_row = axes.get_yaxis_transform()
        axes.text(1.02, row, _counts(metric), transform=beside_row, fontsize=8, color=MUTED, va="center")
        size = _relative(metric)
        if size is None or metric.difference.value is None:
            axes.text(0, row, " not known", fontsize=8.5, color=MUTED, va="center")
            continue
        turned = 100 if metric.direction == "higher_is_worse" else -100
        middle = metric.difference.value * size * turned
        ends.append(middle)
        if metric.difference.interval is not None:
            bounds = [end * size * turned for end in metric.difference.interval]
            ends += bounds
            axes.plot(bounds, [row, row], color=POST, linewidth=2.2, alpha=0.75)
        axes.plot([middle], [row], color=POST, marker="D", markersize=6, linestyle="")
    axes.axvline(0, color=MUTED, linewidth=1)
    low, high = min(ends), max(ends)
    pad = max((high - low) * 0.05, 0.1)
    axes.set_xlim(low - pad, high + pad)
    name_rows(axes, [_name(metric) for metric in metrics])
    axes.set_xlabel(f"← better · worse → ({unit_label}); red: margin", fontsize=8.5)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    bare(axes, left=False)


def _counts(metric: MetricResult) -> str:
    return f"n {count(metric.baseline.n)} → {count(metric.after.n)}"


def _relative(metric: MetricResult) -> float | None:
    """Return by what to multiply a difference so that it compares with the margin; None without a baseline."""
    if metric.unit == "share":
        return 1.0
    return 1 / metric.baseline.rate if metric.baseline.rate else None


def _name(metric: MetricResult) -> str:
    role = "" if metric.role == "guardrail" else f" ({metric.role})"
    return truncated(visible(metric.title), NAME_LENGTH - len(role)) + role
