"""The data sync API: a resumable copy of the deployment, consistent whenever it says so.

A page first catches up: it tells what changed since the last one in tables that are copied already, and in the copied
part of the table under way. When it has caught up, it copies on, in order of ids. So the copy is consistent as soon as
every table is through, at the time of the last page.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.deployment import selection
from tests.deployment.clock import NS_PER_MS, NS_PER_S
from tests.deployment.errors import HttpError
from tests.deployment.keys import Identity
from tests.deployment.selection import Selection
from tests.deployment.streaming import require_plan
from tests.deployment.tables import Revision, Tablet
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

ACTIVE_S = 3 * 86_400
EXPIRED = (
    "The data sync cursor is outside the deployment's data retention window and can no longer be resumed. Restart the "
    "sync from scratch by calling this endpoint again without a cursor."
)


@dataclass
class Place:
    """What a cursor holds."""

    sync_id: str
    ts: int  # the copied part is as of this time
    copied: dict[str, list[str]] = field(default_factory=dict)  # tablet id -> [component, table]
    current: tuple[str, str, str, str] | None = None  # tablet id, component, table, last copied id
    documents: int = 0  # sent so far, tombstones included

    def to_json(self) -> list[Any]:
        return [self.sync_id, self.ts, self.copied, self.current, self.documents]

    @classmethod
    def from_json(cls, parsed: list[Any]) -> Place:
        sync_id, ts, copied, current, documents = parsed
        return cls(sync_id, ts, copied, tuple(current) if current else None, documents)


@dataclass
class Page:
    """A page under way."""

    rows_left: int
    read_left: int
    bytes_left: int
    truncates: list[dict[str, str]] = field(default_factory=list)
    values: list[dict[str, Any]] = field(default_factory=list)

    def is_full(self) -> bool:
        return self.rows_left <= 0 or self.read_left <= 0 or self.bytes_left <= 0

    def truncate(self, component: str, table: str) -> None:
        entry = {"component": component, "table": table}
        if entry not in self.truncates:
            self.truncates.append(entry)

    def add(self, tablet: Tablet, revision: Revision, wanted: Selection) -> None:
        columns = wanted.columns(tablet)
        assert columns is not None
        is_deleted = revision.body is None
        value = {"_id": revision.id} if is_deleted else columns.wire(revision, "export")
        table = tablet.table
        self.values.append(
            {
                "component": table.component.path,
                "table": table.name,
                "ts": revision.ts,
                "deleted": is_deleted,
                "value": value,
            }
        )
        self.rows_left -= 1
        self.bytes_left -= len(revision.body or b"")


class DataSync:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._progress: dict[str, dict[str, Any]] = {}  # by sync id, oldest update first
        self.expired_before_ts = 0  # cursors of before are refused, whatever the retention

    def expire(self) -> None:
        """Let every cursor that is out there expire."""
        self.expired_before_ts = self.backend.database.latest_ts() + 1

    # ---- endpoints ---------------------------------------------------------------------------------------------

    def sync(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        body = request.json()
        try:
            wanted = selection.parse(body.get("selection"))
        except ValueError as error:
            raise HttpError(400, "InvalidDataSyncSelection", str(error)) from error
        if self.backend.settings.ignores_selection:
            wanted = selection.everything()
        backend = self.backend
        with backend.database.lock:
            place = self._place(body.get("cursor"), identity, request.headers.get("user-agent", ""))
            now = backend.database.latest_ts()
            settings = backend.settings
            page = Page(settings.sync_rows, settings.sync_rows_read, settings.sync_bytes)
            target = {t.id: t for t in backend.database.active_tablets() if wanted.columns(t)}
            self._reconcile(place, target, page)
            self._catch_up(place, target, page, wanted, now)
            if place.ts == now:
                self._copy(place, target, page, wanted)
            place.documents += len(page.values)
            status = self._status(place, target, now)
            self._note(place, target, status)
            cursor = backend.seal.close("sync", place.to_json())
        pagination = {"hasMore": True, "nextCursor": cursor}
        answer = {"status": status, "truncates": page.truncates, "values": page.values, "syncId": place.sync_id}
        return json_response(answer | {"pagination": pagination})

    def list_active(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        limit = int(request.query.get("limit", "50")) if request.query.get("limit", "50").isdecimal() else 50
        skip = int(request.query["cursor"]) if request.query.get("cursor", "").isdecimal() else 0
        since_ms = self.backend.clock() // NS_PER_MS - ACTIVE_S * 1000
        active = [entry for entry in reversed(self._progress.values()) if entry["lastUpdated"] >= since_ms]
        page = active[skip : skip + min(limit, 100)]
        pagination: dict[str, Any] = {"hasMore": skip + len(page) < len(active)}
        if pagination["hasMore"]:
            pagination["nextCursor"] = str(skip + len(page))
        return json_response({"syncs": page, "pagination": pagination})

    def cursor_from_deltas(self, request: Request, identity: Identity) -> Response:
        """Turn a cursor of document_deltas into one of a sync that has copied every table by then."""
        require_plan(self.backend, identity)
        cursor = request.json().get("cursor")
        if not isinstance(cursor, int):
            raise HttpError(400, "BadJsonBody", "missing field `cursor`")
        with self.backend.database.lock:
            tablets = self.backend.database.active_tablets()
            copied = {t.id: [t.table.component.path, t.table.name] for t in tablets}
            place = Place(self._new_id(), cursor, copied)
            return json_response({"cursor": self.backend.seal.close("sync", place.to_json())})

    # ---- one page ----------------------------------------------------------------------------------------------

    def _new_id(self) -> str:
        return str(uuid.UUID(bytes=self.backend.database.random_bytes(16), version=4))

    def _place(self, cursor: Any, identity: Identity, user_agent: str) -> Place:
        backend = self.backend
        if cursor is None:
            sync_id = self._new_id()
            backend.audit.write("create_data_sync", {"sync_id": sync_id}, identity, user_agent=user_agent)
            return Place(sync_id, backend.database.latest_ts())
        try:
            place = Place.from_json(backend.seal.open("sync", cursor))
        except (ValueError, TypeError) as error:
            raise HttpError(400, "InvalidDataSyncCursor", "Could not parse the data sync cursor") from error
        age_s = (backend.database.latest_ts() - place.ts) / NS_PER_S
        if place.ts < self.expired_before_ts or age_s > backend.settings.document_retention_s:
            raise HttpError(400, "DataSyncCursorExpired", EXPIRED)
        return place

    def _reconcile(self, place: Place, target: dict[str, Tablet], page: Page) -> None:
        """Let go of tables that are replaced, dropped or no longer wanted."""
        names = {(t.table.component.path, t.table.name) for t in target.values()}
        there = {(t.table.component.path, t.table.name) for t in self.backend.database.active_tablets()}
        known = dict(place.copied) | ({place.current[0]: list(place.current[1:3])} if place.current else {})
        for tablet_id, (component, table) in known.items():
            if tablet_id in target:
                continue
            place.copied.pop(tablet_id, None)
            if place.current and place.current[0] == tablet_id:
                place.current = None
            is_dropped = (component, table) not in there
            if (component, table) in names or not is_dropped or self.backend.settings.tells_drops:
                page.truncate(component, table)

    def _catch_up(self, place: Place, target: dict[str, Tablet], page: Page, wanted: Selection, now: int) -> None:
        """Tell what changed in the copied part, up to now or as far as the page goes; no timestamp is split."""
        log, at = self.backend.database.log, self.backend.database.log_place(place.ts)
        while at < len(log):
            row = log[at]
            if page.is_full() and row.ts != place.ts:
                return
            page.read_left -= 1
            at, place.ts = at + 1, row.ts
            tablet = target.get(row.tablet.id) if row.tablet else None
            if tablet is None or row.revision is None:
                continue
            is_current = place.current is not None and place.current[0] == tablet.id
            if tablet.id in place.copied or (is_current and place.current and row.revision.id <= place.current[3]):
                page.add(tablet, row.revision, wanted)
        place.ts = now

    def _copy(self, place: Place, target: dict[str, Tablet], page: Page, wanted: Selection) -> None:
        """Copy on, table by table."""
        while not page.is_full():
            if place.current is None:
                todo = next((t for t in target.values() if t.id not in place.copied), None)
                if todo is None:
                    return
                place.current = (todo.id, todo.table.component.path, todo.table.name, "")
                page.truncate(*place.current[1:3])
            tablet_id, component, table, after = place.current
            for revision in target[tablet_id].by_id(place.ts, after):
                page.read_left -= 1
                page.add(target[tablet_id], revision, wanted)
                after = revision.id
                if page.is_full():
                    place.current = (tablet_id, component, table, after)
                    break
            else:
                place.copied[tablet_id] = [component, table]
                place.current = None

    def _status(self, place: Place, target: dict[str, Tablet], now: int) -> dict[str, Any]:
        if place.current or any(tablet_id not in place.copied for tablet_id in target):
            return {"type": "snapshotting"}
        return {"type": "upToDate" if place.ts == now else "stale", "snapshotTs": place.ts}

    def _note(self, place: Place, target: dict[str, Tablet], status: dict[str, Any]) -> None:
        found: dict[str, Any] = {"type": status["type"], "totalTables": len(target)}
        found["numDocumentsSynced"] = place.documents
        if "snapshotTs" in status:
            found["syncedTs"] = status["snapshotTs"]
        else:
            found["numTablesSynced"] = len(place.copied)
            found["currentComponent"], found["currentTable"] = place.current[1:3] if place.current else ("", "")
        self._progress.pop(place.sync_id, None)
        last_ms = self.backend.clock() // NS_PER_MS
        self._progress[place.sync_id] = {"syncId": place.sync_id, "lastUpdated": last_ms, "status": found}
