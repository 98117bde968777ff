"""What one function sees and changes: a snapshot, its own writes on top, and the platform's limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from analyzer.convex import ids
from tests.deployment.database import Database
from tests.deployment.errors import FunctionError
from tests.deployment.tables import Component, Revision, Table, Tablet

MIB = 1024 * 1024
_ADVICE = (
    "Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a "
    "selective index range expressions."
)


@dataclass(frozen=True)
class Limits:
    """Of one function call."""

    documents_read: int = 32_000
    bytes_read: int = 16 * MIB
    ranges_read: int = 4_096
    documents_written: int = 16_000
    bytes_written: int = 16 * MIB
    document_bytes: int = MIB


@dataclass
class Usage:
    documents_read: int = 0
    bytes_read: int = 0
    ranges_read: int = 0
    documents_written: int = 0
    bytes_written: int = 0


Write = tuple[Tablet, str]


@dataclass
class Transaction:
    """Made under the database's lock and used under it."""

    database: Database
    ts: int
    limits: Limits = field(default_factory=Limits)
    is_read_only: bool = False
    usage: Usage = field(default_factory=Usage)
    writes: dict[Write, dict[str, Any] | None] = field(default_factory=dict)
    on_commit: list[Callable[[], None]] = field(default_factory=list)

    # ---- reading -----------------------------------------------------------------------------------------------

    def table_of(self, component: Component, id_: str) -> Table | None:
        """Return the table whose number an id carries.

        raises  FunctionError when it is no id
        """
        try:
            number = ids.decode(id_).table_number
        except ValueError as error:
            raise FunctionError(
                f"ArgumentValidationError: Invalid argument `id`: {id_!r} is no document ID: {error}"
            ) from error
        return component.by_number.get(number)

    def get(self, component: Component, id_: str) -> dict[str, Any] | None:
        """Return a document, None when it is not there."""
        found = self.revision(component, id_)
        return found if isinstance(found, dict) or found is None else found.document

    def revision(self, component: Component, id_: str) -> Revision | dict[str, Any] | None:
        """Return a document as it is stored, or as this transaction has left it."""
        return self.revision_in(self.table_of(component, id_), id_)

    def revision_in(self, table: Table | None, id_: str) -> Revision | dict[str, Any] | None:
        """Return a document of the table that its id is of, see `revision`."""
        tablet = table.tablet_at(self.ts) if table else None
        self._read_range()
        if tablet is None:
            return None
        if (tablet, id_) in self.writes:
            return self.writes[tablet, id_]
        found = tablet.at(id_, self.ts)
        if found is not None:
            self.count_read(found)
        return found

    def tablet(self, component: Component, table: str) -> Tablet | None:
        found = component.tables.get(table)
        return found.tablet_at(self.ts) if found else None

    def scan(self, component: Component, table: str) -> Iterator[Revision]:
        """Yield the documents of a table in order of creation; those of this transaction are not among them."""
        self._read_range()
        tablet = self.tablet(component, table)
        for revision in tablet.by_creation(self.ts) if tablet else ():
            self.count_read(revision)
            yield revision

    def count_read(self, revision: Revision) -> None:
        usage, limits = self.usage, self.limits
        usage.documents_read += 1
        usage.bytes_read += len(revision.body or b"")
        if usage.documents_read > limits.documents_read:
            raise FunctionError(
                f"Too many documents read in a single function execution (limit: {limits.documents_read}). {_ADVICE}"
            )
        if usage.bytes_read > limits.bytes_read:
            raise FunctionError(
                f"Too many bytes read in a single function execution (limit: {limits.bytes_read} bytes). {_ADVICE}"
            )

    def _read_range(self) -> None:
        self.usage.ranges_read += 1
        if self.usage.ranges_read > self.limits.ranges_read:
            raise FunctionError(
                f"Too many reads in a single function execution (limit: {self.limits.ranges_read}). {_ADVICE}"
            )

    # ---- writing -----------------------------------------------------------------------------------------------

    def insert(self, component: Component, table: str, fields: dict[str, Any]) -> str:
        """Add a document under a new id, making the table where it is not there."""
        tablet = self.database.create_table(table, component.path).tablet
        assert tablet is not None
        self.ts = max(self.ts, self.database.last_commit_ts)  # sees a table that it has just made
        id_ = self.database.new_id(tablet.table.number)
        own = {key: value for key, value in fields.items() if not key.startswith("_")}
        document = own | {"_id": id_, "_creationTime": self.database.creation_ms(tablet)}
        self._write(tablet, id_, document)
        return id_

    def patch(self, component: Component, id_: str, fields: dict[str, Any]) -> None:
        """Change fields; the value `...` takes one away."""
        tablet, before = self._existing(component, id_, "Update")
        merged = before | {key: value for key, value in fields.items() if key not in ("_id", "_creationTime")}
        self._write(tablet, id_, {key: value for key, value in merged.items() if value is not ...})

    def replace(self, component: Component, id_: str, fields: dict[str, Any]) -> None:
        tablet, before = self._existing(component, id_, "Replace")
        kept = {key: before[key] for key in ("_id", "_creationTime")}
        self._write(tablet, id_, {k: v for k, v in fields.items() if not k.startswith("_")} | kept)

    def delete(self, component: Component, id_: str) -> None:
        """Delete whatever the id names, a row of a system table as well."""
        tablet, _ = self._existing(component, id_, "Delete")
        self._write(tablet, id_, None)

    def _existing(self, component: Component, id_: str, verb: str) -> tuple[Tablet, dict[str, Any]]:
        table = self.table_of(component, id_)
        found = self.get(component, id_)
        tablet = table.tablet if table else None
        if found is None or tablet is None:
            raise FunctionError(f"{verb} on nonexistent document ID {id_}")
        return tablet, found

    def _write(self, tablet: Tablet, id_: str, document: dict[str, Any] | None) -> None:
        if self.is_read_only:
            raise FunctionError("Writes are not supported in a query.")
        usage, limits = self.usage, self.limits
        usage.documents_written += 1
        size = len(orjson.dumps(document, default=repr)) if document else 0
        usage.bytes_written += size
        if size > limits.document_bytes:
            raise FunctionError(f"Value is too large ({size} bytes > maximum size {limits.document_bytes} bytes)")
        if usage.documents_written > limits.documents_written:
            raise FunctionError(
                f"Too many writes in a single function execution (limit: {limits.documents_written} documents)."
            )
        if usage.bytes_written > limits.bytes_written:
            raise FunctionError(
                f"Too many bytes written in a single function execution (limit: {limits.bytes_written} bytes)."
            )
        self.writes[tablet, id_] = document

    def commit(self) -> int | None:
        """Write everything under one timestamp; None when there was nothing."""
        if not self.writes:
            return None
        ts = self.database.write((tablet, id_, document) for (tablet, id_), document in self.writes.items())
        for call in self.on_commit:
            call()
        return ts
