"""What a live deployment's documents arrive as, whichever way they are read: pages of changes.

A page and the cursor behind it belong together: who keeps the one must keep the other in the same transaction. A
reader goes on from any cursor it gave, and what it gives from there does not depend on when or where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Literal, NamedTuple, Protocol

import orjson

from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_DATA
from analyzer.errors import CursorExpired, SourceInvalid

Way = Literal["data sync", "deltas", "paged"]
TableName = tuple[str, str]  # component path, table
MAX_EMPTY_PAGES = 10_000  # in a row; a page covers up to 32,768 rows, so this passes 300 million of unasked tables
MAX_TIME_NS = 2**63  # timestamps are int64
LONGEST_NAME = 512  # characters of a component path, table or id


class Change(NamedTuple):
    """One revision of one document. A tuple and not a dataclass: there is one for each document of a deployment."""

    component: str  # path, "" is the root
    table: str
    id: str
    ts_ns: int  # when it was written, by the deployment's clock; read page by page: when it was read
    deleted: bool
    document: dict[str, Any] | None  # parsed export_json: int is int64, float is float64; None when deleted


class Rows(NamedTuple):
    """Documents of a page as they came, not checked yet: five columns of one length."""

    components: list[Any]
    tables: list[Any]
    stamps: list[Any]
    deleted: list[Any]
    documents: list[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A step forward. Apply `is_fresh`, then `truncates`, then `values` in order, then keep `next_cursor`."""

    values: Sequence[Change]
    truncates: tuple[TableName, ...] = ()  # tables whose documents all went before these values came
    is_fresh: bool = False  # first page of a read from the start: nothing collected before counts any more
    next_cursor: str | None = None  # None: a read that stops here starts over
    snapshot_ts_ns: int | None = None  # when the documents are as of; None while they are of no one moment
    is_last: bool = False  # nothing newer was there when it was made

    @property
    def consistent(self) -> bool:
        """Tell whether the documents, this page included, are those of one moment of the deployment."""
        return self.snapshot_ts_ns is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which documents are asked for. Whatever else a server sends is dropped: a misread filter returns everything."""

    tables: frozenset[TableName] | None = None  # None: all but the platform's own
    left_out: Mapping[TableName, frozenset[str]] = field(default_factory=dict)  # fields that stay on the server

    def has(self, component: str, table: str) -> bool:
        """Tell whether a table was asked for."""
        return (component, table) in self.tables if self.tables is not None else not table.startswith("_")

    def selection(self) -> dict[str, Any] | None:
        """Return the server's filter; None for everything. The short words are those that old versions know, too."""
        if self.tables is None and not self.left_out:
            return None
        other = "incl" if self.tables is None else "excl"
        chosen: dict[str, Any] = {}
        for component, table in sorted(self.tables if self.tables is not None else self.left_out):
            fields = dict.fromkeys(sorted(self.left_out.get((component, table), ())), "excl")
            chosen.setdefault(component, {"_other": other})[table] = fields | {"_other": "incl"}
        return chosen | {"_other": other}

    def digest(self) -> str:
        """Return 16 characters that differ for different choices."""
        text = orjson.dumps(self.selection(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:16]


class ChangeReader(Protocol):
    """One way of reading."""

    way: Way

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Return pages up to the newest moment.

        cursor  of the last page that was kept; None: from the start
        raises  CursorExpired: start over; NotOffered before the first page: take another way; SourceInvalid for
                pages that repeat themselves, never end or make no sense; SourceUnreachable
        """


def pack_cursor(way: Way, wanted: Wanted, **state: Any) -> str:
    """Write what a reader must remember, and what it is good for."""
    return orjson.dumps({"way": way, "wanted": wanted.digest(), **state}).decode()


def unpack_cursor(text: str, way: Way, wanted: Wanted) -> dict[str, Any]:
    """Read what `pack_cursor` wrote.

    raises  CursorExpired when it is of another way or selection, or was damaged
    """
    state = _cursor(text)
    if state.get("way") != way or state.get("wanted") != wanted.digest():
        raise CursorExpired("what is to be collected has changed since the last time", hint="read from the start")
    return state


def way_of(text: str) -> str:
    """Return which way a cursor belongs to.

    raises  CursorExpired for a text that is none
    """
    return str(_cursor(text).get("way"))


def _cursor(text: str) -> dict[str, Any]:
    try:
        state = orjson.loads(text)
    except orjson.JSONDecodeError:
        state = None
    if not isinstance(state, dict):
        raise CursorExpired("the stored cursor is damaged", hint="read from the start")
    return state


class Guard:
    """Notices a server that goes round in circles or never comes to an end."""

    def __init__(self, client: Client, what: str) -> None:
        self._client = client
        self._what = what
        self._seen: set[int] = set()
        self._empty_pages = 0

    def step(self, cursor: object, is_empty: bool) -> None:
        """Check one page that is not the last.

        cursor  what the next page is asked for with
        raises  SourceInvalid
        """
        mark = hash(cursor)
        if mark in self._seen:
            raise self.broken("an end: it gives the same cursor again")
        self._seen.add(mark)
        self._empty_pages = self._empty_pages + 1 if is_empty else 0
        if self._empty_pages > MAX_EMPTY_PAGES:
            raise self.broken(f"an end: {MAX_EMPTY_PAGES} pages in a row are empty")

    def broken(self, expected: str) -> SourceInvalid:
        """Return the error for a page that lacks something."""
        return self._client.unexpected(self._what, expected, VIEW_DATA)

    def time(self, value: object) -> int:
        """Return a timestamp, exact to the nanosecond; a float has lost its last digits and is none."""
        if type(value) is not int or not 0 <= value < MAX_TIME_NS:
            raise self.broken("exact timestamps")
        return value

    def text(self, value: object, what: str) -> str:
        """Return a cursor, a name or an id."""
        if not isinstance(value, str):
            raise self.broken(what)
        return value

    def items(self, value: object, what: str) -> list[dict[str, Any]]:
        """Return a list of objects."""
        if not isinstance(value, list) or set(map(type, value)) - {dict}:
            raise self.broken(what)
        return value

    def changes(self, rows: Rows, wanted: Wanted) -> list[Change]:
        """Check documents, drop those of tables that were not asked for, and leave out fields that were not.

        Looks at each column of the page as a whole: a page holds thousands of documents, and a deployment many pages.
        """
        places = list(zip(rows.components, rows.tables, strict=True))
        is_wanted = {place: wanted.has(*place) for place in self._distinct(rows, places)}
        if not all(is_wanted.values()):
            keep = [is_wanted[place] for place in places]
            rows = Rows(*(list(compress(column, keep)) for column in rows))
        documents = rows.documents
        if set(map(type, documents)) - {dict} or set(map(type, rows.deleted)) - {bool}:
            raise self.broken("whole documents")
        ids = [document.get("_id") for document in documents]
        if set(map(type, ids)) - {str} or not all(ids) or max(map(len, ids), default=0) > LONGEST_NAME:
            raise self.broken("ids of documents")
        if set(map(type, rows.stamps)) - {int} or any(not 0 <= ts < MAX_TIME_NS for ts in set(rows.stamps)):
            raise self.broken("exact timestamps")
        if wanted.left_out:
            for component, table, document in zip(rows.components, rows.tables, documents, strict=True):
                for name in wanted.left_out.get((component, table), ()):
                    document.pop(name, None)
        if any(rows.deleted):
            documents = [None if gone else document for document, gone in zip(documents, rows.deleted, strict=True)]
        columns = zip(rows.components, rows.tables, ids, rows.stamps, rows.deleted, documents, strict=True)
        return list(map(Change._make, columns))

    def place(self, component: object, table: object) -> TableName:
        """Return which table something is of."""
        if not isinstance(component, str) or not isinstance(table, str) or len(component) + len(table) > LONGEST_NAME:
            raise self.broken("tables of documents")
        return component, table

    def _distinct(self, rows: Rows, places: list[tuple[Any, Any]]) -> set[TableName]:
        if (set(map(type, rows.components)) | set(map(type, rows.tables))) - {str}:
            raise self.broken("tables of documents")
        return {self.place(*place) for place in set(places)}
