"""Queries that stay open: what the platform's command line uses for its own functions.

A session holds queries; whenever a result changes, the client is told. Functions of the app run again only after
something was written; those of the platform are looked at again and again, since jobs go on when they are looked at.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tests.deployment import encoding
from tests.deployment.errors import NO_DATA, FunctionError, HttpError
from tests.deployment.functions import Kind, canonical
from tests.deployment.keys import NOBODY, Identity
from tests.deployment.websocket import ClosedError, WebSocket

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

LOOK_S = 0.02  # between two looks at what the queries give


@dataclass
class Query:
    path: str
    args: dict[str, Any]
    component: str | None
    told: dict[str, Any] | None = None  # what the client knows
    ran_at_commit: int = -1

    @property
    def is_system(self) -> bool:
        return self.path.startswith("_system/")


@dataclass
class Session:
    """One connection of a client."""

    backend: Backend
    socket: WebSocket
    identity: Identity = NOBODY
    queries: dict[int, Query] = field(default_factory=dict)
    version: dict[str, Any] = field(default_factory=lambda: {"querySet": 0, "identity": 0, "ts": _text_of(0)})

    def run(self) -> None:
        """Talk until one of the two goes."""
        try:
            while not self.backend.closing.is_set():
                if self.socket.is_readable(LOOK_S):
                    self._take(orjson.loads(self.socket.receive()))
                elif self.queries:
                    self._tell(self._changes())
        except (ClosedError, OSError):
            return

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "Authenticate":
            try:
                self.identity = self._identify(message)
            except HttpError as error:
                self._send({"type": "FatalError", "error": f"{error.code}: {error.message}"})
                raise ClosedError from error
            self._tell([], identity=message["baseVersion"] + 1, must=True)
        elif kind == "ModifyQuerySet":
            changes = self._modify(message["modifications"])
            self._tell(changes + self._changes(), query_set=message["newVersion"], must=True)
        elif kind in ("Mutation", "Action"):
            self._call(message, "Mutation" if kind == "Mutation" else "Action")

    def _identify(self, message: dict[str, Any]) -> Identity:
        kind = message["tokenType"]
        if kind == "Admin":
            return self.backend.keys.of_key(message["value"])
        return NOBODY if kind == "None" else self.backend.keys.identify(f"Bearer {message['value']}")

    def _modify(self, modifications: list[dict[str, Any]]) -> list[dict[str, Any]]:
        changes = []
        for modification in modifications:
            number = modification["queryId"]
            if modification["type"] == "Add":
                args = encoding.decode(modification["args"][0])
                self.queries[number] = Query(
                    canonical(modification["udfPath"]), args, modification.get("componentPath")
                )
            elif self.queries.pop(number, None):
                changes.append({"type": "QueryRemoved", "queryId": number})
        return changes

    def _changes(self) -> list[dict[str, Any]]:
        """Run the queries whose results may be others now, and return those that are."""
        changes = []
        for number, query in self.queries.items():
            commit_ts = self.backend.database.last_commit_ts
            if query.ran_at_commit == commit_ts and not query.is_system:
                continue
            query.ran_at_commit = commit_ts
            found = self._result(query.path, query.args, query.component, "Query")
            if found != query.told:
                query.told = found
                changes.append({"queryId": number, "journal": None} | _modification(found))
        return changes

    def _result(self, path: str, args: dict[str, Any], component: str | None, kind: Kind) -> dict[str, Any]:
        lines: list[tuple[str, str]] = []
        found: dict[str, Any] = {}
        try:
            value = self.backend.calls.invoke(path, args, self.identity, kind, component=component, lines=lines)
            found["value"] = orjson.loads(orjson.dumps(encoding.encode(value, "encoded")))
        except FunctionError as error:
            found["error"] = f"[Request ID: x] Server Error\nUncaught Error: {error.message}"
            if error.data is not NO_DATA:
                found["errorData"] = encoding.encode(error.data, "encoded")
        except HttpError as error:
            found["error"] = error.message
        return found | {"logLines": [f"[{level}] '{text}'" for level, text in lines]}

    def _call(self, message: dict[str, Any], kind: Kind) -> None:
        args = encoding.decode(message["args"][0])
        found = self._result(canonical(message["udfPath"]), args, message.get("componentPath"), kind)
        answer = {"type": f"{kind}Response", "requestId": message["requestId"], "success": "value" in found}
        answer |= {"result": found.get("value", found.get("error")), "logLines": found["logLines"]}
        if "errorData" in found:
            answer["errorData"] = found["errorData"]
        if kind == "Mutation" and "value" in found:
            answer["ts"] = _text_of(self.backend.database.latest_ts())
        self._send(answer)
        self._tell(self._changes())

    def _tell(
        self,
        changes: list[dict[str, Any]],
        *,
        query_set: int | None = None,
        identity: int | None = None,
        must: bool = False,
    ) -> None:
        if not changes and not must:
            return
        before = dict(self.version)
        self.version["ts"] = _text_of(self.backend.database.latest_ts())
        if query_set is not None:
            self.version["querySet"] = query_set
        if identity is not None:
            self.version["identity"] = identity
        self._send({"type": "Transition", "startVersion": before, "endVersion": self.version, "modifications": changes})

    def _send(self, message: dict[str, Any]) -> None:
        self.socket.send(orjson.dumps(message))


def _modification(found: dict[str, Any]) -> dict[str, Any]:
    if "value" in found:
        return {"type": "QueryUpdated", "value": found["value"], "logLines": found["logLines"]}
    failed = {"type": "QueryFailed", "errorMessage": found["error"], "logLines": found["logLines"]}
    return failed | ({"errorData": found["errorData"]} if "errorData" in found else {})


def _text_of(ts: int) -> str:
    return base64.b64encode(ts.to_bytes(8, "little")).decode()
