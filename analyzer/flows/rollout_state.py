"""What is known of a rollout besides its verdict: phases, smoke tests, contradictions, deploys, and health."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.analysis import rollout_checks
from analyzer.analysis import verdict as v
from analyzer.analysis.changes import DEPLOYED, Change
from analyzer.analysis.checkpoints import Frames, Judging
from analyzer.analysis.explain import Explanation
from analyzer.analysis.rollout_log import log_findings
from analyzer.analysis.smoke import judge_smoke_test
from analyzer.flows.explaining import explain_frame
from analyzer.flows.rollout_records import Opened
from analyzer.model import Finding, Snapshot
from analyzer.store import Store
from analyzer.units import count, instant

MOST_TIMES = 5  # of deploys, written out


def info(opened: Opened, change: Change | None = None) -> v.RolloutInfo:
    """Say which rollout it is, with its phases held against the snapshots."""
    rollout = opened.rollout
    return v.RolloutInfo(
        id=rollout.id,
        title=rollout.title,
        source=rollout.source,
        plan_hash=rollout.plan_hash,
        plan_version=rollout.plan_version,
        started_ms=rollout.flips[0].at_ms if rollout.flips else None,
        change=change.number if change else None,
        changes=len(rollout.changes),
        phases=(*rollout_checks.phase_results(rollout, opened.snapshots), *_deploys(opened)),
        acceptances=rollout.acceptances,
    )


def _deploys(opened: Opened) -> Iterator[v.PhaseResult]:
    """Yield the deploys that were seen during a recorded rollout and that it does not tell of, as phases."""
    rollout = opened.rollout
    if not rollout.changes:
        return
    end_ms = rollout.changes[-1].start_ms + rollout.plan.checkpoints_ms[-1]
    own = {step.at_ms for step in rollout.flips if step.is_deploy}
    for at_ms in opened.deploys_ms:
        if rollout.changes[0].start_ms <= at_ms <= end_ms and at_ms not in own:
            told = "seen in the deployment's events"
            yield v.PhaseResult("", DEPLOYED, "seen", told, at_ms, None, False, ())


def findings(store: Store, opened: Opened) -> tuple[Finding, ...]:
    """Return what a log says against itself and against the data, and which flags changed unannounced."""
    rollout, snapshots = opened.rollout, opened.snapshots
    checks = [c for p in rollout_checks.phase_results(rollout, snapshots) for c in p.flags if c.ok is False]
    return (
        *(log_findings(rollout.log) if rollout.log else ()),
        *rollout_checks.contradictions(store, rollout, snapshots),
        *(Finding("flag-not-as-recorded", c.text, {"flag": c.flag, "phase": c.phase}) for c in checks),
        *(rollout_checks.unannounced(rollout, snapshots) if rollout.id is not None else ()),
        *_deployed(opened),
    )


def _deployed(opened: Opened) -> Iterator[Finding]:
    """Say for each change whether code was deployed inside its looks, as far as events were collected."""
    rollout = opened.rollout
    own = {step.at_ms for step in rollout.flips if step.is_deploy}
    for change in rollout.changes:
        end_ms = change.start_ms + rollout.plan.checkpoints_ms[-1]
        inside = [at_ms for at_ms in opened.deploys_ms if change.start_ms <= at_ms <= end_ms and at_ms not in own]
        if inside:
            times = ", ".join(map(instant, inside[:MOST_TIMES])) + (", …" if len(inside) > MOST_TIMES else "")
            text = (
                f"Code was deployed {count(len(inside), 'time')} inside the looks of change {change.number} ({times}): "
                "what it did cannot be told apart from the flags."
            )
            yield Finding("deployed-during-look", text, {"change": change.number, "at_ms": inside})


def smoke_tests(store: Store, opened: Opened) -> tuple[v.SmokeResult, ...]:
    """Judge every smoke test of a rollout by what became of its task."""
    rollout, snapshots = opened.rollout, opened.snapshots
    if rollout.log:
        return tuple(
            judge_smoke_test(
                store,
                snapshots,
                test.task_id,
                title=test.title,
                claimed=test.status.state if test.status else "",
                at_ms=test.at.ms if test.at else None,
            )
            for test in rollout.log.smoke_tests
        )
    start_ms = rollout.flips[0].at_ms if rollout.flips else None
    return tuple(
        judge_smoke_test(store, snapshots, task_id, title="", claimed="", at_ms=start_ms)
        for task_id in rollout.plan.smoke_tests
    )


def explained(
    store: Store, frames: Frames, snapshot: Snapshot | None, at_ms: int | None, how: Judging
) -> Explanation | None:
    """Explain health at one clock; None without a snapshot."""
    if snapshot is None:
        return None
    frame = frames.open(snapshot, at_ms)
    return explain_frame(store, frame, policy=how.policy, filter_name=how.filter, now_ms=how.now_ms)
