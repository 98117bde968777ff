"""Tables with every revision of every document, in the shape that Convex keeps them.

A table is a name and a number; its documents lie in a tablet. Replacing a table swaps the tablet: what lay in the old
one is out of reach for readers of the log, without a single tombstone.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.deployment import encoding

FIRST_USER_NUMBER = 10_001


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of one document; `body` is None for a tombstone."""

    ts: int  # nanoseconds since the epoch
    id: str
    creation_ms: float
    body: bytes | None  # export_json, keys sorted
    is_plain: bool

    @property
    def document(self) -> dict[str, Any]:
        """A fresh copy of the document."""
        assert self.body is not None, "a tombstone has no document"
        return encoding.load(self.body, self.is_plain)

    def wire(self, style: str) -> Any:
        """Return the document for a JSON writer, without parsing it where every format is the same."""
        assert self.body is not None
        if self.is_plain or style == "export":
            return orjson.Fragment(self.body)
        return encoding.encode(self.document, style)


class Tablet:
    """The documents of a table, until it is replaced. Guarded by the database's lock."""

    def __init__(self, id_: str, table: Table) -> None:
        self.id = id_
        self.table = table
        self.chains: dict[str, list[Revision]] = {}  # by document id, oldest first
        self._ids: list[str] = []  # sorted; those added since are in _new_ids
        self._by_creation: list[tuple[float, str]] = []
        self._new_ids: list[tuple[float, str]] = []
        self.last_creation_ms = 0.0

    def apply(self, revision: Revision) -> None:
        chain = self.chains.get(revision.id)
        if chain is None:
            self.chains[revision.id] = [revision]
            self._new_ids.append((revision.creation_ms, revision.id))
        else:
            chain.append(revision)

    def at(self, id_: str, ts: int) -> Revision | None:
        """Return the revision that stands at a time; None where there is no document."""
        found = self.last(id_, ts)
        return found if found is not None and found.body is not None else None

    def last(self, id_: str, ts: int) -> Revision | None:
        """Return the newest revision up to a time, which may be a tombstone."""
        for revision in reversed(self.chains.get(id_, ())):
            if revision.ts <= ts:
                return revision
        return None

    def by_id(self, ts: int, after: str = "") -> Iterator[Revision]:
        """Yield the documents of a time in order of their ids, after one."""
        self._sort()
        for place in range(bisect.bisect_right(self._ids, after), len(self._ids)):
            revision = self.at(self._ids[place], ts)
            if revision is not None:
                yield revision

    def by_creation(
        self, ts: int, after: tuple[float, str] | None = None, *, is_descending: bool = False
    ) -> Iterator[Revision]:
        """Yield the documents of a time in order of creation, after a place in that order."""
        self._sort()
        order = self._by_creation
        if is_descending:
            places = range((bisect.bisect_left(order, after) if after else len(order)) - 1, -1, -1)
        else:
            places = range(bisect.bisect_right(order, after) if after else 0, len(order))
        for place in places:
            revision = self.at(order[place][1], ts)
            if revision is not None:
                yield revision

    def count(self, ts: int) -> int:
        return sum(self.at(id_, ts) is not None for id_ in self.chains)

    def _sort(self) -> None:
        if self._new_ids:
            # Both lists are sorted but for their tails, which Python's sort is quick at.
            self._ids += [id_ for _, id_ in self._new_ids]
            self._ids.sort()
            self._by_creation += self._new_ids
            self._by_creation.sort()
            self._new_ids = []


@dataclass(eq=False)
class Table:
    """A name in a component, and the tablet behind it at each time."""

    component: Component
    name: str
    number: int
    history: list[tuple[int, Tablet | None]] = field(default_factory=list)  # (from ts, None when dropped)

    @property
    def tablet(self) -> Tablet | None:
        """The tablet of now."""
        return self.history[-1][1] if self.history else None

    @property
    def is_system(self) -> bool:
        return self.name.startswith("_")

    def tablet_at(self, ts: int) -> Tablet | None:
        found = None
        for since, tablet in self.history:
            if since <= ts:
                found = tablet
        return found


@dataclass(eq=False)
class Component:
    """A namespace of tables; the root has the path ""."""

    path: str
    id: str  # document id
    tables: dict[str, Table] = field(default_factory=dict)
    by_number: dict[int, Table] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def add(self, table: Table) -> None:
        self.tables[table.name] = table
        self.by_number[table.number] = table

    def next_number(self) -> int:
        """Return a number that no table of this component ever had."""
        return max((n + 1 for n in self.by_number if n >= FIRST_USER_NUMBER), default=FIRST_USER_NUMBER)

    def user_tables(self) -> list[Table]:
        """Return the tables that are there, in order of their numbers."""
        found = [t for t in self.tables.values() if not t.is_system and t.tablet is not None]
        return sorted(found, key=lambda table: table.number)
