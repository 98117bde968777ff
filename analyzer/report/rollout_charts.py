"""The charts over time of a report as blocks of its page, each with the numbers that it draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from analyzer.analysis.buckets import Buckets, Ended
from analyzer.analysis.metrics import Counts
from analyzer.analysis.series import Series
from analyzer.report import charts_time
from analyzer.report.charts_time import FlagHistory, Moment, Usual
from analyzer.report.page import Chart, Table
from analyzer.units import NOTHING, count, duration, instant, n_of_m, percent


def health(series: Series, moments: Sequence[Moment]) -> Chart:
    """Return health as reported, raw and without tests."""
    reported = {mark.at_ms: mark.status for mark in series.reported}
    step_ms = series.grid.step_ms
    rows = []
    for tick in series.ticks:
        said = [status for at_ms, status in reported.items() if tick.at_ms - step_ms < at_ms <= tick.at_ms]
        raw, without = tick.raw.counts, tick.without_tests.counts
        rows.append(
            (
                instant(tick.at_ms),
                _complete(raw),
                tick.raw.judgement.status.value,
                _complete(without),
                tick.without_tests.judgement.status.value,
                ", ".join(said) or NOTHING,
            )
        )
    head = ("at", "complete, raw", "raw", "complete, without tests", "without tests", "reported since the row before")
    return Chart(
        "health",
        "Do messages complete, with and without what tests left behind?",
        f"Share of complete messages in the last {duration(series.policy.window_ms)}: raw, without tests, and as the"
        " deployment reported it; changes in green, planned looks dashed.",
        partial(charts_time.health_over_time, series, moments),
        Table(f"Health every {duration(step_ms)}", head, tuple(rows)),
    )


def hours(buckets: Buckets, moments: Sequence[Moment]) -> Chart:
    """Return what completed and failed, by stretches of time that do not overlap."""
    pairs = zip(buckets.starts_ms, buckets.of("chatMessages"), buckets.of("workflowTraces"), strict=True)
    rows = [(instant(from_ms), *_ended(messages), *_ended(workflows)) for from_ms, messages, workflows in pairs]
    parts = ("complete", "open", "failed", "of tests")
    head = ("from", *(f"messages {part}" for part in parts), *(f"workflows {part}" for part in parts))
    return Chart(
        "hours",
        "How much was done, and how much failed?",
        f"Messages and workflows made in each {duration(buckets.step_ms)} by how they ended; those of tests are"
        " set apart and hatched.",
        partial(charts_time.documents_an_hour, buckets, moments),
        Table("Documents by time", head, tuple(rows), numbers=tuple(range(1, 9))),
    )


def _ended(ended: Ended) -> tuple[str, str, str, str]:
    return count(ended.completed), count(ended.other), count(ended.failed), count(ended.left_out)


def usual(rates: Sequence[Usual], length_ms: int) -> Chart:
    """Return what is usual in the baseline, and the time after the change beside it."""
    rows = []
    for rate in rates:
        shares = sorted(rate.baseline)
        middle = shares[(len(shares) - 1) // 2] if shares else None
        ends = (shares[0], middle, shares[-1]) if shares else (None, None, None)
        rows.append((rate.title, count(len(shares)), *map(percent, ends), percent(rate.after)))
    head = ("rate", "stretches", "lowest", "middle", "highest", "after the change")
    return Chart(
        "usual",
        "Is the time after the change unusual for this deployment?",
        f"Each rate in stretches of {duration(length_ms)} before the change (rings) and after it (diamond).",
        partial(charts_time.usual_values, rates, length_ms),
        Table("Rates of the baseline, and after", head, tuple(rows), numbers=(1, 2, 3, 4, 5)),
    )


def flags(histories: Sequence[FlagHistory], from_ms: int, to_ms: int, moments: Sequence[Moment]) -> Chart:
    """Return when each flag was on."""
    rows = [
        (flag.name, instant(at_ms), "not known" if is_on is None else "on" if is_on else "off")
        for flag in histories
        for at_ms, is_on in flag.points
    ]
    return Chart(
        "flags",
        "When was each flag on?",
        f"State of {count(len(histories), 'flag')} over time, as far as snapshots or the log tell.",
        partial(charts_time.flag_timeline, histories, from_ms, to_ms, moments),
        Table("Flags", ("flag", "from", "state"), tuple(rows)),
    )


def _complete(counts: Counts) -> str:
    return n_of_m(counts.message_completed, counts.message_total) if counts.message_total else "no messages"
