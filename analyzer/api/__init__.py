"""The public face: what the commands do, as functions for notebooks. Read it through `import analyzer`.

Answers are the frozen dataclasses of `analyzer.analysis`; lists come as pandas frames. The configuration file of the
current folder counts, as it does on the command line. Times are epoch milliseconds, UTC; rates and shares are 0..1.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer import clock, config, rules
from analyzer.analysis import artifacts as finding_artifacts
from analyzer.analysis import policy as policies
from analyzer.analysis import series as over_time
from analyzer.analysis.explain import Explanation
from analyzer.analysis.health import HealthReport
from analyzer.api.frames import frame_of
from analyzer.api.rollouts import (
    checkpoints,
    decomposition,
    metrics,
    plot_differences,
    plot_metrics,
    rollout_report,
)
from analyzer.collect import collect
from analyzer.flows import demo as demo_flow
from analyzer.flows.explaining import explain_snapshot
from analyzer.model import CollectResult, FilterName
from analyzer.purge import plan as purge_plan
from analyzer.purge.plan import Judged
from analyzer.purge.plan_file import Plan
from analyzer.purge.select import Choice
from analyzer.report import charts
from analyzer.rules import InternalLists
from analyzer.sources import open_source
from analyzer.store import Store
from analyzer.units import parse_duration_ms

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "artifacts",
    "causes",
    "checkpoints",
    "collect_source",
    "decomposition",
    "demo_store",
    "explain",
    "health",
    "health_over_time",
    "held_back",
    "metrics",
    "open_store",
    "planned",
    "plot_differences",
    "plot_health",
    "plot_metrics",
    "purge_rehearsal",
    "rollout_report",
    "rules_of",
    "snapshots",
]


# ---- store -------------------------------------------------------------------------------------------------------


def open_store(path: str | Path) -> Store:
    """Open a store for reading.

    raises  StoreError when there is none at the path
    """
    return Store.read(Path(path))


def collect_source(source: str | Path, store: str | Path, *, label: str | None = None) -> CollectResult:
    """Add an export or a recording to a store, which is made if need be.

    raises  SourceError for what is neither; StoreError when another process holds the store
    """
    settings = config.load()
    rule_set = rules.load_all(settings.rule_files)
    opened = open_source(Path(source), deployment=settings.deployment, taken_at_ns=None, flag_names=settings.flags)
    with contextlib.closing(opened):
        return collect(opened, Path(store), label=label, fingerprints=rules.fingerprints(rule_set))


def demo_store(folder: str | Path) -> Path:
    """Collect the demo's recordings into a new store in a folder, which must exist; return its path."""
    return demo_flow.gather(
        demo_flow.folder(),
        Path(folder),
        flag_names=config.DEFAULT_FLAGS,
        rules=rules.load_all(),
        tell=lambda _: None,
    )


def snapshots(store: Store) -> pd.DataFrame:
    """Return a row a snapshot, oldest first: id, label, deployment, as_of (UTC), documents, added, changed, removed."""
    import pandas as pd

    rows = [
        {
            "id": shot.id,
            "label": shot.label,
            "deployment": shot.deployment.name,
            "as_of": pd.Timestamp(shot.as_of_ms, unit="ms", tz="UTC"),
            "documents": sum(c.documents or 0 for c in shot.coverage),
            "added": sum(c.added for c in shot.coverage),
            "changed": sum(c.changed for c in shot.coverage),
            "removed": sum(c.removed for c in shot.coverage),
        }
        for shot in store.snapshots()
    ]
    return pd.DataFrame(rows)


# ---- health ------------------------------------------------------------------------------------------------------


def health(
    store: Store, snapshot: str | int | None = None, *, at_ms: int | None = None, filter_name: str = "evidence"
) -> HealthReport:
    """Judge health as reported, from every document, and without what tests left behind; see `analyzer health`."""
    return explain(store, snapshot, at_ms=at_ms, filter_name=filter_name).report


def explain(
    store: Store,
    snapshot: str | int | None = None,
    *,
    at_ms: int | None = None,
    filter_name: str = "evidence",
    full: bool = False,
) -> Explanation:
    """Say why health is what it is; see `analyzer explain`.

    snapshot  id or label; None for the newest
    full      also judge with each artifact rule alone
    """
    settings = config.load()
    return explain_snapshot(
        store,
        store.snapshot(snapshot, settings.deployment),
        at_ms=at_ms,
        policy=policies.find(settings.health.policy, settings.policies),
        filter_name=FilterName(filter_name),
        rules=rules.load_all(settings.rule_files),
        lists=_lists(settings),
        now_ms=clock.now_ms(),
        tolerate=settings.health.tolerate,
        claims=(settings.functions.system_health, settings.functions.alerts),
        full=full,
    )


def rules_of(explanation: Explanation) -> pd.DataFrame:
    """Return a row a rule of the policy, on every document: id, value, operator, limit, n, ok, slack."""
    return frame_of(explanation.rules, ("id", "value", "operator", "limit", "n", "ok", "slack"))


def causes(explanation: Explanation) -> pd.DataFrame:
    """Return a row a cause of a degraded status: cause, count, action."""
    return frame_of(explanation.diagnosis, ("cause", "count", "action"))


def artifacts(store: Store, snapshot: str | int | None = None) -> pd.DataFrame:
    """Return a row a document that a test left behind, strongest tier first: tier, table, id, label, reason, via."""
    settings = config.load()
    frame = store.frame(store.snapshot(snapshot, settings.deployment))
    finding_artifacts.prepare(frame, rules.load_all(settings.rule_files), _lists(settings), orphans=True)
    return frame_of(finding_artifacts.list_artifacts(frame), ("tier", "table", "id", "label", "reason", "via"))


def purge_rehearsal(store: Store, snapshot: str | int | None = None, *, idle: str = "15m") -> Plan:
    """Return what a purge of a snapshot would delete. It asks no deployment, deletes nothing and cannot be applied.

    idle    how long nothing in a group may have been created or changed
    raises  GuardRefused where the snapshot lacks tables that may refer to documents
    """
    settings = config.load()
    frame = store.frame(store.snapshot(snapshot, settings.deployment))
    choice = Choice(idle_ms=parse_duration_ms(idle))
    return purge_plan.rehearse(frame, Judged(rules.load_all(settings.rule_files), _lists(settings), choice))


def planned(plan: Plan) -> pd.DataFrame:
    """Return a row a document that a plan would delete, in the order of deletion: root, table, id, tier, reason."""
    import pandas as pd

    rows = [(group.root, d.table, d.id, d.tier, d.reason) for group in plan.groups for d in group.documents]
    return pd.DataFrame(rows, columns=["root", "table", "id", "tier", "reason"])


def held_back(plan: Plan) -> pd.DataFrame:
    """Return a row a group that stays: root, reason, and the table and id of the document that holds it."""
    import pandas as pd

    rows = [(b.root, b.reason, (b.referrer or {}).get("table"), (b.referrer or {}).get("id")) for b in plan.blocked]
    return pd.DataFrame(rows, columns=["root", "reason", "held_by_table", "held_by_id"])


def health_over_time(store: Store, *, since_ms: int, until_ms: int, every: str = "15m") -> pd.DataFrame:
    """Return a row a clock: messages and complete ones, raw and without tests, and both statuses; index at (UTC)."""
    import pandas as pd

    found = _series(store, since_ms, until_ms, every)
    rows = [
        {
            "messages": tick.raw.counts.message_total,
            "complete": tick.raw.counts.message_completed,
            "status": tick.raw.judgement.status.value,
            "messages_without_tests": tick.without_tests.counts.message_total,
            "complete_without_tests": tick.without_tests.counts.message_completed,
            "status_without_tests": tick.without_tests.judgement.status.value,
        }
        for tick in found.ticks
    ]
    return pd.DataFrame(rows, index=pd.to_datetime(list(found.grid.clocks), unit="ms", utc=True).rename("at"))


def plot_health(store: Store, *, since_ms: int, until_ms: int, every: str = "15m") -> Any:
    """Return a matplotlib figure of health as reported, raw and without tests over time."""
    return charts.health_series(_series(store, since_ms, until_ms, every))


# ---- parts -------------------------------------------------------------------------------------------------------


def _lists(settings: config.Settings) -> InternalLists:
    return InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos)


def _series(store: Store, since_ms: int, until_ms: int, every: str) -> over_time.Series:
    settings = config.load()
    return over_time.series(
        store,
        store.snapshot(None, settings.deployment),
        over_time.grid(since_ms, until_ms, parse_duration_ms(every)),
        policy=policies.find(settings.health.policy, settings.policies),
        filter_name=settings.health.filter,
        rules=rules.load_all(settings.rule_files),
        internal=_lists(settings),
        system_health=settings.functions.system_health,
    )
