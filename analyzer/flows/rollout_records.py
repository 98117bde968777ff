"""Rollouts as recorded: imported from logs, started with a frozen plan, accepted by a person, and opened again."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.analysis import rollout as rollouts
from analyzer.analysis.rollout import Rollout
from analyzer.analysis.rollout_log import RolloutLog, parse_log
from analyzer.analysis.rollout_plan import Plan, differences, plan_from_json, plan_json, with_metrics_of
from analyzer.errors import GuardRefused, NoData, UsageError
from analyzer.flows.explaining import flag_changes
from analyzer.model import Snapshot
from analyzer.store import Store
from analyzer.store.rollouts import StoredPlan, StoredRollout

DEPLOY = "push_config_with_components"  # what the deployment calls it in its events
NO_ROLLOUT_HINT = (
    "record one with `analyzer rollout import LOG.md` or `analyzer rollout start --flag NAME`, "
    "or collect snapshots before and after a flag changes"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A rollout with the snapshots of its deployment."""

    rollout: Rollout
    snapshots: tuple[Snapshot, ...]  # oldest first; () where nothing was collected
    deploys_ms: tuple[int, ...] = ()  # when code was deployed, as far as events were collected; earliest first


def open_rollout(store: Store, *, deployment: str | None = None, rollout_id: int | None = None) -> Opened:
    """Return one rollout: the one asked for, the newest recorded, or what flag changes between snapshots tell of.

    raises  UsageError for an unknown number or where several deployments fit; NoData where there is no rollout at all
    """
    stored = store.rollouts.all(deployment)
    if rollout_id is not None:
        chosen = next((s for s in stored if s.id == rollout_id), None)
        if chosen is None:
            known = ", ".join(str(s.id) for s in stored) or "none"
            raise UsageError(f"there is no rollout {rollout_id}", hint=f"recorded: {known}")
    else:
        names = {s.deployment for s in stored}
        if len(names) > 1:
            raise UsageError(
                f"{store.path} holds rollouts of {len(names)} deployments",
                hint=f"choose one with --deployment: {', '.join(sorted(names))}",
            )
        chosen = stored[-1] if stored else None
    if chosen is not None:
        snapshots = store.snapshots(chosen.deployment)
        changes = flag_changes(store, snapshots[-1]) if snapshots else ()
        deploys_ms = store.observations.times_of(chosen.deployment, DEPLOY)
        return Opened(rollouts.from_stored(chosen, snapshots, changes), snapshots, deploys_ms)
    return _collected(store, deployment)


def open_log(store: Store, log: RolloutLog, deployment: str | None = None) -> Opened:
    """Return the rollout that a log tells of, recorded or not, with what was collected of its deployment.

    deployment  None for the one that the log's URL names, else the only one in the store
    """
    name = deployment_of(store, log, deployment)
    snapshots = store.snapshots(name)
    return Opened(rollouts.of_log(log, name, snapshots), snapshots, store.observations.times_of(name, DEPLOY))


def deployment_of(store: Store, log: RolloutLog | None, deployment: str | None = None) -> str:
    """Return which deployment is meant: the one asked for, the log's, or the only one in the store.

    raises  UsageError where nothing says which
    """
    names = sorted({snapshot.deployment.name for snapshot in store.snapshots()})
    found = deployment or (log.deployment_name if log else None) or (names[0] if len(names) == 1 else None)
    if found is None:
        raise UsageError(
            "nothing says which deployment this rollout is of",
            hint=f"name it with --deployment{': ' + ', '.join(names) if names else ''}",
        )
    return found


def _collected(store: Store, deployment: str | None) -> Opened:
    if not store.snapshots(deployment):
        raise NoData("there is no rollout in the store", hint=NO_ROLLOUT_HINT)
    newest = store.snapshot(None, deployment)
    deploys_ms = store.observations.times_of(newest.deployment.name, DEPLOY)
    found = rollouts.from_collected(newest.deployment.name, flag_changes(store, newest), deploys_ms)
    if found is None:
        raise NoData(
            "no rollout is recorded, no flag changed between snapshots, and no deploy was seen", hint=NO_ROLLOUT_HINT
        )
    return Opened(found, store.snapshots(newest.deployment.name), deploys_ms)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording did."""

    id: int
    plan_hash: str
    plan_version: int
    outcome: str  # "recorded", "already recorded", "log replaced", "plan amended"


@dataclass(frozen=True, slots=True)
class Amendment:
    """Why and by whom a plan is changed."""

    because: str
    actor: str


def import_log(
    store: Store, log: RolloutLog, deployment: str, *, now_ms: int, actor: str, amendment: Amendment | None = None
) -> Recorded:
    """Record a log with the plan that it lays down; a newer version of a recorded log replaces it.

    amendment  allows the newer log to change the plan
    raises     GuardRefused when it would, and no amendment says why
    """
    plan = rollouts.from_log(log)
    same = [s for s in store.rollouts.all(deployment) if s.log_source is not None and _is_same(s, log)]
    if not same:
        first = StoredPlan(1, plan_json(plan), plan.hash, None, "", actor, now_ms)
        number = store.rollouts.add(deployment, log.title or log.where, first, (log.where, log.source))
        return Recorded(number, plan.hash, 1, "recorded")
    known = same[-1]
    plan = with_metrics_of(plan, plan_from_json(known.plan.json))
    if known.log_source == log.source and known.plan.hash == plan.hash:
        return Recorded(known.id, plan.hash, known.plan.version, "already recorded")
    found = _amended(store, known, plan, starts_ms=None, now_ms=now_ms, amendment=amendment)
    if known.log_source != log.source:
        store.rollouts.replace_log(known.id, (log.where, log.source), now_ms)
    return found or Recorded(known.id, plan.hash, known.plan.version, "log replaced")


def _is_same(stored: StoredRollout, log: RolloutLog) -> bool:
    """Tell whether a recorded log is an earlier version of this one: same title, started at the same time."""
    assert stored.log_source is not None
    before = parse_log(stored.log_source, where=stored.log_name or "")
    started = before.started.ms if before.started else None
    return before.title == log.title and started == (log.started.ms if log.started else None)


def start(
    store: Store,
    plan: Plan,
    deployment: str,
    *,
    starts_ms: int | None,
    now_ms: int,
    actor: str,
    amendment: Amendment | None = None,
) -> Recorded:
    """Freeze the plan of a rollout that is started by hand.

    starts_ms  when its flags are flipped; None: when a snapshot first shows it
    raises     GuardRefused when another plan is frozen for the same flags, and no amendment says why it changes
    """
    open_ = [s for s in store.rollouts.all(deployment) if s.log_source is None and _flags(s) == set(plan.flags)]
    if not open_:
        first = StoredPlan(1, plan_json(plan), plan.hash, starts_ms, "", actor, now_ms)
        number = store.rollouts.add(deployment, ", ".join(plan.flags), first)
        return Recorded(number, plan.hash, 1, "recorded")
    known = open_[-1]
    plan = with_metrics_of(plan, plan_from_json(known.plan.json))
    if known.plan.hash == plan.hash and (starts_ms is None or starts_ms == known.plan.starts_ms):
        return Recorded(known.id, plan.hash, known.plan.version, "already recorded")
    found = _amended(store, known, plan, starts_ms=starts_ms, now_ms=now_ms, amendment=amendment)
    assert found is not None
    return found


def _flags(stored: StoredRollout) -> set[str]:
    return set(plan_from_json(stored.plan.json).flags)


def _amended(
    store: Store,
    known: StoredRollout,
    plan: Plan,
    *,
    starts_ms: int | None,
    now_ms: int,
    amendment: Amendment | None,
) -> Recorded | None:
    """Record a changed plan; None where it did not change.

    raises  GuardRefused without an amendment
    """
    if known.plan.hash == plan.hash and starts_ms in (None, known.plan.starts_ms):
        return None
    if amendment is None:
        changed = ", ".join(differences(plan_from_json(known.plan.json), plan)) or "when it starts"
        raise GuardRefused(
            f"the plan of rollout {known.id} is frozen, and this changes it: {changed}",
            hint="a plan that changes after the data are seen proves nothing; if it must, add --amend --because REASON",
        )
    version = known.plan.version + 1
    starts_ms = known.plan.starts_ms if starts_ms is None else starts_ms
    store.rollouts.amend(
        known.id,
        StoredPlan(version, plan_json(plan), plan.hash, starts_ms, amendment.because, amendment.actor, now_ms),
    )
    return Recorded(known.id, plan.hash, version, "plan amended")
