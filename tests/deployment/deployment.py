"""A whole deployment behind a real server on loopback, and the handles by which tests move it.

    with Deployment(kind="prod") as d:
        task = d.insert("tasks", {"title": "Fix the login", "createdAt": float(d.clock.now_ms)})
        d.faults.refuse(503, "ExpiredInQueue", path="/api/v1/data/sync", times=2)
        collect(d.url, d.read_key)
        assert stored == d.at(d.now_ts())

Values are as everywhere in Convex: a float is a float64 and an int an int64. The app knows only float64.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from analyzer.convex import ids
from tests.deployment.backend import Backend
from tests.deployment.clock import Clock
from tests.deployment.control import PREFIX, Control
from tests.deployment.errors import HttpError
from tests.deployment.executions import Execution
from tests.deployment.functions import canonical
from tests.deployment.keys import READ_ONLY_OPS, SYSTEM
from tests.deployment.routes import Routes
from tests.deployment.settings import Settings
from tests.deployment.subscriptions import Session
from tests.deployment.tables import Table, Tablet
from tests.deployment.transaction import Transaction
from tests.deployment.websocket import WebSocket
from tests.deployment.wire import Request, Response, Server, error_response

UNSET: Any = ...  # a field that a patch takes away
Truth = dict[tuple[str, str], dict[str, dict[str, Any]]]  # by (component, table), by id


@dataclass(frozen=True)
class Noted:
    """One request that was answered; status 0 when the connection was closed instead."""

    method: str
    path: str
    functions: tuple[str, ...]  # that it called
    status: int
    sent_bytes: int
    user_agent: str


@dataclass(frozen=True)
class Change:
    """One write; `document` is None where it was deleted."""

    ts: int
    component: str
    table: str
    id: str
    document: dict[str, Any] | None


class Deployment:
    """Start it with `with`, or with `start` and `stop`."""

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        has_control: bool = True,
        **settings: Any,
    ) -> None:
        """Prepare a deployment without documents.

        settings  fields of `Settings`: kind, name, page sizes, limits
        """
        self.clock = clock or Clock()
        self.settings = Settings(**settings)
        self.backend = Backend(self.settings, self.clock, seed)
        self.faults = self.backend.faults
        self.functions = self.backend.registry
        self.admin_key = self.backend.keys.mint()
        self.read_key = self.backend.keys.mint(READ_ONLY_OPS, is_read_only=True)
        self.requests: list[Noted] = []
        self.crashes: list[Exception] = []  # mistakes of the stand-in; leaving the `with` raises them
        self.most_at_once = 0  # requests under way at the same time
        self._at_once = 0
        self._counting = threading.Lock()
        self._routes = Routes(self.backend)
        self._control = Control(self) if has_control else None
        self._host, self._port = host, port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    # ---- the server --------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.crashes:
            raise RuntimeError("the stand-in itself is wrong") from self.crashes[0]

    @property
    def url(self) -> str:
        return self.backend.url

    @property
    def closing(self) -> threading.Event:
        return self.backend.closing

    def start(self) -> Self:
        self.closing.clear()
        self._server = Server(self, self._host, self._port)
        self._port = self._server.server_address[1]
        self.backend.url = f"http://{self._host}:{self._port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Hang up on everybody; the documents stay."""
        if self._server is None or self._thread is None:
            return
        self.closing.set()
        self.backend.executions.wake()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()
        self._server = None

    def restart(self) -> None:
        """Stop and start at the same address; metrics and logs are lost."""
        self.stop()
        self.forget()
        self.start()

    def forget(self) -> None:
        """Lose metrics and logs."""
        self.backend.metrics.forget()
        self.backend.executions.forget()

    def handle(self, request: Request) -> Response:
        try:
            if self._control is not None and request.path.startswith(PREFIX):
                return self._control.answer(request)
            return self._routes.answer(request)
        except HttpError as error:
            return error_response(error)
        except Exception as error:
            self.crashes.append(error)
            return error_response(HttpError(500, "InternalServerError", f"{type(error).__name__}"))

    def note(self, request: Request, functions: tuple[str, ...], status: int, sent_bytes: int) -> None:
        agent = request.headers.get("user-agent", "")
        self.requests.append(Noted(request.method, request.path, functions, status, sent_bytes, agent))

    def talk(self, socket_: WebSocket) -> None:
        Session(self.backend, socket_).run()

    def entered(self, step: int) -> None:
        with self._counting:
            self._at_once += step
            self.most_at_once = max(self.most_at_once, self._at_once)

    # ---- keys --------------------------------------------------------------------------------------------------

    def mint_key(self, *ops: str) -> str:
        """Return a key that may do these things alone."""
        return self.backend.keys.mint(ops)

    def key_without(self, *ops: str) -> str:
        """Return a key that lacks these permissions."""
        return self.backend.keys.mint(tuple(op for op in self.backend.keys.of_key(self.admin_key).ops if op not in ops))

    def foreign_key(self) -> str:
        """Return a key of another deployment."""
        return self.backend.keys.foreign()

    # ---- documents ---------------------------------------------------------------------------------------------

    def create_table(self, table: str, component: str = "", number: int | None = None) -> int:
        """Return the number of a table, made where it is not there."""
        return self.backend.database.create_table(table, component, number).number

    def insert(self, table: str, document: Mapping[str, Any], component: str = "") -> str:
        """Add a document and return its id."""
        return self.insert_many(table, [document], component)[0]

    def insert_many(self, table: str, documents: Iterable[Mapping[str, Any]], component: str = "") -> list[str]:
        """Add documents in one transaction. `_id` and `_creationTime` are made where they are not given."""
        database = self.backend.database
        with database.lock:
            tablet = self._table(table, component).tablet
            assert tablet is not None
            rows = [self._complete(tablet, dict(document)) for document in documents]
            database.write((tablet, row["_id"], row) for row in rows)
            return [row["_id"] for row in rows]

    def load(self, documents: Mapping[str, Iterable[Mapping[str, Any]]], component: str = "") -> None:
        """Add documents with the ids that they bring; a new table takes the number that its ids carry."""
        lists = {table: list(rows) for table, rows in documents.items()}
        # Empty tables last: they may take any number that is left.
        for table, found in sorted(lists.items(), key=lambda item: not item[1]):
            number = ids.decode(found[0]["_id"]).table_number if found and "_id" in found[0] else None
            self.create_table(table, component, number)
            self.insert_many(table, found, component)

    def patch(self, table: str, id_: str, fields: Mapping[str, Any], component: str = "") -> None:
        """Change fields; a value UNSET takes one away."""
        with self.backend.database.lock:
            tx = self._transaction()
            tx.patch(self.backend.database.component(component), id_, dict(fields))
            tx.commit()

    def delete(self, table: str, *ids_: str, component: str = "") -> None:
        """Delete documents in one transaction; without ids, all of the table."""
        with self.backend.database.lock:
            tx = self._transaction()
            owner = self.backend.database.component(component)
            for id_ in ids_ or [revision.id for revision in tx.scan(owner, table)]:
                tx.delete(owner, id_)
            tx.commit()

    def store_file(self, content: bytes, content_type: str | None = None, component: str = "") -> str:
        """Add a file to `_storage` and return its id."""
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        row = {"sha256": digest, "size": float(len(content)), "contentType": content_type}
        id_ = self.insert("_storage", row | {"internalId": str(uuid.UUID(int=len(self.backend.files)))}, component)
        self.backend.files[id_] = content
        return id_

    def replace_table(self, table: str, documents: Iterable[Mapping[str, Any]], component: str = "") -> None:
        """Put other documents into a table as an import with --replace does: without a tombstone."""
        database = self.backend.database
        with database.lock:
            found = self._table(table, component)
            tablet = database.new_tablet(found)
            rows = [self._complete(tablet, dict(document)) for document in documents]
            database.write((tablet, row["_id"], row) for row in rows)
            database.swap(found, tablet)

    def drop_table(self, table: str, component: str = "") -> None:
        database = self.backend.database
        database.swap(database.component(component).tables[table], None)

    def _table(self, table: str, component: str) -> Table:
        return self.backend.database.create_table(table, component)

    def _complete(self, tablet: Tablet, document: dict[str, Any]) -> dict[str, Any]:
        database = self.backend.database
        if "_id" not in document:
            document["_id"] = database.new_id(tablet.table.number)
        if "_creationTime" not in document:
            document["_creationTime"] = database.creation_ms(tablet)
        document["_creationTime"] = float(document["_creationTime"])
        return document

    def _transaction(self) -> Transaction:
        limits = replace(self.settings.limits, documents_read=10**9, bytes_read=10**12, documents_written=10**9)
        limits = replace(limits, bytes_written=10**12, ranges_read=10**9)
        return Transaction(self.backend.database, self.backend.database.latest_ts(), limits)

    # ---- the truth ---------------------------------------------------------------------------------------------

    def now_ts(self) -> int:
        """Return the newest timestamp: nothing will change at it any more."""
        return self.backend.database.latest_ts()

    def at(self, ts: int | None = None) -> Truth:
        """Return every document as of a time, default now; tables that are there and empty are listed."""
        return self.backend.database.documents_at(ts or self.now_ts())

    def documents(self, table: str, component: str = "", ts: int | None = None) -> dict[str, dict[str, Any]]:
        """Return a table's documents by id; {} when it is not there."""
        return self.at(ts).get((component, table), {})

    @property
    def history(self) -> list[Change]:
        """Every write to tables of users so far, oldest first; what replaced or dropped a table is not among them."""
        changes = []
        with self.backend.database.lock:
            for row in self.backend.database.log:
                if row.tablet is None or row.revision is None or row.tablet.table.is_system:
                    continue
                revision, table = row.revision, row.tablet.table
                document = revision.document if revision.body is not None else None
                changes.append(Change(row.ts, table.component.path, table.name, revision.id, document))
        return changes

    # ---- everything else ---------------------------------------------------------------------------------------

    def set_env(self, **variables: str | None) -> None:
        """Set environment variables; None takes one away."""
        self.backend.environment.set(variables)

    def push(self, added: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        """Note in the audit log that code was deployed."""
        modules = {"added": list(added), "removed": list(removed)}
        diff = {"diffType": {"type": "modify"}, "moduleDiff": modules, "udfConfigDiff": None}
        diffs = [{"component_path": None, "component_diff": diff}]
        self.backend.audit.write("push_config_with_components", {"component_diffs": diffs, "message": None})

    def call(self, path: str, args: Mapping[str, Any] | None = None) -> Any:
        """Run a function as the app itself does, and return its value.

        raises  FunctionError
        """
        return self.backend.calls.invoke(canonical(path), dict(args or {}), SYSTEM)

    def record(self, execution: Execution) -> None:
        """Note a run of a function that is not run, in logs and metrics."""
        self.backend.executions.record(execution)

    def expire_cursors(self) -> None:
        """Let every cursor of a data sync that is out there expire."""
        self.backend.sync.expire()

    def called(self, pattern: str) -> list[Noted]:
        """Return the requests whose path, or whose function, is this one."""
        return [noted for noted in self.requests if pattern in (noted.path, *noted.functions)]
