"""What was done to a deployment, from its audit log: pushes, flag flips, imports, pauses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_AUDIT_LOG, VIEW_DATA
from analyzer.errors import AccessDenied, FunctionFailed, NotOffered, SourceInvalid
from analyzer.sources.live_pages import Guard

PATH = "/api/v1/list_audit_log_events"
SINCE, LAST_PUSH = "_system/frontend/listDeploymentEventsFromTime", "_system/frontend/deploymentEvents:lastPushEvent"
PAGE_EVENTS = 100
DAY_MS = 86_400_000
# After these, tables were replaced as a whole, and deltas say nothing of it.
RESYNC_ACTIONS = frozenset({"snapshot_import", "clear_tables", "delete_tables", "delete_component"})
# Names of things, never contents or people: all that is kept of an event.
_KEPT = ("variable_name", "previous_variable_name", "component", "table", "import_mode", "table_count", "new_state")
MAX_NAMES = 100


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One row of the audit log, whole. Holds ids of documents and may hold names of people: not for the store."""

    action: str
    at_ms: float  # by the deployment's clock
    actor: str  # "system", "member" or "token"
    agent: str  # user agent, "" when it is not known
    metadata: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeploymentEvent:
    """What is kept of a row."""

    action: str  # "push_config_with_components", "update_environment_variable"
    at_ms: float
    actor: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Events:
    """Events, oldest first."""

    events: tuple[DeploymentEvent, ...]
    complete_since_ms: float | None  # from when on none is missing; None: only some are known
    warnings: tuple[str, ...] = ()


def read_events(client: Client, since_ms: int, now_ms: int) -> Events:
    """Return what was done since a time, from the best place that answers.

    since_ms, now_ms  by the deployment's clock
    """
    try:
        return Events(tuple(_kept(event) for event in raw_events(client, since_ms)), since_ms)
    except (NotOffered, AccessDenied) as error:
        why = str(error)
    try:
        answer = functions.query(client, SINCE, {"fromTimestamp": float(since_ms)}, permission=VIEW_AUDIT_LOG)
        rows = [_raw_row(client, row) for row in _list(client, answer)]
        # It leaves out, without a word, what is older than the plan keeps; that is at least a day.
        complete = max(since_ms, now_ms - DAY_MS)
        warning = f"events may be missing before the last day: {why}" if complete > since_ms else ""
        return Events(tuple(_kept(row) for row in rows), complete, (warning,) if warning else ())
    except (AccessDenied, FunctionFailed):
        pass
    try:
        row = functions.query(client, LAST_PUSH, {}, permission=VIEW_DATA)
    except FunctionFailed:
        row = None
    pushes = () if row is None else (_kept(_raw_row(client, row)),)
    return Events(pushes, None, (f"only the last push is known, no flag flips: {why}",))


def raw_events(client: Client, since_ms: int) -> Iterator[RawEvent]:
    """Return the rows of the audit log since a time, oldest first.

    raises  NotOffered: no such endpoint, not in the plan, or the plan does not go back that far; AccessDenied
    """
    guard = Guard(client, f"GET {PATH}")
    params: dict[str, str | int | float] = {"from": since_ms, "limit": PAGE_EVENTS}
    while True:
        answer = client.get(PATH, params, permission=VIEW_AUDIT_LOG)
        pagination = answer.get("pagination") if isinstance(answer, dict) else None
        if not isinstance(pagination, dict) or type(pagination.get("hasMore")) is not bool:
            raise guard.broken("a page of events")
        items = guard.items(answer.get("items"), "a list of events")
        yield from (_raw_item(client, item) for item in items)
        if not pagination["hasMore"]:
            return
        params["cursor"] = guard.text(pagination.get("nextCursor"), "a cursor")
        guard.step(params["cursor"], is_empty=not items)


def _raw_item(client: Client, item: dict[str, Any]) -> RawEvent:
    actor = item.get("actor")
    kind = actor.get("kind") if isinstance(actor, dict) else None
    return _raw(client, item, at_ms=item.get("createTime"), kind=kind, agent=item.get("clientUserAgent"))


def _raw_row(client: Client, row: Any) -> RawEvent:
    if not isinstance(row, dict):
        raise _broken(client)
    kind = "token" if row.get("token_id") else "system" if row.get("member_id") is None else "member"
    return _raw(client, row, at_ms=row.get("_creationTime"), kind=kind, agent=row.get("client_user_agent"))


def _raw(client: Client, row: Mapping[str, Any], *, at_ms: Any, kind: Any, agent: Any) -> RawEvent:
    action, metadata = row.get("action"), row.get("metadata")
    if not isinstance(action, str) or not isinstance(at_ms, int | float) or not isinstance(metadata, dict):
        raise _broken(client)
    actor = kind if kind in ("system", "member", "token") else "unknown"
    return RawEvent(action[:100], float(at_ms), actor, agent[:200] if isinstance(agent, str) else "", metadata)


def _list(client: Client, answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise _broken(client)
    return answer


def _broken(client: Client) -> SourceInvalid:
    return client.unexpected("the audit log", "events that can be read", VIEW_AUDIT_LOG)


def _kept(event: RawEvent) -> DeploymentEvent:
    kept: dict[str, Any] = {}
    for name in _KEPT:
        value = event.metadata.get(name)
        if isinstance(value, str | int | float):
            kept[name] = value[:200] if isinstance(value, str) else value
    for name in ("added", "removed"):
        if modules := sorted(_modules(event.metadata, name)):
            kept[f"modules_{name}"] = modules[:MAX_NAMES]
    ids = event.metadata.get("document_ids")
    if isinstance(ids, list):
        kept["documents"] = len(ids)
    return DeploymentEvent(event.action, event.at_ms, event.actor, kept)


def _modules(metadata: Mapping[str, Any], name: str) -> set[str]:
    """Return module files that a push added or removed, of all components."""
    diffs: list[Any] = [metadata.get("modules")]
    components = metadata.get("component_diffs")
    for component in components if isinstance(components, list) else []:
        diff = component.get("component_diff") if isinstance(component, dict) else None
        diffs.append(diff.get("moduleDiff") if isinstance(diff, dict) else None)
    found = [diff.get(name) for diff in diffs if isinstance(diff, dict)]
    return {module[:200] for names in found if isinstance(names, list) for module in names if isinstance(module, str)}
