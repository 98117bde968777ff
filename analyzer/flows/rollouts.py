"""Rollouts from start to verdict: recorded from logs and plans, judged at their planned looks, reported."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from analyzer.analysis import checkpoints, compare, cross_checks, decompose, gates, rollout_checks
from analyzer.analysis import rollout as rollouts
from analyzer.analysis import verdict as v
from analyzer.analysis.changes import Change
from analyzer.analysis.checkpoints import Frames, Judged, Judging, Look
from analyzer.analysis.rollout import Rollout
from analyzer.analysis.verdict import Verdict
from analyzer.analysis.windows import Windows
from analyzer.errors import UsageError
from analyzer.flows.rollout_records import Opened
from analyzer.flows.rollout_state import explained, findings, info, smoke_tests
from analyzer.model import FilterName, Finding
from analyzer.store import Store


def choose_change(rollout: Rollout, number: int | None = None) -> Change | None:
    """Return one change of a rollout, by default the last; None where nothing was flipped.

    raises  UsageError for a number that it does not have
    """
    if number is None:
        return rollout.changes[-1] if rollout.changes else None
    chosen = next((change for change in rollout.changes if change.number == number), None)
    if chosen is None:
        raise UsageError(f"there is no change {number}", hint=f"the rollout has {len(rollout.changes)}")
    return chosen


def judge_looks(
    store: Store, opened: Opened, change: Change, how: Judging, frames: Frames | None = None
) -> tuple[Judged, ...]:
    """Judge the planned looks at a change, earliest first; one that failed is not undone by a later one.

    frames  to share with what follows; None for its own
    """
    frames = frames or Frames(store, how)
    wrong = _not_in_force(opened, change)
    looks = checkpoints.planned_looks(opened.rollout, change, opened.snapshots)
    late = {look.label: checkpoints.health_of(frames, look, how) for look in looks if look.is_reconstructed}
    found: list[Judged] = []
    for look in looks:
        status = late[look.label] if look.label in late else checkpoints.health_of(frames, look, how)
        failed = [judged.look.label for judged in found if judged.result.reason_code == "guardrail_regression"]
        found.append(
            checkpoints.judge_look(
                frames, opened.rollout, change, look, how, status=status, invalid=wrong, failed_before=failed
            )
        )
    return tuple(found)


def _not_in_force(opened: Opened, change: Change) -> tuple[str, ...]:
    """Say which flags of a change the snapshots show to be as they were: then there is no change to judge."""
    flips = {(flip.phase, flip.flag): flip for flip in change.flips}
    checks = [c for p in rollout_checks.phase_results(opened.rollout, opened.snapshots) for c in p.flags]
    return tuple(
        c.text
        for c in checks
        if c.ok is False
        and (flip := flips.get((c.phase, c.flag)))
        and rollouts.is_on(c.flag, c.after) != rollouts.is_on(c.flag, flip.value)
    )


def choose_look(judged: Sequence[Judged], label: str | None = None) -> Judged:
    """Return one look: the one asked for, else the last that a snapshot reaches, else the first.

    raises  UsageError for a label that the plan does not have
    """
    if label is not None:
        chosen = next((j for j in judged if j.look.label == label), None)
        if chosen is None:
            raise UsageError(
                f"the plan has no checkpoint {label!r}", hint=f"valid: {', '.join(j.look.label for j in judged)}"
            )
        return chosen
    reached = [j for j in judged if j.look.snapshot is not None]
    return reached[-1] if reached else judged[0]


def due_label(opened: Opened, change_no: int | None, now_ms: int) -> str | None:
    """Return the label of the last look that is due by now, None where none is or nothing was flipped."""
    change = choose_change(opened.rollout, change_no)
    looks = checkpoints.planned_looks(opened.rollout, change, opened.snapshots) if change else ()
    due = [look.label for look in looks if look.at_ms <= now_ms]
    return due[-1] if due else looks[0].label if looks else None


def report(
    store: Store,
    opened: Opened,
    how: Judging,
    *,
    change_no: int | None = None,
    label: str | None = None,
    explains: bool = True,
    is_brief: bool = False,
    frames: Frames | None = None,
) -> v.RolloutReport:
    """Report on one change of a rollout at one of its looks.

    change_no  number of the change; None for the last
    label      of the look; None for the last that a snapshot reaches
    explains   whether to explain health before and after
    is_brief   leaves out everything but the verdict and what it rests on
    frames     to share with what follows; None for its own
    """
    rollout, snapshots = opened.rollout, opened.snapshots
    change = choose_change(rollout, change_no)
    if change is None:
        return _nothing_flipped(store, opened, how)
    frames = frames or Frames(store, how)
    explains = explains and not is_brief
    before = next((s for s in reversed(snapshots) if s.as_of_ms <= change.start_ms), None)
    explain_before = explained(store, frames, before, None, how) if explains else None
    tests = () if is_brief else smoke_tests(store, opened)
    noted = () if is_brief else findings(store, opened)
    others = [
        judged
        for other in rollout.changes
        if other.number != change.number
        for judged in judge_looks(store, opened, other, how, frames)
    ]
    looks = judge_looks(store, opened, change, how, frames)
    chosen = choose_look(looks, label)
    account, parts, extra = _look_closer(frames, opened, chosen, how, is_brief)
    every = tuple(j.result for j in sorted((*others, *looks), key=lambda j: (j.look.change, j.look.offset_ms)))
    explain = explained(store, frames, chosen.look.snapshot, chosen.look.health_at_ms, how) if explains else None
    shares = rollout.plan.shares
    windows = chosen.windows
    return v.RolloutReport(
        deployment=rollout.deployment,
        rollout=info(opened, change),
        baseline=_span("before", chosen.look, windows, after=False),
        after=_span(chosen.look.label, chosen.look, windows, after=True),
        verdict=chosen.decision.verdict,
        action=gates.ACTIONS[chosen.decision.verdict],
        reason_code=chosen.decision.reason_code,
        reason=chosen.decision.reason,
        alpha=v.Alpha(rollout.plan.alpha, chosen.look.alpha, shares, sum(j.look.snapshot is None for j in looks)),
        gates=chosen.decision.gates,
        metrics=chosen.metrics,
        checkpoints=every,
        filter=account,
        decomposition=parts,
        explain=explain,
        explain_before=explain_before,
        smoke_tests=tests,
        rollback=rollouts.undo_commands(rollout, snapshots),
        findings=(*noted, *_failed_changes(others), *extra),
        warnings=(*chosen.warnings, *_confounded(change)),
    )


def _look_closer(
    frames: Frames, opened: Opened, chosen: Judged, how: Judging, is_brief: bool
) -> tuple[v.FilterAccount, tuple[v.Part, ...], tuple[Finding, ...]]:
    """Take the chosen look apart: by group, under every filter and, in full, against its own baseline."""
    if is_brief or chosen.look.snapshot is None or chosen.windows is None or chosen.tally is None:
        return v.FilterAccount(how.filter, {}, ()), (), ()
    plan, alpha, windows = opened.rollout.plan, chosen.look.alpha, chosen.windows
    frame = frames.open(chosen.look.snapshot)
    compare.tally(frame, windows, how.filter, [flip.at_ms for flip in opened.rollout.flips], prices=how.prices)
    parts = decompose.decompose(frame, rollouts.flag_periods(opened.rollout), chosen.tally.functions.calls)
    others = list(checkpoints.with_filters(frame, chosen.tally, how, plan, alpha))
    found: tuple[Finding, ...] = ()
    if how.full:
        found = cross_checks.cross_checks(frame, windows, chosen, how, plan)
        others += checkpoints.by_rule(frame, windows, plan, alpha, prices=how.prices)
    found += _sensitive(others, chosen, how.filter)
    return v.FilterAccount(how.filter, dict(chosen.tally.excluded), tuple(others)), parts, found


def _sensitive(others: Sequence[v.FilterVerdict], chosen: Judged, filter_name: FilterName) -> tuple[Finding, ...]:
    differing = [other for other in others if other.filter != filter_name and other.verdict is not _counted(chosen)]
    if not differing:
        return ()
    shown = ", ".join(f"{other.verdict.value} with {other.filter}" for other in differing)
    text = f"The verdict depends on what is left out as tests' leftovers: {shown}."
    return (Finding("filter-decides", text, {other.filter: other.verdict.value for other in differing}),)


def _counted(chosen: Judged) -> Verdict:
    """Return what the counts of a look say by themselves, whatever earlier looks said."""
    return gates.decide(chosen.metrics).verdict


def _failed_changes(others: Sequence[Judged]) -> tuple[Finding, ...]:
    failed = [j for j in others if j.decision.verdict is Verdict.FAIL]
    return tuple(
        Finding("other-change-failed", f"Change {j.look.change} failed at {j.look.label}.", {"change": j.look.change})
        for _, group in itertools.groupby(failed, key=lambda j: j.look.change)
        for j in itertools.islice(group, 1)
    )


def _confounded(change: Change) -> tuple[str, ...]:
    warnings = ["Before and after differ in time as well: what else changed then cannot be told apart from the flags."]
    if change.not_separable:
        flags = ", ".join(dict.fromkeys(flip.flag for flip in change.flips))
        warnings.append(f"{flags} changed too close together to be told apart: they share one verdict.")
    return tuple(warnings)


def _span(label: str, look: Look, windows: Windows | None, *, after: bool) -> v.Span:
    ids = (look.snapshot.id,) if look.snapshot else ()
    if windows is None:
        return v.Span(label, ids, None, None)
    if after:
        return v.Span(label, ids, windows.after_from_ms, windows.after_to_ms)
    if windows.base_from_ms >= windows.base_to_ms:
        return v.Span(label, (), None, None)
    return v.Span(label, ids, windows.base_from_ms, windows.base_to_ms)


def _nothing_flipped(store: Store, opened: Opened, how: Judging) -> v.RolloutReport:
    rollout = opened.rollout
    text = "No flag flip of the rollout has a time, so there is no before and after."
    return v.RolloutReport(
        deployment=rollout.deployment,
        rollout=info(opened),
        baseline=v.Span("before", (), None, None),
        after=v.Span("after", (), None, None),
        verdict=Verdict.NO_DATA,
        action="hold",
        reason_code="nothing_flipped",
        reason=text,
        alpha=None,
        gates=(),
        metrics=(),
        checkpoints=(),
        filter=v.FilterAccount(how.filter, {}, ()),
        decomposition=(),
        explain=None,
        explain_before=None,
        smoke_tests=smoke_tests(store, opened),
        rollback=rollouts.undo_commands(rollout, opened.snapshots),
        findings=findings(store, opened),
        warnings=(),
    )
