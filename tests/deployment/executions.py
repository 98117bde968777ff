"""What functions did: the log that forgets after so many calls, and the cache of query results."""

from __future__ import annotations

import math
import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tests.deployment import encoding
from tests.deployment.clock import NS_PER_S
from tests.deployment.errors import FunctionError, HttpError
from tests.deployment.functions import Call, Function, metrics_key, shown
from tests.deployment.keys import Identity
from tests.deployment.transaction import Usage
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

STRUCTURED_CLIENTS = ("npm-cli-", "dashboard-")


@dataclass(frozen=True)
class Execution:
    """One finished run of a function."""

    path: str
    kind: str
    at_s: float  # when it was noted
    execution_s: float
    error: str | None = None
    is_cached: bool = False
    lines: tuple[tuple[str, str], ...] = ()
    usage: Usage = field(default_factory=Usage)
    caller: str = "HttpApi"
    component: str | None = None
    will_retry: bool = False
    occ_info: Mapping[str, Any] | None = None
    http_status: str | None = None  # of HTTP actions


class Cache:
    """Results of queries, good until anything is written."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen: dict[tuple[str, bytes], int] = {}

    def is_hit(self, path: str, args: dict[str, Any]) -> bool:
        """Tell whether the same query ran since the last write, and remember this one."""
        key = (path, orjson.dumps(encoding.encode(args, "encoded")))
        commit_ts = self._backend.database.last_commit_ts
        was, self._seen[key] = self._seen.get(key), commit_ts
        return was == commit_ts


class Executions:
    """Keeps the newest completions; whoever asks too late has missed the rest."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._random = random.Random(f"{backend.seed}/executions")
        self._changed = threading.Condition()
        self._kept: deque[dict[str, Any]] = deque()
        self._last_s = 0.0

    def note(self, function: Function, call: Call, error: FunctionError | None, *, is_cached: bool) -> None:
        """Note a real call; how long it took is drawn, since nothing here takes time."""
        took_s = 0.0001 if is_cached else round(self._random.lognormvariate(-3.5, 0.6), 6)
        text = f"Uncaught Error: {error.message}\n    at handler (../convex/source.ts:3:4)\n" if error else None
        component = call.component.path or None
        if function.kind == "Action" and call.log_lines:
            self._progress(function, call)
        self.record(
            Execution(
                function.path,
                function.kind,
                0.0,
                took_s,
                text,
                is_cached,
                tuple(call.log_lines),
                call.tx.usage,
                component=component,
            )
        )

    def _progress(self, function: Function, call: Call) -> None:
        """Note what an action logs, which comes before its completion and apart from it."""
        entry = {
            "kind": "Progress",
            "udfType": function.kind,
            "componentPath": call.component.path or None,
            "identifier": shown(function.path),
            "logLines": tuple(call.log_lines),
            "requestId": self.backend.request_id(),
            "executionId": self.backend.request_id(),
        }
        self._append(entry, self.backend.clock() / NS_PER_S)

    def record(self, execution: Execution) -> None:
        """Add a completion to log and metrics; `at_s` 0 is now."""
        at_s = execution.at_s or self.backend.clock() / NS_PER_S
        self.backend.metrics.record(execution, at_s)
        self._append(self._entry(execution, at_s), at_s)

    def _append(self, entry: dict[str, Any], at_s: float) -> None:
        with self._changed:
            # Timestamps are cursors: each is later than the one before.
            entry["timestamp"] = self._last_s = max(at_s, math.nextafter(self._last_s, math.inf))
            self._kept.append(entry)
            while len(self._kept) > self.backend.settings.logs_kept:
                self._kept.popleft()
            self._changed.notify_all()

    def forget(self) -> None:
        """Lose everything, as a restart does."""
        with self._changed:
            self._kept.clear()
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # ---- endpoints ---------------------------------------------------------------------------------------------

    def stream_function_logs(self, request: Request, identity: Identity) -> Response:
        return self._stream(
            request, is_structured=request.headers.get("convex-client", "").startswith(STRUCTURED_CLIENTS)
        )

    def stream_udf_execution(self, request: Request, identity: Identity) -> Response:
        return self._stream(request, kinds=("Completion",))

    def _stream(
        self, request: Request, kinds: tuple[str, ...] = ("Completion", "Progress"), *, is_structured: bool = False
    ) -> Response:
        """Answer at once with what is newer than the cursor, else wait for it."""
        try:
            cursor_ms = float(request.query["cursor"])
        except (KeyError, ValueError) as error:
            raise HttpError(400, "BadQueryArgs", "Failed to deserialize query string: cursor") from error
        backend = self.backend

        def newer() -> list[dict[str, Any]]:
            return [e for e in self._kept if e["timestamp"] * 1000 > cursor_ms and e["kind"] in kinds]

        with self._changed:
            self._changed.wait_for(lambda: newer() or backend.closing.is_set(), backend.settings.long_poll_s)
            found = newer()
        if not found and backend.closing.is_set():
            raise HttpError(500, "InternalServerError", "Your request couldn't be completed. Try again later.")
        entries = [_with_lines(entry, is_structured) for entry in found]
        new_cursor = found[-1]["timestamp"] * 1000 if found else cursor_ms
        return json_response({"entries": entries, "newCursor": new_cursor})

    def _entry(self, execution: Execution, at_s: float) -> dict[str, Any]:
        backend, usage = self.backend, execution.usage
        kind = execution.kind
        name = execution.path if kind == "HttpAction" else shown(execution.path)
        sizes = dict.fromkeys(
            ("databaseIoReadBytes", "databaseIoWriteBytes", "storageReadBytes", "storageWriteBytes",
             "vectorIndexReadBytes", "vectorIndexWriteBytes", "textIndexReadBytes", "textIndexWriteBytes",
             "networkEgressBytes"), 0
        )  # fmt: skip
        return {
            "kind": "Completion",
            "udfType": kind,
            "componentPath": execution.component,
            "identifier": name,
            "logLines": [] if kind == "Action" else execution.lines,
            "executionTimestamp": at_s - execution.execution_s,
            "executionTime": execution.execution_s,
            "userExecutionTime": execution.execution_s,
            "cachedResult": execution.is_cached,
            "success": {"status": execution.http_status} if execution.http_status else None,
            "error": execution.error,
            "requestId": backend.request_id(),
            "executionId": backend.request_id(),
            "parentExecutionId": None,
            "caller": execution.caller,
            "environment": "isolate",
            "identityType": "instance_admin",
            "returnBytes": 0,
            "willRetry": execution.will_retry,
            "occInfo": execution.occ_info,
            "usageStats": sizes
            | {
                "databaseReadBytes": usage.bytes_read,
                "databaseWriteBytes": usage.bytes_written,
                "databaseReadDocuments": usage.documents_read,
                "databaseWriteDocuments": usage.documents_written,
                "memoryUsedMb": 0,
            },
        }


def _with_lines(entry: dict[str, Any], is_structured: bool) -> dict[str, Any]:
    lines = entry["logLines"]
    if not is_structured:
        return entry | {"logLines": [f"[{level}] '{text}'" for level, text in lines]}
    at_ms = entry["timestamp"] * 1000
    shape = {"isTruncated": False, "timestamp": at_ms}
    return entry | {"logLines": [{"messages": [f"'{text}'"], "level": level} | shape for level, text in lines]}


def key_of(execution: Execution) -> str:
    """Return the function's name in metrics: "messages.js:list", "child/messages.js:list" in a component."""
    if execution.kind == "HttpAction":
        return execution.path
    prefix = f"{execution.component}/" if execution.component else ""
    return prefix + metrics_key(execution.path)
