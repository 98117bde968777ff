"""The older pair of streaming export: list_snapshot and document_deltas, and its preflight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tests.deployment import encoding, selection
from tests.deployment.clock import NS_PER_S
from tests.deployment.errors import HttpError, bad_body
from tests.deployment.keys import Identity
from tests.deployment.selection import Selection
from tests.deployment.tables import Tablet
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend


def require_plan(backend: Backend, identity: Identity) -> None:
    """Refuse where the plan has no streaming export, or the key may not read."""
    if not backend.settings.has_streaming_export:
        identity.require("")
        raise HttpError(
            403,
            "StreamingExportNotEnabled",
            "Streaming export is only available on the Convex Professional plan.",
        )
    identity.require("ViewData")


class Streaming:
    """Pages of documents as of a time, and of changes since."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def test_connection(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        return json_response(None)

    # ---- snapshot ----------------------------------------------------------------------------------------------

    def list_snapshot(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        params = _params(request)
        style = encoding.format_named(params.get("format"))
        wanted = self._selection(params)
        backend = self.backend
        with backend.database.lock:
            ts = self._snapshot_ts(_integer(params, "snapshot"))
            tablets = [t for t in backend.database.active_tablets() if wanted.columns(t)]
            place, after = self._place(tablets, params.get("cursor"))
            values: list[Any] = []
            cursor = None
            if place < len(tablets):
                tablet = tablets[place]
                values, last = self._rows(tablet, ts, after, wanted, style)
                if last is not None:
                    cursor = orjson.dumps({"tablet": tablet.id, "id": last}).decode()
                elif place + 1 < len(tablets):
                    # The next page begins the next table: a page covers one table only.
                    cursor = orjson.dumps({"tablet": tablets[place + 1].id, "id": ""}).decode()
            return json_response({"values": values, "snapshot": ts, "cursor": cursor, "hasMore": cursor is not None})

    def _rows(self, tablet: Tablet, ts: int, after: str, wanted: Selection, style: str) -> tuple[list[Any], str | None]:
        """Return the next rows of a table, and the last id if the page is full."""
        columns = wanted.columns(tablet)
        assert columns is not None
        meta = {"_component": tablet.table.component.path, "_table": tablet.table.name}
        rows: list[Any] = []
        for revision in tablet.by_id(ts, after):
            rows.append(_flat(meta | {"_ts": revision.ts}, columns.wire(revision, style)))
            if len(rows) >= self.backend.settings.snapshot_rows:
                return rows, revision.id
        return rows, None

    def _snapshot_ts(self, wanted: int | None) -> int:
        now = self.backend.database.latest_ts()
        if wanted is None:
            return now
        if wanted > now:
            raise HttpError(400, "SnapshotTooNew", f"Snapshot value {wanted} is in the future.")
        if now - wanted > self.backend.settings.snapshot_retention_s * NS_PER_S:
            raise HttpError(400, "SnapshotTooOld", f"Snapshot value {wanted} is too far in the past.")
        return wanted

    def _place(self, tablets: list[Tablet], cursor: Any) -> tuple[int, str]:
        """Return where a cursor goes on: which tablet, after which id. A tablet that is gone is passed over."""
        if cursor is None:
            return 0, ""
        try:
            parsed = orjson.loads(cursor)
            tablet, after = str(parsed["tablet"]), str(parsed["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise HttpError(400, "InvalidListSnapshotCursor", "The cursor is not one of list_snapshot.") from error
        for place, found in enumerate(tablets):
            if found.id >= tablet:
                return place, after if found.id == tablet else ""
        return len(tablets), ""

    # ---- deltas ------------------------------------------------------------------------------------------------

    def document_deltas(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        params = _params(request)
        style = encoding.format_named(params.get("format"))
        cursor = _integer(params, "cursor")
        if cursor is None:
            raise HttpError(400, "DocumentDeltasCursorRequired", "/api/document_deltas requires a cursor")
        wanted = self._selection(params)
        backend, settings = self.backend, self.backend.settings
        with backend.database.lock:
            now = backend.database.latest_ts()
            if now - cursor > settings.document_retention_s * NS_PER_S:
                raise HttpError(
                    400, "InvalidWindowToReadDocuments", "The cursor is older than the retention of documents."
                )
            active = {tablet: wanted.columns(tablet) for tablet in backend.database.active_tablets()}
            log, place = backend.database.log, backend.database.log_place(cursor)
            values: list[Any] = []
            read, ts = 0, cursor
            while place < len(log) and not (read >= settings.delta_rows and log[place].ts != ts):
                row = log[place]
                ts, read, place = row.ts, read + 1, place + 1
                columns = active.get(row.tablet) if row.tablet else None
                if row.tablet is None or row.revision is None or columns is None:
                    continue
                table = row.tablet.table
                meta = {"_component": table.component.path, "_table": table.name, "_ts": ts}
                is_deleted = row.revision.body is None
                fields = {"_id": row.revision.id} if is_deleted else columns.wire(row.revision, style)
                values.append(_flat(meta | {"_deleted": is_deleted}, fields))
            has_more = place < len(log)
            return json_response(
                {"values": values, "cursor": ts if has_more else max(now, cursor), "hasMore": has_more}
            )

    def _selection(self, params: dict[str, Any]) -> Selection:
        if self.backend.settings.ignores_selection:
            return selection.everything()
        try:
            if "selection" in params:
                return selection.parse(params["selection"])
        except ValueError as error:
            raise bad_body(f"Failed to deserialize the JSON body: selection: {error}") from error
        return selection.one(params.get("component"), params.get("tableName", params.get("table_name")))


def _params(request: Request) -> dict[str, Any]:
    return request.json() if request.method == "POST" else dict(request.query)


def _integer(params: dict[str, Any], name: str) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, float | bool):
            raise ValueError
        return int(value)
    except (TypeError, ValueError) as error:
        code = "BadQueryArgs" if isinstance(value, str) else "BadJsonBody"
        raise HttpError(400, code, f"invalid value for `{name}`: expected i64") from error


def _flat(meta: dict[str, Any], document: Any) -> Any:
    """Return one row: what is said of the document, then its fields, without parsing what is JSON already."""
    if isinstance(document, orjson.Fragment):
        return orjson.Fragment(orjson.dumps(meta)[:-1] + b"," + orjson.dumps(document)[1:])
    return meta | document
