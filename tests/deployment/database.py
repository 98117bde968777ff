"""All documents at all times, behind one lock: every commit has a timestamp of its own, and reads have one too."""

from __future__ import annotations

import bisect
import math
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from analyzer.convex import ids
from tests.deployment import encoding
from tests.deployment.errors import HttpError
from tests.deployment.tables import Component, Revision, Table, Tablet

SYSTEM_NUMBERS = {
    "_tables": 1,
    "_environment_variables": 20,
    "_deployment_audit_log": 21,
    "_exports": 22,
    "_snapshot_imports": 23,
    "_components": 24,
    "_storage": 9_001,
    "_scheduled_functions": 9_002,
}


@dataclass(frozen=True, slots=True)
class LogRow:
    """One write. `tablet` is None for a change of the catalog, which nobody is shown but every page counts."""

    ts: int
    tablet: Tablet | None
    revision: Revision | None


class Database:
    """Tables by component. Take `lock` around anything that must be seen as one."""

    def __init__(self, clock: Callable[[], int], seed: int = 0) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.log: list[LogRow] = []
        self._log_ts: list[int] = []
        self._random = random.Random(f"{seed}/ids")
        self._last_ts = 0
        self._last_commit_ts = 0
        self.components: dict[str, Component] = {}
        self.add_component("")
        for name, number in SYSTEM_NUMBERS.items():
            self._open_table(Table(self.components[""], name, number), self.new_ts())

    # ---- time --------------------------------------------------------------------------------------------------

    def new_ts(self) -> int:
        """Return the timestamp of the next commit, later than any that was given out."""
        self._last_ts = max(self._last_ts + 1, self.clock())
        self._last_commit_ts = self._last_ts
        return self._last_ts

    def latest_ts(self) -> int:
        """Return a timestamp at which nothing will change any more."""
        with self.lock:
            self._last_ts = max(self._last_ts, self.clock())
            return self._last_ts

    @property
    def last_commit_ts(self) -> int:
        return self._last_commit_ts

    # ---- catalog -----------------------------------------------------------------------------------------------

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def new_id(self, number: int) -> str:
        return ids.encode(number, self.random_bytes(16))

    def add_component(self, path: str) -> Component:
        """Return the component of a path, mounted with its parents where it was not."""
        with self.lock:
            if path in self.components:
                return self.components[path]
            if "/" in path:
                self.add_component(path.rpartition("/")[0])
            component = self.components[path] = Component(path, self.new_id(SYSTEM_NUMBERS["_components"]))
            if path:
                for name in ("_storage", "_scheduled_functions"):
                    self._open_table(Table(component, name, SYSTEM_NUMBERS[name]), self.new_ts())
            return component

    def component_by_id(self, id_: str | None) -> Component:
        """Return the component that a `componentId` names; None is the root."""
        found = next((c for c in self.components.values() if id_ is None or c.id == id_), None)
        if found is None:
            raise HttpError(400, "ComponentNotFound", f"Component {id_} not found")
        return found

    def component(self, path: str | None) -> Component:
        found = self.components.get(path or "")
        if found is None:
            raise HttpError(400, "ComponentPathNotFound", f"Component path {path} not found")
        return found

    def create_table(self, name: str, component: str = "", number: int | None = None) -> Table:
        """Return the table of that name, made where it is not there. A dropped one comes back under a new number."""
        with self.lock:
            owner = self.add_component(component)
            found = owner.tables.get(name)
            if found is not None and found.tablet is not None:
                return found
            table = Table(owner, name, number or owner.next_number())
            assert owner.by_number.get(table.number) is None, f"table number {table.number} is taken"
            self._open_table(table, self.new_ts())
            self.note_catalog_change(self._last_ts)
            return table

    def _open_table(self, table: Table, ts: int) -> None:
        table.component.add(table)
        table.history.append((ts, self.new_tablet(table)))

    def new_tablet(self, table: Table) -> Tablet:
        """Return an empty tablet, hidden until it is swapped in."""
        return Tablet(self.random_bytes(16).hex(), table)

    def swap(self, table: Table, tablet: Tablet | None) -> int:
        """Put another tablet behind a name, or drop the table; return the timestamp."""
        with self.lock:
            ts = self.new_ts()
            table.history.append((ts, tablet))
            self.note_catalog_change(ts)
            return ts

    def note_catalog_change(self, ts: int) -> None:
        self._append(LogRow(ts, None, None))

    # ---- writing -----------------------------------------------------------------------------------------------

    def write(self, changes: Iterable[tuple[Tablet, str, dict[str, Any] | None]]) -> int:
        """Commit documents, None for deleted, under one timestamp; returns it."""
        with self.lock:
            ts = self.new_ts()
            for tablet, id_, document in changes:
                if document is None:
                    before = tablet.last(id_, ts)
                    revision = Revision(ts, id_, before.creation_ms if before else 0.0, None, True)
                else:
                    body, plain = encoding.dump(document)
                    revision = Revision(ts, id_, document["_creationTime"], body, plain)
                tablet.apply(revision)
                self._append(LogRow(ts, tablet, revision))
            return ts

    def _append(self, row: LogRow) -> None:
        self.log.append(row)
        self._log_ts.append(row.ts)

    def creation_ms(self, tablet: Tablet) -> float:
        """Return the creation time of a new document: the clock's, later than any before in the table."""
        now_ms = self.clock() / 1e6
        tablet.last_creation_ms = max(now_ms, math.nextafter(tablet.last_creation_ms, math.inf))
        return tablet.last_creation_ms

    # ---- reading -----------------------------------------------------------------------------------------------

    def log_place(self, after_ts: int) -> int:
        """Return where the log goes on after a timestamp."""
        return bisect.bisect_right(self._log_ts, after_ts)

    def active_tablets(self) -> list[Tablet]:
        """Return the tablets of all user tables that are there now, in order of tablet id, as the server walks them."""
        found = (t.tablet for c in self.components.values() for t in c.user_tables())
        return sorted((t for t in found if t is not None), key=lambda tablet: tablet.id)

    def documents_at(self, ts: int) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
        """Return every document of every user table as of a time: by (component, table), by id. The truth of tests."""
        with self.lock:
            found = {}
            for component in self.components.values():
                for table in component.tables.values():
                    tablet = table.tablet_at(ts)
                    if tablet is not None and not table.is_system:
                        found[component.path, table.name] = {r.id: r.document for r in tablet.by_id(ts)}
            return found
