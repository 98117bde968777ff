"""Charts of one comparison: what every metric was before and after, and how far apart that is. See `charts`.

The baseline is a grey ring and the time after the change a purple diamond, here and in every other chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyzer.analysis.verdict import Measured, MetricResult, RolloutReport
from analyzer.report import rollout_words as words
from analyzer.units import count, truncated, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE, POST = "#6b6b6b", "#8a2d7f"  # told apart by lightness and by marker as well
HARM, MUTED, GRID = "#f2d5d5", "#555555", "#dddddd"
WIDTH_INCHES = 7.6
ROW_INCHES = 0.52
LABEL_COLUMNS = 34
_PLACES = {True: (0.22, BASELINE, "o", "white"), False: (-0.22, POST, "D", POST)}  # is_baseline: height, mark


def metric_values(report: RolloutReport) -> Figure:
    """Draw every metric before and after with its 95 % interval: a row a metric, each on a scale of its own."""
    metrics = report.metrics
    figure = new_figure(
        "What was each metric before and after?",
        f"{_deployment(report)} · filter {report.filter.name.value} · bars: 95 % interval · n: documents",
        max(1, len(metrics)) * ROW_INCHES + 1.2,
    )
    if not metrics:
        return empty(figure, "no metric was compared")
    rows = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
    for axes, metric in zip(rows, metrics, strict=True):
        _draw_values(axes, metric)
    _legend_of_sides(figure)
    return figure


def differences(report: RolloutReport) -> Figure:
    """Draw a forest of differences, worse to the right, with the margin that each may use up."""
    panels = [
        (unit_label, scale, chosen)
        for unit_label, scale, chosen in (
            ("percentage points", 100.0, [m for m in report.metrics if m.unit == "share"]),
            ("% of the baseline", 100.0, [m for m in report.metrics if m.unit != "share"]),
        )
        if chosen
    ]
    figure = new_figure(
        "Did anything get worse by more than its margin?",
        f"{_deployment(report)} · after minus baseline, turned so that right is worse · bars: 95 % interval",
        len(report.metrics) * 0.42 + 1.2 + 0.6 * len(panels),
    )
    if not panels:
        return empty(figure, "no metric was compared")
    heights = [len(chosen) + 1 for _, _, chosen in panels]
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (unit_label, scale, chosen) in zip(axes, panels, strict=True):
        _draw_forest(panel, chosen, scale, unit_label)
    return figure


# ---- what all charts of a report share ---------------------------------------------------------------------------


def new_figure(question: str, caption: str, height_inches: float) -> Figure:
    """Return an empty figure with a question as its title and a caption under it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    figure.suptitle(
        f"{question}\n", fontsize=13, fontweight="bold", x=0.01, ha="left", linespacing=1.7, parse_math=False
    )
    gap = 0.42 / height_inches  # below the first line of the title, whatever the height
    figure.text(
        0.01, 1 - gap, truncated(caption, 118), fontsize=8.5, color=MUTED, va="center", ha="left", parse_math=False
    )
    return figure


def empty(figure: Figure, sentence: str) -> Figure:
    """Say in a figure why there is nothing to draw."""
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", color=MUTED, parse_math=False)
    return figure


def bare(axes: Axes) -> None:
    """Take away what carries no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=3, labelsize=8.5)


def _deployment(report: RolloutReport) -> str:
    return truncated(visible(report.deployment), 40)


# ---- values ------------------------------------------------------------------------------------------------------


def _draw_values(axes: Axes, metric: MetricResult) -> None:
    sides = {True: metric.baseline, False: metric.after}
    for is_baseline, side in sides.items():
        if side.rate is not None:
            _mark(axes, side, is_baseline)
    axes.set_ylim(-0.6, 0.6)
    axes.set_yticks([0], [_title(metric)], fontsize=9)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(*_limits(list(sides.values()), metric.unit))
    if all(side.rate is None for side in sides.values()):
        axes.set_xticks([])
    else:
        _ticks(axes, metric.unit)
    bare(axes)
    axes.spines["left"].set_visible(False)
    for (height, colour, *_), side in ((_PLACES[key], side) for key, side in sides.items()):
        axes.text(
            1.04,
            0.5 + height,
            words.measured(side, metric.unit),
            transform=axes.transAxes,
            fontsize=8.5,
            color=colour,
            va="center",
            parse_math=False,
        )


def _mark(axes: Axes, side: Measured, is_baseline: bool) -> None:
    height, colour, marker, face = _PLACES[is_baseline]
    rate = side.rate or 0.0
    if side.interval is not None:
        axes.plot([side.interval.low, side.interval.high], [height, height], color=colour, linewidth=2.5, alpha=0.7)
    label = "baseline" if is_baseline else "after the change"
    axes.plot(
        [rate],
        [height],
        color=colour,
        marker=marker,
        markerfacecolor=face,
        markeredgewidth=1.8,
        markersize=6.5,
        linestyle="",
        label=label,
        clip_on=False,
        zorder=3,
    )


def _limits(sides: Sequence[Measured], unit: str) -> tuple[float, float]:
    """Return the ends of a row's scale: around what is known, shares within 0..1, counts from 0."""
    known = [side.rate for side in sides if side.rate is not None]
    known += [end for side in sides if side.interval is not None for end in side.interval]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    pad = max((high - low) * 0.06, 0.005 if unit == "share" else abs(high) * 0.05, 1e-9)
    low, high = low - pad, high + pad
    if unit == "share":
        return max(low, 0.0), min(high, 1.0)
    return max(low, 0.0), high if high > 1e-6 else 1.0


def _ticks(axes: Axes, unit: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    low, high = axes.get_xlim()
    digits = 0 if high - low > 0.05 else 1 if high - low > 0.005 else 2

    def write(number: float, _: int) -> str:
        return f"{number * 100:.{digits}f} %" if unit == "share" else words.value(number, unit)

    axes.xaxis.set_major_formatter(FuncFormatter(write))
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def _legend_of_sides(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, markeredgewidth=1.8, markersize=6.5, label=n)
        for (_, colour, marker, face), n in ((_PLACES[True], "baseline"), (_PLACES[False], "after the change"))
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)


# ---- differences -------------------------------------------------------------------------------------------------


def _draw_forest(axes: Axes, metrics: Sequence[MetricResult], scale: float, unit_label: str) -> None:
    ends = [0.0]
    for row, metric in enumerate(metrics):
        size = _relative(metric)
        limit = metric.margin * scale
        ends += [limit, -limit * 0.5]
        axes.plot([limit, limit], [row - 0.32, row + 0.32], color="#b00020", linewidth=1.6)
        if size is None or metric.difference.value is None:
            axes.text(0, row, " not known", fontsize=8.5, color=MUTED, va="center")
            continue
        turned = 1 if metric.direction == "higher_is_worse" else -1
        middle = metric.difference.value * size * scale * turned
        ends.append(middle)
        if metric.difference.interval is not None:
            bounds = [end * size * scale * turned for end in metric.difference.interval]
            ends += bounds
            axes.plot(bounds, [row, row], color=POST, linewidth=2.2, alpha=0.75)
        axes.plot([middle], [row], color=POST, marker="D", markersize=6, linestyle="")
    axes.axvline(0, color=MUTED, linewidth=1)
    low, high = min(ends), max(ends)
    pad = max((high - low) * 0.05, 0.1)
    axes.set_xlim(low - pad, high + pad)
    axes.set_ylim(len(metrics) - 0.5, -0.5)
    axes.set_yticks(range(len(metrics)), [_title(metric) for metric in metrics], fontsize=9)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", length=0)
    for row, metric in enumerate(metrics):
        n = f"n {count(metric.baseline.n)} → {count(metric.after.n)}"
        axes.text(1.02, row, n, transform=axes.get_yaxis_transform(), fontsize=8.5, color=MUTED, va="center")
    axes.set_xlabel(f"← better · worse → ({unit_label}); red: margin", fontsize=8.5)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    bare(axes)
    axes.spines["left"].set_visible(False)


def _relative(metric: MetricResult) -> float | None:
    """Return by what to multiply a difference so that it compares with the margin; None without a baseline."""
    if metric.unit == "share":
        return 1.0
    return 1 / metric.baseline.rate if metric.baseline.rate else None


def _title(metric: MetricResult) -> str:
    role = "" if metric.role == "guardrail" else f" ({metric.role})"
    return truncated(visible(metric.title), LABEL_COLUMNS - len(role)) + role
