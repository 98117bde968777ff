"""What the deployment noted of changes, and which of them were requests of this tool."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_AUDIT_LOG
from analyzer.errors import AccessDenied, NotOffered

AUDIT = "/api/v1/list_audit_log_events"
MOST_PAGES = 1_000
OWN_AGENT = "analyzer/"
PURGE = "purge/"  # and the id of its receipt: how an apply signs its requests


def entries(client: Client, since_ms: int, actions: Collection[str]) -> list[dict[str, Any]] | None:
    """Return the entries on some actions from a time on, oldest first; None where they cannot be read.

    raises  SourceInvalid
    """
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        params: dict[str, str | int | float] = {"from": since_ms, "limit": 100}
        if cursor:
            params["cursor"] = cursor
        try:
            answer = client.get(AUDIT, params, permission=VIEW_AUDIT_LOG)
        except (AccessDenied, NotOffered):
            return None
        items = answer.get("items") if isinstance(answer, dict) else None
        pagination = answer.get("pagination") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not isinstance(pagination, dict):
            raise client.unexpected(f"GET {AUDIT}", "events", VIEW_AUDIT_LOG)
        found += [item for item in items if isinstance(item, dict) and item.get("action") in actions]
        if pagination.get("hasMore") is False:
            return found
        cursor = pagination.get("nextCursor")
        if not isinstance(cursor, str):  # more without a way to it: what is not read is not nothing
            raise client.unexpected(f"GET {AUDIT}", "the next cursor, or an end", VIEW_AUDIT_LOG)
    raise client.unexpected(f"GET {AUDIT}", "an end", VIEW_AUDIT_LOG)


def is_ours(client: Client, entry: Mapping[str, Any]) -> bool:
    """Tell whether a request of this tool did it; those that the apply of another plan signed are not ours."""
    agent = str(entry.get("clientUserAgent"))
    return OWN_AGENT in agent and (PURGE not in agent or client.signature in agent.split())


def ids(entry: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the documents that it was done to."""
    metadata = entry.get("metadata")
    return frozenset(metadata.get("document_ids", ())) if isinstance(metadata, dict) else frozenset()
