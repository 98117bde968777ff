"""A rollout as data, whatever told of it: a log, a plan, or flags that changed between snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analyzer.analysis.app_functions import FLAG_ON_UNLESS_FALSE
from analyzer.analysis.changes import Change, Flip, deploy, group_flips, log_flips
from analyzer.analysis.diagnosis import FlagChange
from analyzer.analysis.rollout_log import RolloutLog, parse_log
from analyzer.analysis.rollout_plan import Plan, make_plan, plan_from_json
from analyzer.analysis.verdict import Acceptance
from analyzer.model import Snapshot
from analyzer.store.rollouts import StoredRollout
from analyzer.units import instant

MOST_DEPLOYS = 12  # that become steps of a rollout which nobody recorded


@dataclass(frozen=True, slots=True)
class Rollout:
    """A series of flag flips, with the plan by which it is judged."""

    id: int | None  # in the store; None when made from collected flag changes
    deployment: str
    title: str
    plan: Plan
    plan_hash: str
    plan_version: int
    changes: tuple[Change, ...]
    log: RolloutLog | None
    acceptances: tuple[Acceptance, ...] = ()

    @property
    def flips(self) -> tuple[Flip, ...]:
        """Return all flips, earliest first."""
        return tuple(flip for change in self.changes for flip in change.flips)

    @property
    def source(self) -> Literal["log", "plan", "collected"]:
        """Return what told of it: "log", "plan" or "collected"."""
        return "log" if self.log else "collected" if self.id is None else "plan"


def is_on(flag: str, value: str | None) -> bool:
    """Tell whether the app takes a flag for on."""
    return value != "false" if flag == FLAG_ON_UNLESS_FALSE else value == "true"


def from_log(log: RolloutLog) -> Plan:
    """Return the plan that a log lays down: its flags, checkpoints, smoke tests and rollback commands."""
    commands = log.rollback or tuple(c for phase in reversed(log.phases) for c in phase.rollback)
    return make_plan(
        flags=[flag for phase in log.phases for flag in (*phase.flags, *(flip.flag for flip in phase.flips))],
        checkpoints_ms=[row.offset_ms for table in log.checkpoint_tables for row in table.rows if row.offset_ms > 0],
        smoke_tests=[test.task_id for test in log.smoke_tests if test.task_id],
        rollback=[command.text for command in commands],
    )


def from_stored(
    stored: StoredRollout, snapshots: Sequence[Snapshot], flag_changes: Sequence[FlagChange] = ()
) -> Rollout:
    """Return a recorded rollout, its flips dated as exactly as the snapshots allow.

    snapshots     of the deployment, oldest first
    flag_changes  what was collected; dates the flips of a rollout that was started by hand
    """
    plan = plan_from_json(stored.plan.json)
    if stored.log_source is not None:
        found = of_log(parse_log(stored.log_source, where=stored.log_name or ""), stored.deployment, snapshots, plan)
    else:
        flips = _started_flips(plan, stored.plan.starts_ms, stored.created_at_ms, flag_changes)
        changes = group_flips([_dated(flip, snapshots) for flip in flips], plan.checkpoints_ms[0])
        found = Rollout(None, stored.deployment, stored.title, plan, plan.hash, 1, changes, None)
    return replace(
        found,
        id=stored.id,
        title=stored.title,
        plan_hash=stored.plan.hash,
        plan_version=stored.plan.version,
        acceptances=tuple(Acceptance(a.actor, a.because, a.verdict, a.accepted_at_ms) for a in stored.acceptances),
    )


def of_log(log: RolloutLog, deployment: str, snapshots: Sequence[Snapshot], plan: Plan | None = None) -> Rollout:
    """Return the rollout that a log tells of.

    plan  None for the one that the log lays down
    """
    plan = plan or from_log(log)
    flips = [_dated(flip, snapshots) for flip in log_flips(log)]
    return Rollout(None, deployment, log.title, plan, plan.hash, 1, group_flips(flips, plan.checkpoints_ms[0]), log)


def from_collected(
    deployment: str, flag_changes: Sequence[FlagChange], deploys_ms: Sequence[int] = ()
) -> Rollout | None:
    """Return the rollout that flag changes between snapshots and deploys tell of; None when there are neither.

    deploys_ms  when code was deployed; of many only the last MOST_DEPLOYS are steps
    """
    flips = [Flip(change.name, change.value, change.at_ms) for change in flag_changes]
    flips += [deploy(at_ms) for at_ms in sorted(deploys_ms)[-MOST_DEPLOYS:]]
    if not flips:
        return None
    plan = make_plan(flags=[change.name for change in flag_changes])
    changes = group_flips(flips, plan.checkpoints_ms[0])
    flags = "Flags changed between snapshots" if flag_changes else ""
    title = ", and code deployed" if flag_changes else "Code deployed"
    return Rollout(None, deployment, f"{flags}{title if deploys_ms else ''}", plan, plan.hash, 1, changes, None)


def _started_flips(
    plan: Plan, starts_ms: int | None, created_at_ms: int, flag_changes: Sequence[FlagChange]
) -> Iterator[Flip]:
    """Yield the flips of a plan: where it says when, else the first collected change after it was frozen."""
    for flag in plan.flags:
        if starts_ms is not None:
            yield Flip(flag, "true", starts_ms)
            continue
        seen = [change for change in flag_changes if change.name == flag and change.at_ms >= created_at_ms]
        if seen:
            yield Flip(flag, seen[0].value, seen[0].at_ms)


def _dated(flip: Flip, snapshots: Sequence[Snapshot]) -> Flip:
    """Take the deployment's own time of a flip where it lies within what the log says."""
    for snapshot in snapshots:
        for flag in snapshot.flags:
            at_ms = flag.changed_at_ms
            if flag.name == flip.flag and at_ms is not None and flip.at_ms <= at_ms < flip.at_ms + flip.precision_ms:
                return replace(flip, at_ms=int(at_ms), precision_ms=1)
    return flip


def undo_commands(rollout: Rollout, snapshots: Sequence[Snapshot], phase: str | None = None) -> tuple[str, ...]:
    """Return the commands that bring flags back to what they were before the rollout, the last flip first.

    snapshots  of the deployment, oldest first; where none shows a flag's value before, the log's own command is given
    phase      number of the phase to undo; None for all
    returns    one command a flag; () for nothing to undo
    """
    steps = _steps(rollout, phase)
    first = {flip.name: flip for flip in reversed(steps)}
    last_first = dict.fromkeys(flip.name for flip in reversed(steps))
    return tuple(_undo(rollout, first[name], snapshots) for name in last_first)


def phase_numbers(rollout: Rollout) -> tuple[str, ...]:
    """Return the numbers of the phases that changed anything, in time."""
    if rollout.log is None:
        return tuple(str(number) for number, _ in enumerate(rollout.flips, 1))
    return tuple(dict.fromkeys(flip.phase for flip in rollout.flips if flip.phase))


def _steps(rollout: Rollout, phase: str | None) -> list[Flip]:
    """Return the steps of a phase, earliest first; None for all. Where no log numbers them, they are counted."""
    if rollout.log is not None:
        return [flip for flip in rollout.flips if phase in (None, flip.phase)]
    return [flip for number, flip in enumerate(rollout.flips, 1) if phase in (None, str(number))]


def _undo(rollout: Rollout, flip: Flip, snapshots: Sequence[Snapshot]) -> str:
    if flip.is_deploy:
        return f"# no flag undoes the code deployed at {instant(flip.at_ms)}: deploy what was deployed before it"
    known, value = value_before(flip, snapshots)
    if known:
        name = flip.flag
        plain = value is not None and value.replace("_", "").replace("-", "").isalnum()
        if value is None:
            return f"npx convex env remove {name}"
        if plain:
            return f"npx convex env set {name} {value}"
    if rollout.log:
        own = [c for p in rollout.log.phases if p.number == flip.phase for c in p.rollback if c.flag == flip.flag]
        for command in (*own, *(c for c in rollout.log.rollback if c.flag == flip.flag)):
            return command.text
    return f"npx convex env set {flip.flag} {'false' if flip.value == 'true' else 'true'}"


def value_before(flip: Flip, snapshots: Sequence[Snapshot]) -> tuple[bool, str | None]:
    """Return whether a snapshot before a flip shows the flag, and its value there (None: not set)."""
    for snapshot in reversed([s for s in snapshots if s.as_of_ms < flip.at_ms]):
        for flag in snapshot.flags:
            if flag.name == flip.flag:
                return True, flag.value
    return False, None


@dataclass(frozen=True, slots=True)
class UndoState:
    """Whether one flag is back to what it was."""

    flag: str
    undone: bool | None  # None where no snapshot tells
    text: str


def undo_states(rollout: Rollout, snapshots: Sequence[Snapshot], phase: str | None = None) -> tuple[UndoState, ...]:
    """Say of each flag that the rollout flipped whether the newest snapshot that shows it has it back."""
    first = {flip.name: flip for flip in reversed(_steps(rollout, phase))}
    return tuple(_undo_state(flip, snapshots) for _, flip in sorted(first.items()))


def _undo_state(flip: Flip, snapshots: Sequence[Snapshot]) -> UndoState:
    if flip.is_deploy:
        return UndoState(flip.name, None, f"{flip.name}: nothing collected tells whether its code still runs")
    known, before = value_before(flip, snapshots)
    was_on = is_on(flip.flag, before) if known else not is_on(flip.flag, flip.value)
    for snapshot in reversed(snapshots):
        for flag in snapshot.flags:
            if flag.name == flip.flag and snapshot.as_of_ms >= flip.at_ms:
                back = is_on(flag.name, flag.value) == was_on
                state = "rolled back" if back else "still as the rollout left it"
                shown = flag.value or "not set"
                return UndoState(
                    flip.flag,
                    back,
                    f"{flip.flag} is {shown} in snapshot {snapshot.id} ({instant(snapshot.as_of_ms)}): {state}",
                )
    return UndoState(flip.flag, None, f"{flip.flag}: no snapshot after the flip shows it; collect one to verify")


def flag_periods(rollout: Rollout) -> tuple[str, ...]:
    """Name the time before the first flip and after each one, by what was flipped so far."""
    names = ["before"]
    on: list[str] = []
    for flip in rollout.flips:
        on.append(flip.name if flip.is_deploy else f"{flip.flag}={flip.value or '(not set)'}")
        names.append("after " + ", ".join(dict.fromkeys(on)))
    return tuple(names)
