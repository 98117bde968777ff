"""Explains a snapshot of a store: reads what was reported, finds artifacts, judges, and asks why."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.analysis import artifacts, health, reported
from analyzer.analysis.diagnosis import FlagChange
from analyzer.analysis.explain import Explanation, explain
from analyzer.analysis.policy import Policy
from analyzer.model import DeploymentType, FilterName, Snapshot
from analyzer.rules import InternalLists, RuleSet
from analyzer.store import Frame, Store


def explain_snapshot(
    store: Store,
    snapshot: Snapshot,
    *,
    at_ms: int | None,
    policy: Policy,
    filter_name: FilterName,
    rules: RuleSet,
    lists: InternalLists,
    now_ms: int,
    tolerate: Sequence[DeploymentType] = (),
    claims: tuple[str, str] = (reported.SYSTEM_HEALTH, reported.ALERTS),
    full: bool = False,
) -> Explanation:
    """Explain one snapshot.

    at_ms   the clock, milliseconds since the epoch; None: the snapshot's own time
    now_ms  the local clock; only compared with when the snapshot was taken
    claims  paths of the functions whose recorded answers say what the deployment reported
    """
    frame = store.frame(snapshot, at_ms)
    artifacts.find(frame, rules, lists, orphans=True)
    return explain_frame(
        store,
        frame,
        policy=policy,
        filter_name=filter_name,
        now_ms=now_ms,
        tolerate=tolerate,
        claims=claims,
        full=full,
    )


def explain_frame(
    store: Store,
    frame: Frame,
    *,
    policy: Policy,
    filter_name: FilterName,
    now_ms: int,
    tolerate: Sequence[DeploymentType] = (),
    claims: tuple[str, str] = (reported.SYSTEM_HEALTH, reported.ALERTS),
    full: bool = False,
) -> Explanation:
    """Explain a prepared frame; see `explain_snapshot`."""
    snapshot = frame.snapshot
    said = reported.reported(store, snapshot, system_health=claims[0], alerts=claims[1])
    report = health.assess(
        frame, policy=policy, filter_name=filter_name, now_ms=now_ms, reported=said, tolerate=tolerate
    )
    return explain(frame, report, flag_changes=flag_changes(store, snapshot), full=full)


def flag_changes(store: Store, snapshot: Snapshot) -> tuple[FlagChange, ...]:
    """Return when configured flags took other values, as far as snapshots up to this one tell; oldest first.

    A change is dated by the deployment where it says so, else by the first snapshot that shows it: a latest bound.
    """
    values: dict[str, str | None] = {}
    changes = []
    for earlier in store.snapshots(snapshot.deployment.name):
        if earlier.as_of_ns > snapshot.as_of_ns:
            break
        for flag in earlier.flags:
            if flag.name in values and values[flag.name] != flag.value:
                at_ms = earlier.as_of_ms if flag.changed_at_ms is None else int(flag.changed_at_ms)
                changes.append(FlagChange(flag.name, flag.value, at_ms))
            values[flag.name] = flag.value
    return tuple(sorted(changes, key=lambda change: (change.at_ms, change.name)))
