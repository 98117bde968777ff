"""Charts: matplotlib's only door. Each has a question as its title, units, and how many documents stand behind it.

A function returns the Figure without saving it; `save` writes it so that the same figure gives the same bytes.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.analysis.metrics import METRICS, Counts
from analyzer.analysis.series import Series, Tick
from analyzer.model import FilterName, Status
from analyzer.report.saving import save as save_file
from analyzer.units import MS_OF_UNIT, count, duration, truncated, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart with any colour vision, and in grey by width, line style and marker.
RAW, WITHOUT, REPORTED, LIMIT = "#d55e00", "#0072b2", "#000000", "#555555"
LEFT_OUT, KEPT = "#e69f00", "#0072b2"
TESTS_ONLY, PRODUCT = "#f6e3b4", "#e8b9cf"  # backgrounds: degraded by tests only, degraded without them too
SIZE_INCHES = (10.0, 5.6)
DPI = 120


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, whichever the name says; no date goes into it.

    raises  AnalyzerError when the file cannot be written, see `saving.save`
    """
    import matplotlib as mpl

    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "analyzer", "svg.fonttype": "none"}):
        figure.savefig(drawn, format=path.suffix[1:], dpi=DPI, metadata=metadata)
    save_file(path, drawn.getvalue())


def health_series(series: Series) -> Figure:
    """Draw message completion over time: raw, without tests, what was reported, and how many messages there were.

    A clock without messages, or at which nothing is known, is a gap in the lines. The background says where the policy
    calls the deployment degraded, and whether only what tests left behind makes it so.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    rates, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    draw(rates, counts, series)
    _time_axis(counts, series)
    figure.suptitle(question(series), fontsize=15, fontweight="bold", x=0.01, ha="left")
    rates.set_title(caption(series), fontsize=9.5, color="#444444", loc="left", parse_math=False)
    figure.legend(loc="outside lower left", ncols=4, frameon=False, fontsize=9.5)
    return figure


def draw(rates: Axes, counts: Axes, series: Series) -> None:
    """Draw the shares into one pair of axes and the counts behind them into another."""
    _draw_status(rates, series)
    _draw_rates(rates, series)
    _draw_counts(counts, series)


def question(series: Series) -> str:
    """Return what the chart answers."""
    is_filtered = series.filter is not FilterName.NONE
    return "Do messages complete, with and without what tests left behind?" if is_filtered else "Do messages complete?"


def caption(series: Series) -> str:
    """Return of what the chart is, with units and n."""
    policy, deployment = series.policy, series.snapshot.deployment
    name = truncated(visible(deployment.name), 40)
    n = max((tick.raw.counts.message_total for tick in series.ticks), default=0)
    return (
        f"{name} ({deployment.type.value}) · filter {series.filter.value} · policy {visible(policy.name)}:"
        f" messages of the last {duration(policy.window_ms)}, every {duration(series.grid.step_ms)},"
        f" at most n = {count(n)}"
    )


def _draw_rates(axes: Axes, series: Series) -> None:
    raw, without = _rates(series, lambda tick: tick.raw.counts), _rates(series, lambda tick: tick.without_tests.counts)
    _steps(axes, series, raw, color=RAW, linewidth=6, alpha=0.5, label="raw: every message")
    if series.filter is not FilterName.NONE:
        _steps(axes, series, without, color=WITHOUT, linewidth=2, label="without what tests left behind")
    if series.reported:
        axes.plot(
            [_time(mark.at_ms) for mark in series.reported],
            [mark.completion_rate * 100 for mark in series.reported],
            color=REPORTED,
            linestyle="",
            marker="x",
            markersize=10,
            markeredgewidth=2,
            label="reported by the deployment",
        )
    limit = next((rule.limit for rule in series.policy.rules if rule.id == "message_completion_rate"), None)
    known = [
        rate
        for rate in (*raw, *without, *(mark.completion_rate * 100 for mark in series.reported))
        if not math.isnan(rate)
    ]
    if limit is not None:
        axes.axhline(limit * 100, color=LIMIT, linewidth=1.2, linestyle=(0, (5, 3)), label=f"limit {limit * 100:g} %")
    if not known:
        axes.text(0.5, 0.5, "no messages in this time", transform=axes.transAxes, ha="center", color="#444444")
    lowest = min((*known, 100.0 if limit is None else limit * 100))
    axes.set_ylim(max(-3.0, math.floor((lowest - 4) / 10) * 10), 103)
    axes.set_ylabel("messages complete (%)")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    _bare(axes)


def _draw_counts(axes: Axes, series: Series) -> None:
    times = _edges(series)
    kept = _held([float(tick.without_tests.counts.message_total) for tick in series.ticks])
    every = _held([float(tick.raw.counts.message_total) for tick in series.ticks])
    axes.fill_between(times, 0, kept, step="post", color=KEPT, alpha=0.45, linewidth=0)
    if series.filter is not FilterName.NONE:
        axes.fill_between(times, kept, every, step="post", color=LEFT_OUT, linewidth=0, label="messages left out")
    axes.set_ylim(0, max([1.0, *every]) * 1.1)
    axes.set_ylabel("messages (n)")
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    _bare(axes)


def _draw_status(axes: Axes, series: Series) -> None:
    """Shade the clocks at which the policy says degraded; a stretch reaches to the next tick."""
    labels = {TESTS_ONLY: "degraded by tests only", PRODUCT: "degraded without tests too"}
    for colour, first, end in _stretches(series):
        axes.axvspan(_time(first), _time(end), color=colour, linewidth=0, zorder=0, label=labels.pop(colour, None))


def _stretches(series: Series) -> Iterator[tuple[str, int, int]]:
    for colour, group in itertools.groupby(series.ticks, key=_background):
        ticks = list(group)
        if colour:
            yield colour, ticks[0].at_ms, ticks[-1].at_ms + series.grid.step_ms


def _background(tick: Tick) -> str:
    if tick.without_tests.judgement.status is Status.DEGRADED:
        return PRODUCT
    return TESTS_ONLY if tick.raw.judgement.status is Status.DEGRADED else ""


def _time_axis(axes: Axes, series: Series) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    clocks, step_ms = series.grid.clocks, series.grid.step_ms
    axes.set_xlim(_time(clocks[0]), _time(clocks[-1] + step_ms))
    axes.set_xlabel("time (UTC)")


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=3)


def _steps(axes: Axes, series: Series, values: list[float], **style: Any) -> None:
    """Draw a value a tick, held until the next tick; NaN is a gap."""
    axes.plot(_edges(series), _held(values), drawstyle="steps-post", solid_capstyle="butt", **style)


def _edges(series: Series) -> list[float]:
    """Return where ticks begin, and where the last one ends."""
    clocks = series.grid.clocks
    return [_time(at_ms) for at_ms in (*clocks, clocks[-1] + series.grid.step_ms)]


def _held(values: list[float]) -> list[float]:
    return [*values, values[-1]]


def _time(at_ms: int) -> float:
    """Return days since the epoch, in which matplotlib's axes of time count."""
    return at_ms / MS_OF_UNIT["d"]


def _rates(series: Series, side: Callable[[Tick], Counts]) -> list[float]:
    """Return message completion in percent by tick, NaN where there is no message or nothing is known."""
    metric = METRICS["message_completion_rate"]
    rates = []
    for tick in series.ticks:
        counts = side(tick)
        is_known = counts.message_total and not any(u.id != "no-data" for u in tick.raw.judgement.unknown)
        rates.append((metric.value(counts) or 0.0) * 100 if is_known else math.nan)
    return rates
