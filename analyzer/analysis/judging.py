"""From counts to verdicts: each metric by its exact test, then all of them through the gates. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analyzer import stats
from analyzer.analysis import judging_shares, judging_values
from analyzer.analysis import verdict as v
from analyzer.analysis.compare import COST, Tally
from analyzer.analysis.judging_shares import BY_TASK
from analyzer.analysis.rollout_plan import KINDS, Plan, PlannedMetric
from analyzer.analysis.verdict import Verdict

TOGETHER = 1.5  # design effect from which documents of one task move together
FEWEST_TASKS = 10  # below this nobody can tell whether they do
UNMEASURED, PARTLY = "not_measured", "partly_measured"  # reason codes
_BY_DOCUMENT = ("workflow_completion_rate", "message_completion_rate")
_OF_BOTH = (BY_TASK, "tokens_per_workflow", COST)  # need messages and traces


def judge(tally: Tally, plan: Plan, alpha: float) -> tuple[v.MetricResult, ...]:
    """Judge every metric of a plan.

    alpha    share of this look, 0..1
    returns  one result a metric, in the order of the plan
    """
    together = _moves_together(tally)
    roles = _roles(plan, together)
    pairs = {
        planned.id: judging_shares.pair_of(tally, planned)
        for planned in plan.metrics
        if KINDS[planned.id].unit == "share" and not _is_missing(tally, planned.id)
    }
    tests = {name: judging_shares.exact_test(pair) for name, pair in pairs.items()}
    deciding = [name for name, test in tests.items() if roles[name] == "guardrail" and test]
    adjusted = dict(zip(deciding, stats.holm([tests[name].p for name in deciding]), strict=True))  # type: ignore[union-attr]
    found = []
    for planned in plan.metrics:
        role = roles[planned.id]
        if _is_missing(tally, planned.id):
            result = _not_collected(tally, planned, role)
        elif planned.id in tally.unmeasured:
            result = _unmeasured(planned, role, (Verdict.NO_DATA, UNMEASURED), f"{tally.unmeasured[planned.id]}.")
        elif planned.id in pairs:
            test = tests[planned.id]
            test = replace(test, p_adjusted=adjusted.get(planned.id)) if test else None
            result = judging_shares.judged(tally, pairs[planned.id], role, test, alpha)
        else:
            result = judging_values.judged(tally, planned, role)
        if planned.id in tally.gaps:
            result = _with_gap(result, tally.gaps[planned.id])
        if role != planned.role:
            unit = "task" if together else "document"
            result = replace(
                result, reason_code=f"judged_per_{unit}", reason=f"Completion is judged per {unit}. {result.reason}"
            )
        found.append(result)
    return tuple(found)


def _moves_together(tally: Tally) -> bool:
    """Tell whether documents of one task share their fate, so that they are not independent witnesses."""
    return any(t.design_effect > TOGETHER and t.settled >= FEWEST_TASKS for t in tally.tasks.values())


def _roles(plan: Plan, together: bool) -> dict[str, v.Role]:
    """Give each metric its role: of completion per document and per task only the fitting one decides."""
    silent = _BY_DOCUMENT if together else (BY_TASK,)
    return {m.id: "dry-run" if m.id in silent and m.role == "guardrail" else m.role for m in plan.metrics}


def _is_missing(tally: Tally, metric_id: str) -> bool:
    table = KINDS[metric_id].table
    return table in tally.missing_tables or (metric_id in _OF_BOTH and bool(tally.missing_tables))


def _with_gap(result: v.MetricResult, gap: str) -> v.MetricResult:
    """Keep a metric from passing of whose time after the change a part is unknown; harm that was seen stands."""
    reason = f"{result.reason} But {gap}."
    if result.verdict is Verdict.PASS:
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason_code=PARTLY, reason=reason)
    return replace(result, reason=reason)


def _not_collected(tally: Tally, planned: PlannedMetric, role: v.Role) -> v.MetricResult:
    why = "; ".join(f"{table}: {reason}" for table, reason in tally.missing_tables.items())
    return _unmeasured(planned, role, (Verdict.ERROR, "not_collected"), f"it could not be measured ({why}).")


def _unmeasured(planned: PlannedMetric, role: v.Role, says: tuple[Verdict, str], reason: str) -> v.MetricResult:
    kind = KINDS[planned.id]
    nothing = v.Measured(None, 0, None, None)
    return v.MetricResult(
        kind.id,
        kind.title,
        role,
        kind.direction,
        kind.unit,
        nothing,
        nothing,
        v.Difference(None, None, "newcombe" if kind.unit == "share" else "order-statistic"),
        None,
        planned.margin,
        planned.min_n,
        *says,
        reason[:1].upper() + reason[1:],
        None,
    )


def of_role(metrics: Sequence[v.MetricResult], role: v.Role) -> tuple[v.MetricResult, ...]:
    """Return the metrics of one role."""
    return tuple(metric for metric in metrics if metric.role == role)
