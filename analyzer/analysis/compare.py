"""Counts two windows of one frame: how documents ended before a change, and after it. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from analyzer.analysis import health
from analyzer.analysis.doubts import table_coverage
from analyzer.analysis.function_windows import ENOUGH_SEEN, NOT_SEEN, FunctionCounts, count_functions
from analyzer.analysis.policy import STUCK_MS
from analyzer.analysis.prices import Prices
from analyzer.analysis.windows import Side, Value, Windows, quantile_value
from analyzer.model import FilterName
from analyzer.store import Frame
from analyzer.units import count as n_of
from analyzer.units import percent

RUNNING_MS = 15 * 60_000  # age up to which a document in flight may still end either way
COST, LATENCY = "cost_per_workflow", "function_latency_p95_ms"
OF_FUNCTIONS = ("function_error_rate", LATENCY)
NO_PRICE: Prices = MappingProxyType({})
MEASURES = ("duration_ms", "total_tokens", "cost_usd")  # in the order of queries/compare/value_counts.sql
QUANTILES = {  # metric -> measure of queries/compare/order_statistics.sql, quantile
    "duration_median_ms": ("duration_ms", 0.5),
    "duration_p95_ms": ("duration_ms", 0.95),
    "tokens_per_workflow": ("total_tokens", 0.5),
    COST: ("cost_usd", 0.5),
}
NO_PRICES = 'no price is configured: add [prices."MODEL"] to analyzer.toml'
MOST_MODELS = 3  # named without a price
LEAVE_LESS: Mapping[FilterName, tuple[FilterName, ...]] = {  # filter -> those whose documents it leaves out as well
    FilterName.NONE: (),
    FilterName.NAME: (FilterName.NONE,),
    FilterName.EVIDENCE: (FilterName.NONE,),
    FilterName.WIDE: (FilterName.NONE, FilterName.EVIDENCE),
}


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
class Tally:
    """Everything that is counted of two windows."""

    windows: Windows
    outcomes: Mapping[tuple[Side, str], Outcomes]  # by side and table; no entry: no documents
    tasks: Mapping[Side, TaskOutcomes]
    values: Mapping[tuple[Side, str], Value]  # by side and metric
    missing_tables: Mapping[str, str] = field(default_factory=dict)  # not collected -> why
    excluded: Mapping[str, int] = field(default_factory=dict)  # left out in the windows, by table
    functions: FunctionCounts = field(default_factory=FunctionCounts)
    unmeasured: Mapping[str, str] = field(default_factory=dict)  # metric of which nothing is known -> why
    gaps: Mapping[str, str] = field(default_factory=dict)  # metric of which a part is missing after the change -> which

    def outcome(self, side: Side, table: str) -> Outcomes:
        """Return how one table's documents ended; zeros where it has none."""
        return self.outcomes.get((side, table), Outcomes())


def tally(
    frame: Frame,
    windows: Windows,
    filter_name: FilterName,
    flip_ms: Sequence[int] = (),
    *,
    prices: Prices = NO_PRICE,
) -> Tally:
    """Count a prepared frame in two windows; leaves the temporary table `compare_document` for `decompose`.

    flip_ms  when flags changed, milliseconds since the epoch
    prices   what models charge; without any no cost is estimated
    """
    return _count(frame, windows, _leave_out(frame, windows, filter_name), flip_ms, prices)


def tally_again(
    frame: Frame, windows: Windows, filter_name: FilterName, known: Mapping[FilterName, Tally], *, prices: Prices
) -> Tally:
    """Count the same windows under another filter; where one of the known leaves out the same documents, that is it.

    known  tallies of the same frame, windows and prices by filter. Where one filter leaves out all that another does,
           as many documents are the same documents
    """
    excluded = _leave_out(frame, windows, filter_name)
    for other, counted in known.items():
        is_nested = other in LEAVE_LESS[filter_name] or filter_name in LEAVE_LESS[other]
        if is_nested and counted.excluded == excluded:
            return counted
    return _count(frame, windows, excluded, (), prices)


def _count(
    frame: Frame, windows: Windows, excluded: Mapping[str, int], flip_ms: Sequence[int], prices: Prices
) -> Tally:
    frame.materialise(
        "compare_document",
        "compare/document",
        **_bounds(windows),
        running_ms=RUNNING_MS,
        stuck_ms=STUCK_MS,
        flip_ms=sorted(flip_ms),
        priced_models=list(prices),
        input_prices=[price.input_per_million for price in prices.values()],
        output_prices=[price.output_per_million for price in prices.values()],
    )
    values, functions = _values(frame), count_functions(frame, windows)
    no_cost, left_out = _without_price(frame, prices, values)
    unmeasured = {COST: no_cost} | dict.fromkeys(OF_FUNCTIONS, NOT_SEEN if functions.source is None else "")
    covered = table_coverage(frame.snapshot, ("chatMessages", "workflowTraces"))
    return Tally(
        windows,
        {(side, table): Outcomes(*counts) for side, table, *counts in frame.rows("compare/counts")},
        {row["side"]: _tasks(row) for row in frame.records("compare/tasks")},
        values | {(side, LATENCY): value for side, value in functions.latency.items()},
        {name: c.reason or "it was not collected" for name, c in covered.items() if c.status != "collected"},
        excluded,
        functions,
        {metric: why for metric, why in unmeasured.items() if why},
        {metric: what for metric, what in _gaps(functions, left_out).items() if what},
    )


def _bounds(windows: Windows) -> dict[str, Any]:
    return {
        "base_from_ms": windows.base_from_ms,
        "base_to_ms": windows.base_to_ms,
        "after_from_ms": windows.after_from_ms,
        "after_to_ms": windows.after_to_ms,
    }


def _leave_out(frame: Frame, windows: Windows, filter_name: FilterName) -> dict[str, int]:
    """Make the temporary table `left_out`; returns how many documents of the windows it holds by table."""
    health.leave_out(frame, filter_name)
    return dict(frame.rows("compare/left_out_counts", **_bounds(windows)))


def _gaps(functions: FunctionCounts, without_price: str) -> dict[str, str]:
    unseen = f"only {percent(functions.seen_share)} of the time after the change was seen"
    is_whole = functions.source is None or functions.seen_share >= ENOUGH_SEEN
    return {COST: without_price} | dict.fromkeys(OF_FUNCTIONS, "" if is_whole else unseen)


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
    for side, *counts in frame.rows("compare/value_counts"):
        n = dict(zip(MEASURES, counts, strict=True))
        for metric, (measure, quantile) in QUANTILES.items():
            found[side, metric] = quantile_value(
                n[measure],
                quantile,
                lambda ranks, side=side, measure=measure: dict(  # type: ignore[misc]
                    frame.rows("compare/order_statistics", side=side, measure=measure, ranks=ranks)
                ),
            )
    return found


def _without_price(frame: Frame, prices: Prices, values: Mapping[tuple[Side, str], Value]) -> tuple[str, str]:
    """Say why no cost can be estimated, and what an estimate leaves out; "" for nothing."""
    if not prices:
        return NO_PRICES, ""
    unpriced = frame.rows("compare/unpriced_models")
    missing = [(model or "(no model)", count) for side, model, count in unpriced if side == "after"]
    shown = ", ".join(f"{model} ({n_of(count, 'workflow')})" for model, count in missing[:MOST_MODELS])
    shown += ", ..." if len(missing) > MOST_MODELS else ""
    if shown and values.get(("after", COST), Value()).n == 0:
        return f"no price is known for {shown}", ""
    return "", f"no price is known for {shown}" if shown else ""
