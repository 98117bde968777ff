"""Verdicts of medians and percentiles: two intervals of observed values, and the difference between them. Pure."""

from __future__ import annotations

from analyzer.analysis import verdict as v
from analyzer.analysis.compare import Tally
from analyzer.analysis.rollout_plan import FUNCTIONS, KINDS, MetricKind, PlannedMetric
from analyzer.analysis.verdict import Verdict
from analyzer.analysis.windows import SIDES, Value
from analyzer.stats import Interval
from analyzer.units import dollars


def judged(tally: Tally, planned: PlannedMetric, role: v.Role) -> v.MetricResult:
    """Judge one median or percentile."""
    kind = KINDS[planned.id]
    base, after = (tally.values.get((side, planned.id), Value()) for side in SIDES)
    difference = None if base.value is None or after.value is None else after.value - base.value
    interval = None
    if base.wide_interval and after.wide_interval:
        interval = Interval(
            after.wide_interval.low - base.wide_interval.high, after.wide_interval.high - base.wide_interval.low
        )
    verdict, code, reason = _verdict(base, after, interval, planned, kind)
    return v.MetricResult(
        kind.id,
        kind.title,
        role,
        kind.direction,
        kind.unit,
        v.Measured(None, base.n, base.value, base.interval),
        v.Measured(None, after.n, after.value, after.interval),
        v.Difference(difference, interval, "order-statistic"),
        None,
        planned.margin,
        planned.min_n,
        verdict,
        code,
        reason,
        None,
    )


def _verdict(
    base: Value, after: Value, interval: Interval | None, planned: PlannedMetric, kind: MetricKind
) -> tuple[Verdict, str, str]:
    what = "timed calls" if kind.table == FUNCTIONS else "completed workflows with it"
    if after.value is None:
        return Verdict.NO_DATA, "no_documents", f"There are no {what} after the change."
    if base.value is None:
        return Verdict.INCONCLUSIVE, "no_baseline", f"The baseline has no {what}."
    before, later = _amount(base.value, kind.unit), _amount(after.value, kind.unit)
    shown = f"{before} before (n {base.n:,}), {later} after (n {after.n:,})"
    if interval is None:
        return Verdict.INCONCLUSIVE, "too_few_documents", f"{shown}: too few to bound the difference."
    allowed = planned.margin * base.value
    if interval.low > 0 and after.value - base.value > allowed:
        return Verdict.FAIL, "regression", f"{shown}: at least {_amount(interval.low, kind.unit)} more."
    most = _amount(max(interval.high, 0.0), kind.unit)
    if interval.high <= allowed:
        return Verdict.PASS, "within_margin", f"{shown}: at most {most} more."
    return Verdict.INCONCLUSIVE, "not_excluded", f"{shown}: up to {most} more is not excluded."


def _amount(value: float, unit: v.Unit) -> str:
    return dollars(value) if unit == "usd" else f"{value:,.0f} {unit}"
