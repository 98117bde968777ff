"""Compares two snapshots without any rollout: the time up to one with the time from it to a later one."""

from __future__ import annotations

from analyzer.analysis import checkpoints, compare, decompose, gates, judging
from analyzer.analysis import verdict as v
from analyzer.analysis.checkpoints import Frames, Judging
from analyzer.analysis.rollout_plan import Plan
from analyzer.analysis.windows import Windows
from analyzer.errors import UsageError
from analyzer.flows.rollout_state import explained
from analyzer.model import Snapshot
from analyzer.store import Store


def compare_snapshots(
    store: Store, baseline: Snapshot, after: Snapshot, how: Judging, plan: Plan, *, frames: Frames | None = None
) -> v.RolloutReport:
    """Compare the time up to one snapshot with the time from it to a later one, without any rollout.

    frames  to share with what follows; None for its own

    raises  UsageError when the second is not later than the first, or of another deployment
    """
    if baseline.deployment.name != after.deployment.name or after.as_of_ms <= baseline.as_of_ms:
        raise UsageError(
            f"snapshot {after.id} is not later than snapshot {baseline.id} of the same deployment", hint="swap them"
        )
    frames = frames or Frames(store, how)
    before = explained(store, frames, baseline, None, how)
    frame = frames.open(after)
    t0 = baseline.as_of_ms
    first_ms = frame.rows("compare/first_document")[0][0]
    from_ms = t0 if first_ms is None else min(t0, max(int(first_ms), t0 - plan.baseline_ms))
    windows = Windows(from_ms, t0, t0, after.as_of_ms)
    tally = compare.tally(frame, windows, how.filter, prices=how.prices)
    parts = decompose.decompose(frame, calls=tally.functions.calls)
    metrics = judging.judge(tally, plan, plan.alpha)
    decision = gates.decide(metrics)
    others = checkpoints.with_filters(frame, tally, how, plan, plan.alpha)
    return v.RolloutReport(
        deployment=after.deployment.name,
        rollout=None,
        baseline=v.Span(baseline.label, (after.id,), from_ms if from_ms < t0 else None, t0 if from_ms < t0 else None),
        after=v.Span(after.label, (after.id,), t0, after.as_of_ms),
        verdict=decision.verdict,
        action=gates.ACTIONS[decision.verdict],
        reason_code=decision.reason_code,
        reason=decision.reason,
        alpha=v.Alpha(plan.alpha, plan.alpha, (plan.alpha,), 0),
        gates=decision.gates,
        metrics=metrics,
        checkpoints=(),
        filter=v.FilterAccount(how.filter, dict(tally.excluded), others),
        decomposition=parts,
        explain=explained(store, frames, after, None, how),
        explain_before=before,
        smoke_tests=(),
        rollback=(),
        findings=(),
        warnings=("Before and after differ in time as well: what else changed then cannot be told apart.",),
    )
