"""Charts of a rollout over time: health, documents an hour, usual values of the baseline, and flags. See `charts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from analyzer.analysis.buckets import Buckets
from analyzer.analysis.series import Series
from analyzer.report import charts
from analyzer.report.charts_canvas import (
    BASELINE,
    GRID,
    MUTED,
    POST,
    RULE,
    WIDTH_INCHES,
    Room,
    bare,
    empty,
    label_rows,
    legend,
    name_rows,
    new_figure,
    place,
)
from analyzer.units import MS_OF_UNIT, count, duration, truncated, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMPLETE, OPEN, ERRORS = "#0072b2", "#9ecae1", "#d55e00"
CHANGE, ON, OFF = "#009e73", "#009e73", "#dddddd"
LEFT_INCHES, FLAG_INCHES, RIGHT_INCHES = 0.75, 2.45, 0.45  # the last name may reach into the right one
LABEL_ROW_INCHES, LABEL_ROWS = 0.15, 4  # of the names of moments; those that do not fit are left out


@dataclass(frozen=True, slots=True)
class Moment:
    """A change or a checkpoint on an axis of time."""

    label: str
    from_ms: int
    to_ms: int  # the same for a moment without length
    kind: str  # "change" or "checkpoint"


@dataclass(frozen=True, slots=True)
class FlagHistory:
    """What one flag was, as far as is known."""

    name: str
    points: tuple[tuple[int, bool | None], ...]  # from when on, and what: None where it is not known; oldest first


@dataclass(frozen=True, slots=True)
class Usual:
    """One rate in every stretch of the baseline as long as the look, and in the look."""

    title: str
    baseline: tuple[float, ...]  # shares, oldest first
    after: float | None


def health_over_time(series: Series, moments: Sequence[Moment]) -> Figure:
    """Draw health as reported, raw and without tests, with changes shaded and checkpoints marked."""
    first_ms, end_ms = series.grid.first_ms, series.grid.clocks[-1] + series.grid.step_ms
    labels = _labels(moments, (first_ms, end_ms), LEFT_INCHES)
    rows = max((row for _, row in labels), default=-1) + 1
    figure = new_figure(charts.question(series), charts.caption(series), 4.3 + LABEL_ROW_INCHES * rows)
    room = Room(LEFT_INCHES, RIGHT_INCHES, below=1.0, above=0.1 + LABEL_ROW_INCHES * rows, between=0.12)
    rates, counts = place(figure, (3, 1), room, share_x=True)
    charts.draw(rates, counts, series)
    for axes in (rates, counts):
        _draw_moments(axes, moments, labels if axes is rates else ())
        axes.set_xlim(_days(first_ms), _days(end_ms))
        axes.yaxis.label.set_fontsize(8.5)
        bare(axes)
    time_axis(counts)
    rates.tick_params(labelbottom=False)
    named = [axes.get_legend_handles_labels() for axes in (rates, counts)]
    legend(figure, [h for handles, _ in named for h in handles], [n for _, names in named for n in names], 3)
    return figure


def documents_an_hour(buckets: Buckets, moments: Sequence[Moment]) -> Figure:
    """Draw how many documents completed, failed or were still open, stacked by hour, with those of tests set apart."""
    labels = _labels(moments, (buckets.first_ms, buckets.end_ms), LEFT_INCHES)
    rows = max((row for _, row in labels), default=-1) + 1
    figure = new_figure(
        "How much was done, and how much failed?",
        f"documents made in each {duration(buckets.step_ms)} · filter {buckets.filter.value} · hatched: of tests",
        4.2 + LABEL_ROW_INCHES * rows,
    )
    if not buckets.ended:
        return empty(figure, "no message and no workflow in this time")
    room = Room(LEFT_INCHES, RIGHT_INCHES, below=0.85, above=0.1 + LABEL_ROW_INCHES * rows, between=0.2)
    panels = place(figure, (1, 1), room, share_x=True)
    _draw_hours(panels[0], buckets, "messages", "chatMessages")
    _draw_hours(panels[1], buckets, "workflows", "workflowTraces")
    for axes in panels:
        _draw_moments(axes, moments, labels if axes is panels[0] else ())
        axes.set_xlim(_days(buckets.first_ms), _days(buckets.end_ms))
    time_axis(panels[1])
    panels[0].tick_params(labelbottom=False)
    handles, names = panels[0].get_legend_handles_labels()
    legend(figure, handles, names, 4)
    return figure


def usual_values(rates: Sequence[Usual], length_ms: int) -> Figure:
    """Draw what each rate was in stretches of the baseline as long as the look, and where the look lies among them."""
    shown = [rate for rate in rates if rate.baseline or rate.after is not None]
    figure = new_figure(
        "Is the time after the change unusual for this deployment?",
        f"grey: stretches of {duration(length_ms)} before the change · purple: after it · documents of tests left out",
        1.0 + 0.8 * max(1, len(shown)),
    )
    if not shown:
        return empty(figure, "no documents before or after the change")
    panels = place(figure, [1] * len(shown), Room(0.15, 0.3, below=0.3, above=0.2, between=0.45))
    for axes, rate in zip(panels, shown, strict=True):
        _draw_usual(axes, rate)
    return figure


def flag_timeline(flags: Sequence[FlagHistory], from_ms: int, to_ms: int, moments: Sequence[Moment]) -> Figure:
    """Draw when each flag was on."""
    checkpoints = [moment for moment in moments if moment.kind == "checkpoint"]
    labels = _labels(checkpoints, (from_ms, to_ms), FLAG_INCHES)
    rows = max((row for _, row in labels), default=-1) + 1
    figure = new_figure(
        "When was each flag on?",
        "green: on · thin grey: off · dotted: not known · upright: planned looks",
        1.3 + LABEL_ROW_INCHES * rows + 0.34 * max(1, len(flags)),
    )
    if not flags:
        return empty(figure, "no flag is known")
    (axes,) = place(figure, [1], Room(FLAG_INCHES, RIGHT_INCHES, below=0.5, above=0.1 + LABEL_ROW_INCHES * rows))
    for row, flag in enumerate(flags):
        ends = [*(at_ms for at_ms, _ in flag.points[1:]), to_ms]
        for (start_ms, is_on), end_ms in zip(flag.points, ends, strict=True):
            _draw_flag(axes, row, max(start_ms, from_ms), min(end_ms, to_ms), is_on)
    _draw_moments(axes, checkpoints, labels)
    axes.set_xlim(_days(from_ms), _days(to_ms))
    name_rows(axes, [truncated(visible(flag.name), 34) for flag in flags])
    bare(axes, left=False)
    time_axis(axes)
    return figure


# ---- parts -------------------------------------------------------------------------------------------------------


def time_axis(axes: Axes) -> None:
    """Label the lower axis with times in UTC."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.xaxis.get_offset_text().set_fontsize(8.5)
    axes.set_xlabel("time (UTC)", fontsize=8.5)


def _days(at_ms: float) -> float:
    return at_ms / MS_OF_UNIT["d"]


def _labels(moments: Sequence[Moment], span_ms: tuple[int, int], left_inches: float) -> list[tuple[Moment, int]]:
    """Return the moments inside a span that are named above the axes, and in which row; those that fit."""
    inside = [moment for moment in moments if span_ms[0] <= moment.from_ms <= span_ms[1]]
    inches_of_day = (WIDTH_INCHES - left_inches - RIGHT_INCHES) / max(_days(span_ms[1] - span_ms[0]), 1e-9)
    places = [(_days(moment.from_ms), _short(moment)) for moment in inside]
    rows = label_rows(places, inches_of_day)
    return [(moment, row) for moment, row in zip(inside, rows, strict=True) if row < LABEL_ROWS]


def _short(moment: Moment) -> str:
    return truncated(visible(moment.label), 20)


def _draw_moments(axes: Axes, moments: Sequence[Moment], labels: Sequence[tuple[Moment, int]]) -> None:
    from matplotlib.transforms import offset_copy

    for moment in moments:
        is_change = moment.kind == "change"
        if is_change and moment.to_ms > moment.from_ms:
            axes.axvspan(_days(moment.from_ms), _days(moment.to_ms), color=CHANGE, alpha=0.25, linewidth=0)
        colour, style = (CHANGE, "-") if is_change else (MUTED, (0, (4, 3)))
        axes.axvline(_days(moment.from_ms), color=colour, linewidth=1.6 if is_change else 0.9, linestyle=style)
    for moment, row in labels:
        at = axes.get_xaxis_transform()
        raised = offset_copy(at, axes.figure, x=0, y=0.05 + LABEL_ROW_INCHES * row, units="inches")  # type: ignore[arg-type]
        axes.text(
            _days(moment.from_ms),
            1.0,
            _short(moment),
            transform=raised,
            fontsize=7.5,
            color=CHANGE if moment.kind == "change" else MUTED,
            va="bottom",
            ha="left",
            parse_math=False,
        )


def _draw_hours(axes: Axes, buckets: Buckets, noun: str, table: str) -> None:
    """Draw one table as stacked steps: a bar each would be as many drawings as there are hours."""
    ended = buckets.of(table)
    edges = [_days(start_ms) for start_ms in (*buckets.starts_ms, buckets.end_ms)]
    bottoms = [0] * len(ended)
    tests: dict[str, Any] = {"facecolor": charts.LEFT_OUT, "edgecolor": "#7a5200", "hatch": "////"}
    parts: tuple[tuple[str, list[int], dict[str, Any]], ...] = (
        ("complete", [e.completed for e in ended], {"facecolor": COMPLETE}),
        ("open", [e.other for e in ended], {"facecolor": OPEN}),
        ("failed", [e.failed for e in ended], {"facecolor": ERRORS}),
        ("of tests", [e.left_out for e in ended], tests),
    )
    for label, heights, style in parts:
        tops = [low + height for low, height in zip(bottoms, heights, strict=True)]
        axes.stairs(tops, edges, baseline=bottoms, fill=True, linewidth=0, label=label, **style)
        bottoms = tops
    total = sum(e.documents + e.left_out for e in ended)
    axes.set_ylabel(f"{noun}\n(n = {count(total)})", fontsize=8.5)
    axes.locator_params(axis="y", nbins=5, integer=True)
    axes.set_ylim(0, max([1, *bottoms]) * 1.08)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    bare(axes)


def _draw_usual(axes: Axes, rate: Usual) -> None:
    shares = sorted(rate.baseline)
    known = [*shares, *([] if rate.after is None else [rate.after])]
    low, high = min(known), max(known)
    pad = max((high - low) * 0.08, 0.004)
    low, high = max(0.0, low - pad), min(1.0, high + pad)
    seen: dict[int, int] = {}
    levels = []
    for share in shares:  # equal ones are stacked, so that each stretch is one mark
        column = round((share - low) / max(high - low, 1e-9) * 80)
        seen[column] = seen.get(column, 0) + 1
        levels.append(seen[column])
    ring: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markersize": 6, "linestyle": ""}
    axes.plot([share * 100 for share in shares], levels, color=BASELINE, clip_on=False, **ring)
    if rate.after is not None:
        axes.axvline(rate.after * 100, color=POST, linewidth=1.5)
        axes.plot([rate.after * 100], [1], color=POST, marker="D", markersize=7, linestyle="", clip_on=False)
    axes.set_ylim(0, max([2, *seen.values()]) + 0.8)
    axes.set_xlim(low * 100, high * 100)
    axes.set_yticks([])
    axes.set_title(f"{rate.title} (%), n = {count(len(shares))} stretches", fontsize=9, loc="left", parse_math=False)
    bare(axes, left=False)


def _draw_flag(axes: Axes, row: int, start_ms: int, end_ms: int, is_on: bool | None) -> None:
    if end_ms <= start_ms:
        return
    ends = [_days(start_ms), _days(end_ms)]
    if is_on:
        axes.plot(ends, [row, row], color=ON, linewidth=9, solid_capstyle="butt")
    else:
        style = ":" if is_on is None else "-"
        axes.plot(ends, [row, row], color=MUTED if is_on is None else RULE, linewidth=1.5, linestyle=style)
