"""Single function calls as the platform logs them; it remembers about a thousand, so who reads seldom misses some.

Log lines, arguments and the text of errors may hold anything about anybody: of a call only its figures are kept, and
of an error its class.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from analyzer.convex.client import SILENT, Client
from analyzer.convex.permissions import VIEW_LOGS

PATH = "/api/stream_function_logs"
REMEMBERED_CALLS = 1000  # as many in one answer: older ones may be gone already
_ERROR_CLASS = re.compile(r"\b([A-Z]\w{0,60}(?:Error|Exception))\b")


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call of a function of the app. The platform's own functions never appear."""

    function: str  # "messages:list"; "GET /x" for an HTTP action
    component: str  # path, "" is the root
    kind: str  # "Query", "Mutation", "Action", "HttpAction"
    started_ms: float
    took_s: float
    is_cached: bool  # answered from the cache: says nothing about latency
    error: str | None  # class of the error, "Error" when it names none; None when the call went well
    will_retry: bool  # lost a conflict and runs again: no failure
    caller: str
    execution_id: str
    read_documents: int
    read_bytes: int
    written_bytes: int
    conflict_table: str | None  # where it met another write


@dataclass(frozen=True, slots=True)
class LogPage:
    """Calls since a cursor, in the order in which they ended."""

    calls: tuple[Call, ...]
    next_cursor: float  # milliseconds; to be given back exactly
    may_have_lost: bool  # more calls ended in between than the platform remembers
    oldest_ms: float | None = None  # when the first entry was noted, on the scale of cursors; None: there is none


def read_logs(client: Client, cursor: float = 0.0, *, patience_s: float | None = None) -> LogPage:
    """Return what ended since a cursor; waits up to a minute for something to end.

    cursor      of the page before; 0 gives everything that is remembered
    patience_s  wait no longer than this; the page is then empty
    raises     AccessDenied without ViewLogs; SourceInvalid
    """
    answer = client.get(PATH, {"cursor": cursor}, permission=VIEW_LOGS, patience_s=patience_s)
    if answer is SILENT:
        return LogPage((), cursor, may_have_lost=False)
    entries = answer.get("entries") if isinstance(answer, dict) else None
    newest = answer.get("newCursor") if isinstance(answer, dict) else None
    is_time = isinstance(newest, int | float) and not isinstance(newest, bool) and math.isfinite(newest)
    if not isinstance(entries, list) or newest is None or not is_time or newest < cursor:
        raise client.unexpected(f"GET {PATH}", "log entries and a cursor", VIEW_LOGS)
    if entries and newest == cursor:
        raise client.unexpected(f"GET {PATH}", "a cursor that moves on", VIEW_LOGS)
    completions = [entry for entry in entries if isinstance(entry, dict) and entry.get("kind") == "Completion"]
    calls = [_call(entry) for entry in completions]
    if None in calls:
        raise client.unexpected(f"GET {PATH}", "log entries that can be read", VIEW_LOGS)
    overflow = cursor > 0 and len(completions) >= REMEMBERED_CALLS
    noted = [entry.get("timestamp") for entry in entries if isinstance(entry, dict)]
    oldest_ms = min((at_s * 1000 for at_s in noted if isinstance(at_s, int | float)), default=None)
    return LogPage(tuple(call for call in calls if call is not None), float(newest), overflow, oldest_ms)


def _call(entry: dict[str, Any]) -> Call | None:
    function, kind, error = entry.get("identifier"), entry.get("udfType"), entry.get("error")
    started, took = entry.get("executionTimestamp"), entry.get("executionTime")
    if not isinstance(function, str) or not isinstance(kind, str) or not isinstance(error, str | None):
        return None
    if not isinstance(started, int | float) or not isinstance(took, int | float):
        return None
    usage, conflict = entry.get("usageStats"), entry.get("occInfo")
    return Call(
        function=function[:300],
        component=str(entry.get("componentPath") or "")[:300],
        kind=kind[:20],
        started_ms=started * 1000,
        took_s=float(took),
        is_cached=entry.get("cachedResult") is True,
        error=None if error is None else error_class(error),
        will_retry=entry.get("willRetry") is True,
        caller=str(entry.get("caller") or "")[:40],
        execution_id=str(entry.get("executionId") or "")[:80],
        read_documents=_whole(usage, "databaseReadDocuments"),
        read_bytes=_whole(usage, "databaseReadBytes"),
        written_bytes=_whole(usage, "databaseWriteBytes"),
        conflict_table=_name(conflict),
    )


def error_class(text: str) -> str:
    """Return the class that an error's text names, the innermost first line; never anything else of the text."""
    found = _ERROR_CLASS.search(text[:2000])
    return found[1] if found else "Error"


def _whole(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def _name(conflict: Any) -> str | None:
    table = conflict.get("tableName") if isinstance(conflict, dict) else None
    return table[:200] if isinstance(table, str) else None
