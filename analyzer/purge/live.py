"""What a purge reads of the deployment: documents by id, everything that refers to them, tables and counts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

from analyzer.convex import functions, ids, values
from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_DATA
from analyzer.errors import CursorExpired, SourceInvalid
from analyzer.model import ROOT
from analyzer.purge.references import OWN_FIELDS, Reference, of_document
from analyzer.sources.live import ROOT_SIZE, TABLES, LiveSource

LIST_BY_ID = "_system/frontend/listById"
AT_ONCE = 4  # requests; the client lets no more through
MOST_IDS = 1_000  # of one call: the platform reads at most 4,096 ranges


@dataclass(frozen=True, slots=True)
class Found:
    """A document as the deployment holds it now."""

    document: dict[str, Any]  # Convex values: int is int64, float is float64
    line: bytes  # canonical export_json
    sha256: str
    answer: bytes = b""  # what the deployment said, byte for byte the same as long as the document is


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the one way to write a document down: export_json with sorted keys."""
    return values.dumps(dict(document), "export_json")


def read_documents(
    client: Client,
    wanted: Sequence[tuple[str, str]],
    *,
    as_of_ns: int | None = None,
    known: Mapping[str, Found | None] | None = None,
) -> dict[str, Found | None]:
    """Read documents of the root by (table, id); None where there is none.

    as_of_ns  at that time, at most about four minutes ago; None: now
    known     as they were read before: where the same comes again, it is not decoded again
    raises    SourceInvalid when the answer is short, or of other documents: what is not answered is not absent
    """
    parts = [wanted[start : start + MOST_IDS] for start in range(0, len(wanted), MOST_IDS)]

    def read(part: Sequence[tuple[str, str]]) -> dict[str, Found | None]:
        return _read_part(client, part, as_of_ns, known or {})

    if len(parts) <= 1:
        return read(wanted) if wanted else {}
    with ThreadPoolExecutor(min(len(parts), AT_ONCE)) as pool:
        return {id_: item for found in pool.map(read, parts) for id_, item in found.items()}


def _read_part(
    client: Client, part: Sequence[tuple[str, str]], as_of_ns: int | None, known: Mapping[str, Found | None]
) -> dict[str, Found | None]:
    args = {"ids": [{"id": id_, "tableName": table} for table, id_ in part]}
    answer = functions.query(
        client, LIST_BY_ID, args, as_of_ns=as_of_ns, value_format="convex_encoded_json", permission=VIEW_DATA
    )
    what = f"POST /api/query ({LIST_BY_ID})"
    if not isinstance(answer, list) or len(answer) != len(part):
        raise client.unexpected(what, "one answer for each document", VIEW_DATA)
    found: dict[str, Found | None] = {}
    for (_, id_), item in zip(part, answer, strict=True):
        raw = orjson.dumps(item)
        before = known.get(id_)
        if item is None or (before is not None and before.answer == raw):
            found[id_] = None if item is None else before
        else:
            found[id_] = _found(client, what, id_, item, raw)
    return found


def _found(client: Client, what: str, id_: str, item: Any, raw: bytes) -> Found:
    try:
        document = values.decode(item, "convex_encoded_json")
        if not isinstance(document, dict) or document.get("_id") != id_:
            raise ValueError("another document")
        line = canonical(document)
    except ValueError:
        raise client.unexpected(what, "the documents that were asked for", VIEW_DATA) from None
    return Found(document, line, hashlib.sha256(line).hexdigest(), raw)


def table_mapping(client: Client) -> dict[str, str]:
    """Return number -> name of the tables of the root; the platform's own are among them, under names with `_`.

    raises  SourceInvalid
    """
    mapping = functions.query(client, TABLES, {})
    if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping.values()):
        raise client.unexpected(f"POST /api/query ({TABLES})", "a table mapping", VIEW_DATA)
    return {str(number): name for number, name in mapping.items()}


def table_count(client: Client, table: str) -> int:
    """Return how many documents a table of the root has.

    raises  SourceInvalid
    """
    count = functions.query(client, ROOT_SIZE, {"tableName": table})
    if not isinstance(count, int | float) or isinstance(count, bool) or count != int(count) or count < 0:
        raise client.unexpected(f"POST /api/query ({ROOT_SIZE})", "a count", VIEW_DATA)
    return int(count)


@dataclass
class Watch:
    """Knows every reference to some documents, from the first full read on, and reads only changes after that.

    Where the plan of the deployment offers no changes, every refresh reads everything again.
    """

    source: LiveSource
    targets: frozenset[str]  # ids whose referrers are wanted
    own: frozenset[str] = frozenset()  # documents whose references are wanted, wherever they lead
    cursor: str | None = None
    referring: dict[str, tuple[Reference, ...]] = field(default_factory=dict)  # by id of who refers
    written_ns: dict[str, int] = field(default_factory=dict)  # of own documents, where the way of reading tells
    table_of: dict[str, str] = field(default_factory=dict)  # of own documents of the root

    def refresh(self) -> None:
        """Bring everything up to the newest moment.

        raises  SourceInvalid when the read does not end at one moment: half a view is none
        """
        try:
            self._read(self.cursor)
        except CursorExpired:
            self._read(None)

    @property
    def tells_times(self) -> bool:
        """Tell whether `written_ns` is when documents were written, and not when they were read."""
        return self.source.way in ("data sync", "deltas")

    def references(self, targets: Collection[str] | None = None) -> tuple[Reference, ...]:
        """Return the references that were found, sorted; `targets`: only those to one of these ids."""
        every = (reference for found in self.referring.values() for reference in found)
        return tuple(sorted(every if targets is None else (r for r in every if r.target in targets)))

    def _read(self, cursor: str | None) -> None:
        is_consistent = False
        for page in self.source.changes(cursor):
            if page.is_fresh:
                self.referring, self.written_ns, self.table_of = {}, {}, {}
            for component, table in page.truncates:
                self._forget(component, table)
            for change in page.values:
                self._keep(change.component, change.table, change.id, change.ts_ns, change.document)
            self.cursor = page.next_cursor
            is_consistent = page.consistent
        if not is_consistent:
            raise SourceInvalid("the read of the deployment did not end at one moment", hint="try again")

    def _forget(self, component: str, table: str) -> None:
        """Take a table for empty: what it holds now is read after that."""
        gone = [
            id_ for id_, found in self.referring.items() if (found[0].component, found[0].table) == (component, table)
        ]
        gone += [id_ for id_, name in self.table_of.items() if component == ROOT and name == table]
        for id_ in gone:
            self.referring.pop(id_, None)
            self.written_ns.pop(id_, None)
            self.table_of.pop(id_, None)

    def _keep(self, component: str, table: str, id_: str, ts_ns: int, document: Mapping[str, Any] | None) -> None:
        if document is None:
            self.referring.pop(id_, None)
            self.written_ns.pop(id_, None)
            self.table_of.pop(id_, None)
            return
        if id_ in self.own and component == ROOT:
            self.written_ns[id_], self.table_of[id_] = ts_ns, table
        found = tuple(self._of(component, table, id_, document))
        if found:
            self.referring[id_] = found
        else:
            self.referring.pop(id_, None)

    def _of(self, component: str, table: str, id_: str, document: Mapping[str, Any]) -> Iterable[Reference]:
        is_own = id_ in self.own
        if not is_own and not self._may_refer(document):
            return
        for name, value in document.items():
            if not is_own and isinstance(value, str) and value in self.targets and name not in OWN_FIELDS:
                if value != id_:
                    yield Reference(component, table, id_, name, value)
            elif not isinstance(value, str) or len(value) >= ids.MIN_LENGTH:
                yield from (
                    reference
                    for reference in of_document(component, table, {"_id": id_, name: value})
                    if is_own or reference.target in self.targets
                )

    def _may_refer(self, document: Mapping[str, Any]) -> bool:
        """Look at the plain fields first: most documents name no planned one, and nothing in them is nested."""
        for name, value in document.items():
            if isinstance(value, str):
                if value in self.targets and name != "_id":
                    return True
                if len(value) > ids.MAX_LENGTH and not self.targets.isdisjoint(ids.find(value)):
                    return True
            elif isinstance(value, list | dict) and not self.targets.isdisjoint(
                ids.find(orjson.dumps(value, default=str).decode())
            ):
                return True
        return False
