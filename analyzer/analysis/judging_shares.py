"""Verdicts of rates: harm by an exact test, no harm by an interval within the margin. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from analyzer import stats
from analyzer.analysis import verdict as v
from analyzer.analysis.compare import OF_FUNCTIONS, Outcomes, Tally
from analyzer.analysis.function_windows import Calls
from analyzer.analysis.rollout_plan import KINDS, PlannedMetric
from analyzer.analysis.verdict import Verdict
from analyzer.analysis.windows import SIDES
from analyzer.units import count, n_of_m, percent

MINUTE_MS = 60_000
SIGNAL_ALPHA = 0.01  # a signal only asks a person to look
BY_TASK = "task_completion_rate"
_FAILED, _COMPLETED, _STUCK, _RETRIED = "failed", "completed", "stuck", "retried"
_EVENTS: Mapping[str, tuple[str, str]] = {  # metric -> table, field of Outcomes that its rate counts
    "workflow_error_rate": ("workflowTraces", _FAILED),
    "message_error_rate": ("chatMessages", _FAILED),
    "workflow_completion_rate": ("workflowTraces", _COMPLETED),
    "message_completion_rate": ("chatMessages", _COMPLETED),
    "stuck_workflows": ("workflowTraces", _STUCK),
    "stuck_messages": ("chatMessages", _STUCK),
    "workflow_retry_rate": ("workflowTraces", _RETRIED),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One share metric on its way to a verdict; k counts harm, whatever the metric's rate counts."""

    planned: PlannedMetric
    k_base: int
    n_base: int
    k_after: int
    n_after: int
    running: int
    excluded: tuple[int, int]

    @property
    def noun(self) -> str:
        if self.planned.id in OF_FUNCTIONS:
            return "call"
        return "task" if self.planned.id == BY_TASK else "document"

    @property
    def lower_is_worse(self) -> bool:
        return KINDS[self.planned.id].direction == "lower_is_worse"


def pair_of(tally: Tally, planned: PlannedMetric) -> Pair:
    """Return what a metric of rates is judged from."""
    if planned.id == BY_TASK:
        base, after = tally.tasks.get("baseline"), tally.tasks.get("after")
        return Pair(
            planned,
            base.incomplete if base else 0,
            base.settled if base else 0,
            after.incomplete if after else 0,
            after.settled if after else 0,
            after.running if after else 0,
            (0, 0),
        )
    if planned.id in OF_FUNCTIONS:
        before, later = (tally.functions.calls.get(side, Calls()) for side in SIDES)
        return Pair(planned, before.errors, before.calls, later.errors, later.calls, 0, (0, 0))
    table, event = _EVENTS[planned.id]
    counts = [_harm(tally.outcome(side, table), event) for side in SIDES]
    running = 0 if event == _STUCK else tally.outcome("after", table).running
    excluded = (tally.outcome("baseline", table).unknown, tally.outcome("after", table).unknown)
    return Pair(planned, *counts[0], *counts[1], running, excluded)


def _harm(outcomes: Outcomes, event: str) -> tuple[int, int]:
    """Return how many documents came to harm, of how many."""
    if event == _COMPLETED:
        return outcomes.settled - outcomes.completed, outcomes.settled
    if event == _STUCK:  # a document is stuck while it still may be running
        return outcomes.stuck, outcomes.settled + outcomes.running
    if event == _RETRIED:
        return outcomes.retried, outcomes.counted
    return outcomes.failed, outcomes.settled


def exact_test(pair: Pair) -> v.TestResult | None:
    """Test one metric for harm; None without documents after the change."""
    if pair.n_after == 0:
        return None
    if pair.n_base == 0:
        return v.TestResult("binomial", _binomial(pair.k_after, pair.n_after, pair.planned.margin), None)
    return v.TestResult("fisher_exact", stats.fisher_harm(pair.k_after, pair.n_after, pair.k_base, pair.n_base), None)


def _binomial(k: int, n: int, share: float) -> float:
    """Give the chance of at least k of n events if each has this share: for a baseline without documents."""
    from scipy.stats import binom

    return float(binom.sf(k - 1, n, share))


def judged(tally: Tally, pair: Pair, role: v.Role, test: v.TestResult | None, alpha: float) -> v.MetricResult:
    """Judge one metric of rates.

    test  with its p adjusted where the metric is a guardrail
    """
    kind = KINDS[pair.planned.id]
    verdict, code, reason = _share_verdict(pair, test, alpha)
    needed = n_to_pass(pair.k_after, pair.k_base, pair.n_base, pair.planned.margin) if pair.n_base else None
    if needed is not None:
        needed = max(needed, pair.planned.min_n)
    open_ = verdict in (Verdict.INCONCLUSIVE, Verdict.NO_DATA)
    return v.MetricResult(
        id=kind.id,
        title=kind.title,
        role=role,
        direction=kind.direction,
        unit=kind.unit,
        baseline=_measured(pair.k_base, pair.n_base, pair.lower_is_worse, 0, pair.excluded[0]),
        after=_measured(pair.k_after, pair.n_after, pair.lower_is_worse, pair.running, pair.excluded[1]),
        difference=_difference(pair),
        test=test,
        margin=pair.planned.margin,
        min_n=pair.planned.min_n,
        verdict=verdict,
        reason_code=code,
        reason=reason,
        n_needed=needed if open_ else None,
        decides_at_ms=_decides_at(tally, pair.n_after, needed) if open_ else None,
    )


def _share_verdict(pair: Pair, test: v.TestResult | None, alpha: float) -> tuple[Verdict, str, str]:
    """Decide one share metric: harm first, then whether there is enough to say that there is none."""
    if test is None:
        running = f"; {count(pair.running, pair.noun)} still running" if pair.running else ""
        return Verdict.NO_DATA, "no_documents", f"There are no {pair.noun}s after the change{running}."
    p, limit = (test.p, SIGNAL_ALPHA) if test.p_adjusted is None else (test.p_adjusted, alpha)
    return _harmed(pair, p, limit) if p <= limit else _not_harmed(pair)


def _harmed(pair: Pair, p: float, limit: float) -> tuple[Verdict, str, str]:
    shown, margin = _shown(pair), pair.planned.margin
    best = exact_test(replace(pair, n_after=pair.n_after + pair.running))
    if best is not None and best.p > limit:
        return Verdict.INCONCLUSIVE, "running", f"{shown}: worse, unless the {pair.running} still running all end well."
    compared = "worse than the baseline" if pair.n_base else f"more than the margin of {_points(margin)}"
    return Verdict.FAIL, "regression", f"{shown}: {compared} (p {p_text(p)}, limit {limit:g})."


def _not_harmed(pair: Pair) -> tuple[Verdict, str, str]:
    planned, shown = pair.planned, _shown(pair)
    if pair.n_after < planned.min_n:
        few = count(pair.n_after, pair.noun)
        return (
            Verdict.INCONCLUSIVE,
            "too_few_documents",
            f"{shown}: {few} after the change, at least {planned.min_n} are needed.",
        )
    upper = _upper(pair)
    if upper > planned.margin:
        return (
            Verdict.INCONCLUSIVE,
            "not_excluded" if pair.n_base else "no_baseline",
            f"{shown}: up to {_points(upper)} worse is not excluded, the margin is {_points(planned.margin)}.",
        )
    worst = replace(pair, k_after=pair.k_after + pair.running, n_after=pair.n_after + pair.running)
    if pair.running and _upper(worst) > planned.margin:
        return Verdict.INCONCLUSIVE, "running", f"{shown}: {pair.running} still running could make it worse."
    return Verdict.PASS, "within_margin", f"{shown}: at most {_points(max(upper, 0.0))} worse."


def _upper(pair: Pair) -> float:
    """Give the largest difference that is not excluded; a baseline without documents counts as one without harm."""
    if pair.n_base == 0:
        return stats.wilson_interval(pair.k_after, pair.n_after).high
    return stats.newcombe_interval(pair.k_after, pair.n_after, pair.k_base, pair.n_base).high


def _shown(pair: Pair) -> str:
    """Write both sides as the metric's own rate."""

    def side(k: int, n: int) -> str:
        if n == 0:
            return "no documents"
        shown = n - k if pair.lower_is_worse else k
        return f"{percent(shown / n)} ({n_of_m(shown, n)})"

    return f"{side(pair.k_base, pair.n_base)} before, {side(pair.k_after, pair.n_after)} after"


def p_text(p: float) -> str:
    """Write a p value: three digits, never as 0."""
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"


def _points(share: float) -> str:
    return f"{share * 100:.1f} points"


def _measured(k: int, n: int, is_mirrored: bool, running: int, excluded: int) -> v.Measured:
    shown = n - k if is_mirrored else k
    if n == 0:
        return v.Measured(0, 0, None, None, running, excluded)
    return v.Measured(shown, n, shown / n, stats.wilson_interval(shown, n), running, excluded)


def _difference(pair: Pair) -> v.Difference:
    if not pair.n_base or not pair.n_after:
        return v.Difference(None, None, "newcombe")
    k_after, k_base = pair.k_after, pair.k_base
    if pair.lower_is_worse:
        k_after, k_base = pair.n_after - k_after, pair.n_base - k_base
    interval = stats.newcombe_interval(k_after, pair.n_after, k_base, pair.n_base)
    return v.Difference(k_after / pair.n_after - k_base / pair.n_base, interval, "newcombe")


def n_to_pass(k_after: int, k_base: int, n_base: int, margin: float) -> int | None:
    """Give the fewest documents after the change that hold the difference within the margin, if no more has the event.

    k_after  documents after the change that have it already
    returns  n >= 1, None when no number does
    """
    if k_after == 0:
        return stats.clean_n_to_pass(k_base, n_base, margin)

    def passes(n: int) -> bool:
        return stats.newcombe_interval(k_after, n, k_base, n_base).high <= margin

    low, high = k_after, 2 * k_after
    while not passes(high):
        low, high = high, high * 2
        if high > stats.LARGEST_N:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle + 1, high)
    return low


def _decides_at(tally: Tally, n: int, needed: int | None) -> int | None:
    """Say when there will be as many documents as are needed, at the rate of the look: the minute after."""
    if not n or needed is None:
        return None
    windows = tally.windows
    elapsed_ms = windows.after_to_ms - windows.after_from_ms
    at_ms = windows.after_from_ms + elapsed_ms * max(needed, n) // n
    return -(-at_ms // MINUTE_MS) * MINUTE_MS
