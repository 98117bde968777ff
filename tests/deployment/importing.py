"""Snapshot import: uploaded in parts, looked at, confirmed, carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analyzer.convex import ids
from tests.deployment.errors import FunctionError, HttpError, bad_body
from tests.deployment.functions import Call, Registry
from tests.deployment.import_files import ImportFailedError, Rows, read
from tests.deployment.jobs import Jobs
from tests.deployment.keys import Identity
from tests.deployment.tables import FIRST_USER_NUMBER, Table, Tablet
from tests.deployment.uploads import Uploads
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

FORMATS = ("jsonLines", "jsonArray", "csv", "zip")
MODES = ("requireEmpty", "append", "replace", "replaceAll")
TOO_OLD_S = 7 * 86_400
MOST_TOLD = 20  # table names in the audit log


@dataclass
class Import:
    """One import: what is to be written where, as soon as the file was read."""

    format: str
    mode: str
    table: str | None
    component: str
    content: bytes
    identity: Identity
    user_agent: str
    rows: list[Rows] = field(default_factory=list)
    hidden: list[tuple[Table, Tablet]] = field(default_factory=list)
    written: int = 0
    deleted: int = 0  # documents that it would take away


class Imports:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.jobs = Jobs(backend, "_snapshot_imports")
        self._uploads = Uploads(backend.database.random_bytes)
        self._imports: dict[str, Import] = {}

    # ---- upload ------------------------------------------------------------------------------------------------

    def start_upload(self, request: Request, identity: Identity) -> Response:
        return json_response({"uploadToken": self._uploads.start()})

    def upload_part(self, request: Request, identity: Identity) -> Response:
        """Keep a part; the answer is a bare JSON string."""
        query = request.query
        return json_response(self._uploads.add(query.get("uploadToken"), query.get("partNumber", ""), request.body))

    def finish_upload(self, request: Request, identity: Identity) -> Response:
        body = request.json()
        wanted, tokens = body.get("import"), body.get("partTokens")
        if not isinstance(wanted, dict) or not isinstance(tokens, list):
            raise bad_body("Failed to deserialize the JSON body: missing field `import` or `partTokens`")
        content = self._uploads.content(body.get("uploadToken"), tokens, self.backend.settings.part_bytes)
        found = self._import(wanted, content, identity, request)
        return json_response({"importId": self._begin(found)})

    def _import(self, wanted: dict[str, Any], content: bytes, identity: Identity, request: Request) -> Import:
        format_, mode, table = wanted.get("format"), wanted.get("mode", "requireEmpty"), wanted.get("tableName")
        if format_ not in FORMATS or mode not in MODES:
            raise bad_body("Failed to deserialize the JSON body: unknown format or mode")
        if (table is None) is not (format_ == "zip"):
            kind = "ZIP import cannot have table name" if format_ == "zip" else f"{format_} import requires table name"
            raise HttpError(400, "InvalidName", kind)
        component = wanted.get("componentPath") or ""
        self.backend.database.component(component)
        agent = request.headers.get("user-agent", "")
        return Import(format_, mode, table, component, content, identity, agent)

    def _begin(self, found: Import) -> str:
        row = {"state": {"state": "uploaded"}, "format": {"format": found.format}, "mode": found.mode}
        id_ = self.jobs.add(row | {"component_path": found.component or None, "requestor": {"type": "snapshotImport"}})
        self._imports[id_] = found
        self.jobs.schedule(id_, self._guarded(id_, lambda: self._look_at_file(id_)))
        return id_

    # ---- going on ----------------------------------------------------------------------------------------------

    def perform(self, request: Request, identity: Identity) -> Response:
        id_, row = self._row(request)
        if row["state"]["state"] != "waiting_for_confirmation":
            raise HttpError(400, "ImportNotWaiting", "The import is not waiting for confirmation.")
        if self.backend.clock() / 1e6 - row["_creationTime"] > TOO_OLD_S * 1000:
            self._fail(id_, "Import is too old to be performed.")
            return json_response(None)
        self._progress(id_, "Importing")
        self.jobs.schedule(
            id_, self._guarded(id_, lambda: self._write(id_)), self._guarded(id_, lambda: self._finish(id_))
        )
        return json_response(None)

    def cancel(self, request: Request, identity: Identity) -> Response:
        id_, row = self._row(request)
        if row["state"]["state"] not in ("completed", "failed"):
            self.jobs.cancel(id_)
            self._fail(id_, "Import was canceled")
        return json_response(None)

    def one_shot(self, request: Request, identity: Identity) -> Response:
        """Serve /api/import: the file as the body, confirmed by itself."""
        found = self._import(dict(request.query), request.body, identity, request)
        id_ = self._begin(found)
        try:
            self._look_at_file(id_)
            self._write(id_)
        except ImportFailedError as error:
            self._fail(id_, str(error))
            raise HttpError(400, "ImportFailed", str(error)) from error
        self._finish(id_)
        self.jobs.cancel(id_)
        return json_response({"numWritten": found.written})

    def _row(self, request: Request) -> tuple[str, dict[str, Any]]:
        id_ = request.json().get("importId")
        if not isinstance(id_, str) or not ids.is_valid(id_):
            raise HttpError(400, "InvalidImport", f"invalid import id {id_}")
        row = self.jobs.get(id_)
        if row is None:
            raise HttpError(404, "ImportNotFound", f"import {id_} not found")
        return id_, row

    def _guarded(self, id_: str, step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                step()
            except ImportFailedError as error:
                self.jobs.cancel(id_)
                self._fail(id_, str(error))

        return run

    def _fail(self, id_: str, message: str) -> None:
        self.jobs.update(id_, state={"state": "failed", "error_message": message})

    def _progress(self, id_: str, message: str) -> None:
        state = {"state": "in_progress", "progress_message": message, "checkpoint_messages": []}
        self.jobs.update(id_, state=state)

    # ---- work --------------------------------------------------------------------------------------------------

    def _look_at_file(self, id_: str) -> None:
        found = self._imports[id_]
        found.rows = read(found.format, found.content, found.table, found.component)
        database = self.backend.database
        with database.lock:
            ts = database.latest_ts()
            for table in self._replaced(found):
                found.deleted += table.tablet.count(ts) if table.tablet else 0
            if found.mode == "requireEmpty":
                for rows in found.rows:
                    there = database.add_component(rows.component).tables.get(rows.table)
                    if there and there.tablet and there.tablet.count(ts):
                        raise ImportFailedError(
                            f"TableExists: Import table `{rows.table}` already exists. Use `--append` or `--replace`."
                        )
        lines = [f"{rows.table}: {len(rows.documents)} documents" for rows in found.rows]
        state = {
            "state": "waiting_for_confirmation",
            "message_to_confirm": "\n".join(["Import change summary:", *lines, f"{found.deleted} are deleted"]),
            "require_manual_confirmation": found.deleted > 0,
        }
        self.jobs.update(id_, state=state)

    def _replaced(self, found: Import) -> list[Table]:
        """Return the tables whose documents go."""
        database = self.backend.database
        named = {(rows.component, rows.table) for rows in found.rows}
        if found.mode == "replaceAll":
            return [table for c in database.components.values() for table in c.user_tables()]
        if found.mode != "replace":
            return []
        tables = (database.add_component(component).tables.get(name) for component, name in named)
        return [table for table in tables if table is not None and table.tablet is not None]

    def _write(self, id_: str) -> None:
        """Write documents: into hidden tablets, or batch by batch into the live table."""
        found = self._imports[id_]
        database = self.backend.database
        with database.lock:
            for rows in found.rows:
                table = self._table(rows)
                is_live = found.mode == "append"
                tablet = table.tablet if is_live else database.new_tablet(table)
                assert tablet is not None
                if not is_live:
                    found.hidden.append((table, tablet))
                documents = [self._document(table, tablet, document) for document in rows.documents]
                _refuse_doubles(documents)
                size = self.backend.settings.import_rows
                for start in range(0, len(documents), size):
                    batch = documents[start : start + size]
                    _refuse_known(tablet, batch, database.latest_ts())
                    database.write((tablet, document["_id"], document) for document in batch)
                    found.written += len(batch)

    def _table(self, rows: Rows) -> Table:
        database = self.backend.database
        component = database.add_component(rows.component)
        known = component.tables.get(rows.table)
        if known is not None and known.tablet is not None:
            return known
        wanted = rows.number
        if wanted is not None and (wanted < FIRST_USER_NUMBER or wanted in component.by_number):
            wanted = None
        return database.create_table(rows.table, rows.component, wanted)

    def _document(self, table: Table, tablet: Tablet, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document with id and creation time: its own where it brings them."""
        id_, created_ms = document.get("_id"), document.get("_creationTime")
        if id_ is None:
            id_ = self.backend.database.new_id(table.number)
        elif not ids.is_valid(id_):
            raise ImportFailedError(f"InvalidId: invalid _id {id_!r} in table {table.name}")
        elif ids.decode(id_).table_number != table.number:
            raise ImportFailedError(f"ImportConflict: _id {id_} is of another table than `{table.name}`.")
        if not isinstance(created_ms, float):
            created_ms = self.backend.database.creation_ms(tablet)
        return document | {"_id": id_, "_creationTime": created_ms}

    def _finish(self, id_: str) -> None:
        """Make visible what was written, note it, and say so."""
        found = self._imports[id_]
        database = self.backend.database
        with database.lock:
            emptied = [] if found.mode != "replaceAll" else self._others(found)
            ts = database.latest_ts()
            for table, tablet in found.hidden:
                ts = database.swap(table, tablet)
            for table in emptied:
                ts = database.swap(table, database.new_tablet(table))
            names = [rows.table for rows in found.rows]
            metadata = {
                "table_names": [{"component": found.component or None, "table_names": names[:MOST_TOLD]}],
                "table_count": len(names),
                "import_mode": found.mode,
                "import_format": found.format,
                "requestor": {"type": "snapshotImport"},
                "table_names_deleted": [
                    {"component": None, "table_names": [table.name for table in emptied[:MOST_TOLD]]}
                ],
                "table_count_deleted": len(emptied),
            }
            self.backend.audit.write("snapshot_import", metadata, found.identity, user_agent=found.user_agent)
        self.jobs.update(id_, state={"state": "completed", "timestamp": ts, "num_rows_written": found.written})

    def _others(self, found: Import) -> list[Table]:
        written = {id(table) for table, _ in found.hidden}
        return [table for table in self._replaced(found) if id(table) not in written]


def _refuse_doubles(documents: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for document in documents:
        if document["_id"] in seen:
            raise ImportFailedError(f"DuplicateId: Objects have duplicate _id {document['_id']}")
        seen.add(document["_id"])


def _refuse_known(tablet: Tablet, documents: list[dict[str, Any]], ts: int) -> None:
    """Refuse ids that the tablet ever had, deleted ones too."""
    for document in documents:
        last = tablet.last(document["_id"], ts)
        if last is not None and last.body is None:
            raise ImportFailedError(
                f"DocumentDeleted: Cannot recreate document with _id {document['_id']} that was deleted. Try to insert "
                "it without an _id or insert into another table."
            )
        if last is not None:
            raise ImportFailedError(
                f"DocumentExists: Cannot create document with _id {document['_id']} that already exists."
            )


def _query(call: Call, args: dict[str, Any]) -> Any:
    imports = call.backend.imports
    if not ids.is_valid(args["importId"]):
        raise FunctionError("ArgumentValidationError: Value does not match validator.\nPath: .importId")
    imports.jobs.look(args["importId"])
    return imports.jobs.get(args["importId"])


def install(registry: Registry) -> None:
    view = "ViewBackups"
    registry.query("_system/cli/queryImport:default", {"importId": "string"}, op=view)(_query)
    registry.query("_system/cli/queryImport:list", {}, op=view)(
        lambda call, _: list(reversed(call.backend.imports.jobs.all()[-20:]))
    )
