"""Planned looks at a change: which snapshot shows each, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzer.analysis import artifacts, compare, gates, health, judging
from analyzer.analysis import verdict as v
from analyzer.analysis.changes import Change, Window, baseline_window, look_window
from analyzer.analysis.compare import Tally
from analyzer.analysis.policy import Policy
from analyzer.analysis.prices import Prices
from analyzer.analysis.rollout import Rollout
from analyzer.analysis.rollout_plan import Plan
from analyzer.analysis.windows import Windows
from analyzer.model import FilterName, Snapshot
from analyzer.rules import InternalLists, RuleSet
from analyzer.store import Frame, Store
from analyzer.units import duration, instant

OWN_MS = 10 * 60_000  # a snapshot this shortly after a planned look is its own


@dataclass(frozen=True, slots=True)
class Judging:
    """What a look is judged with besides the plan."""

    rules: RuleSet
    lists: InternalLists
    filter: FilterName
    policy: Policy
    now_ms: int  # the local clock; only compared with when a snapshot was taken
    full: bool = False
    prices: Prices = field(default_factory=dict)  # what models charge


@dataclass(frozen=True, slots=True)
class Look:
    """One planned look at one change."""

    label: str  # "T+1h"
    change: int
    offset_ms: int
    at_ms: int
    alpha: float
    snapshot: Snapshot | None  # the first one that reaches it
    window: Window

    @property
    def is_reconstructed(self) -> bool:
        """Whether its snapshot was taken clearly later, so that statuses are later ones and deletions are unknown."""
        return self.snapshot is not None and self.snapshot.as_of_ms > self.at_ms + OWN_MS

    @property
    def health_at_ms(self) -> int:
        """When health is looked at: the moment of its own snapshot, or the planned one."""
        return self.at_ms if self.is_reconstructed or self.snapshot is None else self.snapshot.as_of_ms


@dataclass(frozen=True, slots=True)
class Judged:
    """A look with everything that it says."""

    look: Look
    windows: Windows | None  # None without a snapshot
    tally: Tally | None
    metrics: tuple[v.MetricResult, ...]
    decision: gates.Decision
    result: v.CheckpointResult
    warnings: tuple[str, ...] = field(default=())


def planned_looks(rollout: Rollout, change: Change, snapshots: Sequence[Snapshot]) -> tuple[Look, ...]:
    """Return the planned looks at a change, earliest first, each with the first snapshot that reaches it.

    snapshots  of the deployment, oldest first
    """
    plan = rollout.plan
    found = []
    for offset_ms, alpha in zip(plan.checkpoints_ms, plan.shares, strict=True):
        window = look_window(change, offset_ms, rollout.changes)
        reaching = next((s for s in snapshots if s.as_of_ms >= window.to_ms), None)
        label = f"T+{duration(offset_ms)}" if offset_ms % 86_400_000 else f"T+{offset_ms // 3_600_000}h"
        found.append(Look(label, change.number, offset_ms, window.to_ms, alpha, reaching, window))
    return tuple(found)


class Frames:
    """Opens prepared frames, and hands the last one out again: finding artifacts is most of the work."""

    def __init__(self, store: Store, how: Judging) -> None:
        self.store, self._how = store, how
        self._open: Frame | None = None

    def open(self, snapshot: Snapshot, at_ms: int | None = None) -> Frame:
        """Return a snapshot's frame at a clock, its artifacts found."""
        at_ms = snapshot.as_of_ms if at_ms is None else at_ms
        known, wanted = self._open, (snapshot.id, at_ms)
        is_newest = known is not None and known is self.store.newest_frame  # else its tables are another's by now
        if known is None or not is_newest or (known.snapshot.id, known.at_ms) != wanted:
            self._open = known = self.store.frame(snapshot, at_ms)
            artifacts.find(known, self._how.rules, self._how.lists, orphans=True)
        return known


def health_of(frames: Frames, look: Look, how: Judging) -> tuple[health.Side, health.Side] | None:
    """Return raw health and health without tests at a look; None where no snapshot reaches it."""
    if look.snapshot is None:
        return None
    frame = frames.open(look.snapshot, look.health_at_ms)
    report = health.assess(frame, policy=how.policy, filter_name=how.filter, now_ms=look.snapshot.taken_at_ms)
    return report.raw, report.without_tests


def judge_look(
    frames: Frames,
    rollout: Rollout,
    change: Change,
    look: Look,
    how: Judging,
    *,
    status: tuple[health.Side, health.Side] | None,
    invalid: Sequence[str] = (),
    failed_before: Sequence[str] = (),
) -> Judged:
    """Count and judge one look.

    status         what `health_of` says of it
    invalid        sentences that say why the comparison makes no sense
    failed_before  labels of earlier looks at the same change that failed
    """
    if look.snapshot is None or status is None:
        stale = f"No snapshot reaches {instant(look.at_ms)}, {look.label} after the change: collect one."
        return _uncounted(look, gates.decide((), stale=stale, failed_before=failed_before))
    frame = frames.open(look.snapshot)
    windows = find_windows(frame, rollout, change, look.window)
    tally = compare.tally(frame, windows, how.filter, [flip.at_ms for flip in rollout.flips], prices=how.prices)
    metrics = judging.judge(tally, rollout.plan, look.alpha)
    decision = gates.decide(metrics, invalid=(*invalid, *undone(change, look)), failed_before=failed_before)
    return Judged(
        look,
        windows,
        tally,
        metrics,
        decision,
        _result(look, decision, tally, status),
        (*_warnings(look, tally, windows), *_changes_before(rollout, change, windows)),
    )


def find_windows(frame: Frame, rollout: Rollout, change: Change, window: Window) -> Windows:
    """Return both windows; the baseline is empty where nothing before the change is known."""
    first_ms = frame.rows("compare/first_document")[0][0]
    base = None
    if first_ms is not None:
        base = baseline_window(change, int(first_ms), rollout.changes, rollout.plan.baseline_ms)
    from_ms = base.from_ms if base else change.start_ms
    return Windows(from_ms, change.start_ms, window.from_ms, window.to_ms)


def undone(change: Change, look: Look) -> tuple[str, ...]:
    """Say why a look shows nothing of a change: every flag in it was flipped back at once."""
    values: dict[str, list[str | None]] = {}
    for flip in change.flips:
        values.setdefault(flip.name, []).append(flip.value)
    back = [flag for flag, seen in values.items() if len(seen) > 1 and seen[-1] != seen[0]]
    if back and len(back) == len(values):
        return (f"{', '.join(back)}: flipped back within the change, so {look.label} shows nothing of it.",)
    return ()


def with_filters(frame: Frame, own: Tally, how: Judging, plan: Plan, alpha: float) -> tuple[v.FilterVerdict, ...]:
    """Judge the windows of a tally of a prepared frame under every filter.

    own  what was counted under the filter in `how`
    """
    counted = {how.filter: own}
    for name in FilterName:
        if name not in counted:
            counted[name] = compare.tally_again(frame, own.windows, name, counted, prices=how.prices)
    return tuple(filter_verdict(counted[name], name.value, plan, alpha) for name in FilterName)


def by_rule(frame: Frame, windows: Windows, plan: Plan, alpha: float, *, prices: Prices) -> tuple[v.FilterVerdict, ...]:
    """Judge the same windows, leaving out what each artifact rule selects alone."""
    fired = [rule for rule, _ in frame.rows("explain/fired_rules")]
    frame.materialise("every_artifact", "explain/every_artifact")
    found = []
    for rule in fired:
        frame.materialise("artifact", "explain/artifacts_of_rules", rules=[rule])
        counted = compare.tally(frame, windows, FilterName.WIDE, prices=prices)
        found.append(filter_verdict(counted, f"rule:{rule}", plan, alpha))
    frame.materialise("artifact", "explain/artifacts_of_rules", rules=fired)
    return tuple(found)


def filter_verdict(tally: Tally, called: str, plan: Plan, alpha: float) -> v.FilterVerdict:
    """Judge what was counted under a filter of this name."""
    decision = gates.decide(judging.judge(tally, plan, alpha))
    return v.FilterVerdict(called, decision.verdict, decision.reason_code, sum(tally.excluded.values()))


def _result(
    look: Look, decision: gates.Decision, tally: Tally, status: tuple[health.Side, health.Side]
) -> v.CheckpointResult:
    assert look.snapshot is not None
    messages, workflows = tally.outcome("after", "chatMessages"), tally.outcome("after", "workflowTraces")
    raw, without_tests = status
    return v.CheckpointResult(
        label=look.label,
        change=look.change,
        offset_ms=look.offset_ms,
        at_ms=look.at_ms,
        alpha=look.alpha,
        snapshot_id=look.snapshot.id,
        snapshot_label=look.snapshot.label,
        reconstructed=look.is_reconstructed,
        verdict=decision.verdict,
        reason_code=decision.reason_code,
        reason=decision.reason,
        health=raw.judgement.status.value,
        health_without_tests=without_tests.judgement.status.value,
        alerts=int(raw.alerts["alertCount"]),
        message_error_rate=_share(messages.failed, messages.settled),
        workflow_error_rate=_share(workflows.failed, workflows.settled),
        message_completion_rate=_share(messages.completed, messages.settled),
        workflow_completion_rate=_share(workflows.completed, workflows.settled),
        messages=messages.settled,
        workflows=workflows.settled,
    )


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def _uncounted(look: Look, decision: gates.Decision) -> Judged:
    nothing = v.CheckpointResult(
        look.label,
        look.change,
        look.offset_ms,
        look.at_ms,
        look.alpha,
        None,
        "",
        False,
        decision.verdict,
        decision.reason_code,
        decision.reason,
        *(None,) * 7,
        messages=0,
        workflows=0,
    )
    return Judged(look, None, None, (), decision, nothing)


def _changes_before(rollout: Rollout, change: Change, windows: Windows) -> list[str]:
    """Warn of a baseline in which other flags changed: it is no single state to compare with."""
    inside = [
        str(other.number)
        for other in rollout.changes
        if other.number != change.number and windows.base_from_ms <= other.settled_ms < windows.base_to_ms
    ]
    return [f"The baseline holds other changes ({', '.join(inside)}), so it mixes their effects in."] if inside else []


def _warnings(look: Look, tally: Tally, windows: Windows) -> list[str]:
    found = []
    if look.is_reconstructed and look.snapshot:
        found.append(
            f"{look.label} is reconstructed from the snapshot of {instant(look.snapshot.as_of_ms)}: statuses are as of "
            "then, and what was deleted in between is missing."
        )
    if look.window.other_changes:
        others = ", ".join(str(number) for number in look.window.other_changes)
        found.append(f"The look holds other changes as well ({others}); it cannot tell them apart.")
    unknown = sum(outcomes.unknown for outcomes in tally.outcomes.values())
    if unknown:
        found.append(f"{unknown} documents have no status, so nobody knows how they ended; they are not counted.")
    base_ms = windows.base_to_ms - windows.base_from_ms
    if 0 < base_ms < look.offset_ms:
        found.append(f"The baseline is only {duration(base_ms // 60_000 * 60_000)} long, shorter than the look.")
    return found
