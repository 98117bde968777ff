"""Counts two windows of one frame: how documents ended before a change, and after it. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from analyzer.analysis import health
from analyzer.analysis.doubts import table_coverage
from analyzer.analysis.policy import STUCK_MS
from analyzer.errors import TooFewSamples
from analyzer.model import FilterName
from analyzer.stats import Interval, quantile_ranks
from analyzer.store import Frame

RUNNING_MS = 15 * 60_000  # age up to which a document in flight may still end either way
Side = Literal["baseline", "after"]
SIDES: tuple[Side, Side] = ("baseline", "after")
QUANTILES = {  # metric -> measure of queries/compare/order_statistics.sql, quantile
    "duration_median_ms": ("duration_ms", 0.5),
    "duration_p95_ms": ("duration_ms", 0.95),
    "tokens_per_workflow": ("total_tokens", 0.5),
}
DIFFERENCE_CONFIDENCE = 0.975  # of each side, so that the difference of two intervals covers with 0.95


@dataclass(frozen=True, slots=True)
class Windows:
    """Two windows that never overlap."""

    base_from_ms: int  # included
    base_to_ms: int  # not included
    after_from_ms: int  # included
    after_to_ms: int  # included


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How the documents of one table ended in one window."""

    settled: int = 0  # with a status, and not running
    running: int = 0
    unknown: int = 0  # without any status
    failed: int = 0
    completed: int = 0
    stuck: int = 0
    counted: int = 0  # settled, with a number of retries
    retried: int = 0


@dataclass(frozen=True, slots=True)
class TaskOutcomes:
    """How the tasks of one window ended."""

    settled: int = 0
    running: int = 0
    incomplete: int = 0  # with a settled document that did not complete
    design_effect: float = 1.0  # variance of the share of bad documents, over what independent ones would have


@dataclass(frozen=True, slots=True)
class Value:
    """One quantile of one window."""

    n: int = 0
    value: float | None = None  # nearest rank; None without documents
    interval: Interval | None = None  # 95 %
    wide_interval: Interval | None = None  # DIFFERENCE_CONFIDENCE


@dataclass(frozen=True, slots=True)
class Tally:
    """Everything that is counted of two windows."""

    windows: Windows
    outcomes: Mapping[tuple[Side, str], Outcomes]  # by side and table; no entry: no documents
    tasks: Mapping[Side, TaskOutcomes]
    values: Mapping[tuple[Side, str], Value]  # by side and metric
    missing_tables: Mapping[str, str] = field(default_factory=dict)  # not collected -> why
    excluded: Mapping[str, int] = field(default_factory=dict)  # left out in the windows, by table

    def outcome(self, side: Side, table: str) -> Outcomes:
        """Return how one table's documents ended; zeros where it has none."""
        return self.outcomes.get((side, table), Outcomes())


def tally(frame: Frame, windows: Windows, filter_name: FilterName, flip_ms: Sequence[int] = ()) -> Tally:
    """Count a prepared frame in two windows; leaves the temporary table `compare_document` for `decompose`.

    flip_ms  when flags changed, milliseconds since the epoch
    """
    health.leave_out(frame, filter_name)
    return _counted(frame, windows, flip_ms)


def tally_left_out(frame: Frame, windows: Windows) -> Tally:
    """Count a frame whose temporary table `left_out` has been made already."""
    return _counted(frame, windows, ())


def _counted(frame: Frame, windows: Windows, flip_ms: Sequence[int]) -> Tally:
    bounds: dict[str, Any] = {
        "base_from_ms": windows.base_from_ms,
        "base_to_ms": windows.base_to_ms,
        "after_from_ms": windows.after_from_ms,
        "after_to_ms": windows.after_to_ms,
    }
    frame.materialise(
        "compare_document",
        "compare/document",
        **bounds,
        running_ms=RUNNING_MS,
        stuck_ms=STUCK_MS,
        flip_ms=sorted(flip_ms),
    )
    covered = table_coverage(frame.snapshot, ("chatMessages", "workflowTraces"))
    return Tally(
        windows,
        {(side, table): Outcomes(*counts) for side, table, *counts in frame.rows("compare/counts")},
        {row["side"]: _tasks(row) for row in frame.records("compare/tasks")},
        _values(frame),
        {name: c.reason or "it was not collected" for name, c in covered.items() if c.status != "collected"},
        dict(frame.rows("compare/left_out_counts", **bounds)),
    )


def _tasks(row: Mapping[str, Any]) -> TaskOutcomes:
    """Measure how far documents of one task move together: the variance of the ratio estimator over the binomial's."""
    effect = 1.0
    count = row["settled_count"] + row["running_count"]
    documents, bad = row["document_count"], row["bad_count"]
    if 0 < bad < documents and count > 1:
        rate = bad / documents
        spread = row["sum_k2"] - 2 * rate * row["sum_nk"] + rate * rate * row["sum_n2"]
        effect = count / (count - 1) * spread / (documents * rate * (1 - rate))
    return TaskOutcomes(row["settled_count"], row["running_count"], row["incomplete_count"], effect)


def _values(frame: Frame) -> dict[tuple[Side, str], Value]:
    found: dict[tuple[Side, str], Value] = {}
    for side, durations, tokens in frame.rows("compare/value_counts"):
        count = {"duration_ms": durations, "total_tokens": tokens}
        for metric, (measure, quantile) in QUANTILES.items():
            found[side, metric] = _quantile(frame, side, measure, count[measure], quantile)
    return found


def _quantile(frame: Frame, side: Side, measure: str, n: int, quantile: float) -> Value:
    if n == 0:
        return Value()
    nearest = max(1, -(-n * round(quantile * 100) // 100))
    ranks = {confidence: _ranks(n, quantile, confidence) for confidence in (0.95, DIFFERENCE_CONFIDENCE)}
    wanted = sorted({nearest, *(rank for pair in ranks.values() if pair for rank in pair)})
    at = dict(frame.rows("compare/order_statistics", side=side, measure=measure, ranks=wanted))
    ends = {c: Interval(at[pair[0]], at[pair[1]]) if pair else None for c, pair in ranks.items()}
    return Value(n, at[nearest], ends[0.95], ends[DIFFERENCE_CONFIDENCE])


def _ranks(n: int, quantile: float, confidence: float) -> tuple[int, int] | None:
    try:
        return quantile_ranks(n, quantile, confidence)
    except TooFewSamples:
        return None
