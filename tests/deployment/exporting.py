"""Snapshot export: asked for, polled, fetched."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.convex.archive_writer import StoredFile, write_export
from tests.deployment.clock import NS_PER_S
from tests.deployment.errors import HttpError
from tests.deployment.functions import Call, Registry
from tests.deployment.jobs import Jobs
from tests.deployment.keys import Identity
from tests.deployment.wire import Request, Response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

KEPT_S = 14 * 86_400
BUSY = ("requested", "in_progress")
CACHE = {"Cache-Control": "private, max-age=2592000"}


class Exports:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.jobs = Jobs(backend, "_exports")
        self._zips: dict[str, bytes] = {}

    # ---- endpoints ---------------------------------------------------------------------------------------------

    def request(self, request: Request, identity: Identity) -> Response:
        """Begin an export; its id is not told."""
        if any(row["state"] in BUSY for row in self.jobs.all()):
            raise HttpError(400, "ExportInProgress", "There is already an export in progress.")
        with_files = request.query.get("includeStorage") == "true"
        component = request.query.get("component")
        path = self.backend.database.component_by_id(component).path if component else None
        row = {
            "state": "requested",
            "format": {"format": "zip", "include_storage": with_files},
            "component": component,
            "requestor": "snapshotExport",
        }
        id_ = self.jobs.add(row)
        self.jobs.schedule(id_, lambda: self._start(id_), lambda: self._finish(id_, path, with_files))
        metadata = {"id": id_, "component_id": component, "component": path, "requestor": "snapshot_export"}
        kind = "zip_with_storage" if with_files else "zip"
        agent = request.headers.get("user-agent", "")
        self.backend.audit.write("request_export", metadata | {"format": kind}, identity, user_agent=agent)
        return Response()

    def fetch(self, request: Request, identity: Identity) -> Response:
        """Serve the ZIP by the export's time or id."""
        wanted = request.path.rpartition("/")[2]
        rows = [row for row in self.jobs.all() if wanted in (row["_id"], str(row.get("start_ts")))]
        if not rows:
            if not wanted.isdecimal() and len(wanted) < 31:
                raise HttpError(400, "BadSnapshotId", "The id is neither a timestamp nor an export's.")
            raise HttpError(404, "ExportNotFound", f"The requested export {wanted} was not found.")
        row = rows[-1]
        if row["state"] != "completed":
            raise HttpError(400, "ExportNotComplete", f"The requested export {wanted} has not completed.")
        name = f"snapshot_{self.backend.settings.name}_{row['start_ts']}.zip"
        headers = {"Content-Disposition": f"attachment; filename={name}"} | CACHE
        return Response(200, self._zips[row["_id"]], "application/zip", headers)

    def set_expiration(self, request: Request, identity: Identity) -> Response:
        id_, at_ns = request.path.rpartition("/")[2], request.json().get("expirationTsNs")
        if self.jobs.get(id_) is None:
            raise HttpError(404, "ExportNotFound", f"The requested export {id_} was not found.")
        if not isinstance(at_ns, int):
            raise HttpError(400, "BadJsonBody", "missing field `expirationTsNs`")
        self.jobs.update(id_, expiration_ts=at_ns)
        return Response()

    def cancel(self, request: Request, identity: Identity) -> Response:
        id_ = request.path.rpartition("/")[2]
        row = self.jobs.get(id_)
        if row is None:
            raise HttpError(404, "ExportNotFound", f"The requested export {id_} was not found.")
        if row["state"] in BUSY:
            self.jobs.cancel(id_)
            self.jobs.update(id_, state="canceled")
        return Response()

    # ---- work --------------------------------------------------------------------------------------------------

    def _start(self, id_: str) -> None:
        ts = self.backend.database.latest_ts()
        self.jobs.update(id_, state="in_progress", start_ts=ts, progress_message="Backing up users")

    def _finish(self, id_: str, component: str | None, with_files: bool) -> None:
        row = self.jobs.get(id_)
        assert row is not None
        self._zips[id_] = content = self.zip_at(row["start_ts"], component=component, with_files=with_files)
        now = self.backend.database.latest_ts()
        self.jobs.update(
            id_,
            state="completed",
            complete_ts=now,
            expiration_ts=now + KEPT_S * NS_PER_S,
            zip_object_key=f"exports/{id_}.zip",
            size=len(content),
            progress_message=...,
        )

    def zip_at(self, ts: int, *, component: str | None = None, with_files: bool = False) -> bytes:
        """Return the export of a time."""
        database = self.backend.database
        with database.lock:
            found = database.documents_at(ts)
            kept = {key: list(rows.values()) for key, rows in found.items() if component in (None, key[0])}
            numbers = {key: database.components[key[0]].tables[key[1]].number for key in kept}
            files = self._files(ts, component) if with_files else None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "export.zip"
            write_export(path, kept, table_numbers=numbers, storage=files)
            return path.read_bytes()

    def _files(self, ts: int, component: str | None) -> list[StoredFile]:
        found = []
        for path, owner in self.backend.database.components.items():
            tablet = owner.tables["_storage"].tablet_at(ts)
            if tablet is None or component not in (None, path):
                continue
            for revision in tablet.by_id(ts):
                row = revision.document
                content = self.backend.files.get(row["_id"], b"")
                extension = ".png" if row.get("contentType") == "image/png" else ""
                internal = row.get("internalId", "00000000-0000-4000-8000-000000000000")
                found.append(
                    StoredFile(
                        row["_id"], row["_creationTime"], content, internal, row.get("contentType"), extension, path
                    )
                )
        return found


def _latest(call: Call, args: dict[str, Any]) -> Any:
    exports = call.backend.exports
    rows = exports.jobs.all()
    if not rows:
        return None
    exports.jobs.look(rows[-1]["_id"])
    return exports.jobs.get(rows[-1]["_id"])


def install(registry: Registry) -> None:
    registry.query("_system/cli/exports:getLatest", {}, op="ViewBackups")(_latest)
