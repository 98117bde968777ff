"""The store: one DuckDB file that holds every revision of every collected document. DuckDB's only door."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import duckdb

from analyzer import __version__
from analyzer.errors import StoreError, UsageError
from analyzer.model import (
    Answer,
    CollectResult,
    DriftCount,
    Mark,
    Snapshot,
    TableCoverage,
    TableRef,
)
from analyzer.store import catalog, connection, marks
from analyzer.store.frame import Frame
from analyzer.store.incoming import Collection, IncomingTable
from analyzer.store.ingest import Moment, drop_table, load_table, rebuild_ends
from analyzer.store.rollouts import Rollouts

__all__ = ["Collection", "Frame", "IncomingTable", "Store"]


class Store:
    """An open store. Use as a context manager, and hold it no longer than needed: writers exclude readers."""

    def __init__(self, path: Path, duck: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._duck = duck

    @classmethod
    def read(cls, path: Path, *, wait_s: float = 10.0) -> Self:
        """Open an existing store read-only, waiting up to wait_s for a writer.

        raises  StoreError: missing, in use (names the process), no store, or from a newer version
        """
        return cls(path, connection.open_for_reading(path, wait_s))

    @classmethod
    def write(cls, path: Path, *, wait_s: float = 10.0) -> Self:
        """Open a store for writing, making or migrating it where needed.

        raises  StoreError: in use (names the process), no store, or from a newer version
        """
        return cls(path, connection.open_for_writing(path, wait_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._duck.close()

    def snapshots(self, deployment: str | None = None) -> tuple[Snapshot, ...]:
        """Return the complete snapshots by deployment, oldest source time first."""
        return catalog.read_snapshots(self._duck, deployment)

    def snapshot(self, selector: str | int | None = None, deployment: str | None = None) -> Snapshot:
        """Return one snapshot: the newest by source time, or the one with this id or label.

        raises  UsageError when several deployments or labels fit; StoreError when none does
        """
        found = self.snapshots(deployment)
        if not found:
            raise StoreError(
                f"{self.path} holds no snapshot" + (f" of {deployment}" if deployment else ""),
                hint="collect one with `analyzer collect EXPORT`",
            )
        names = sorted({snapshot.deployment.name for snapshot in found})
        if len(names) > 1:
            raise UsageError(
                f"{self.path} holds {len(names)} deployments",
                hint=f"choose one with --deployment: {', '.join(names)}",
            )
        if selector is None:
            return found[-1]
        fitting = [s for s in found if str(s.id) == str(selector)] or [s for s in found if s.label == selector]
        if len(fitting) != 1:
            known = ", ".join(f"{s.id} ({s.label})" for s in found[-8:])
            raise UsageError(
                f"{len(fitting)} snapshots are called {selector!r}",
                hint=f"`analyzer snapshots` lists them: {known}",
            )
        return fitting[0]

    def answers(self, snapshot: Snapshot) -> tuple[Answer, ...]:
        """Return what the deployment's functions said for a snapshot, by function path."""
        return catalog.read_answers(self._duck, snapshot.id)

    def marks(self, deployment: str) -> tuple[Mark, ...]:
        """Return the mark in force for each marked document, by id."""
        return marks.in_force(marks.history(self._duck, deployment))

    def add_mark(self, deployment: str, mark: Mark) -> None:
        """Record what a person says of a document."""
        marks.add(self._duck, deployment, mark)

    @property
    def rollouts(self) -> Rollouts:
        """The recorded rollouts, to read; to write where the store is open for writing."""
        return Rollouts(self._duck)

    def frame(self, snapshot: Snapshot, at_ms: int | None = None) -> Frame:
        """Return the documents of a snapshot at a clock (default: the snapshot's own time). One at a time."""
        number = catalog.deployment_no(self._duck, snapshot.deployment.name)
        assert number is not None
        return Frame(self._duck, snapshot, number, at_ms)

    def ingest(self, collection: Collection) -> CollectResult:
        """Add one complete collection in one transaction.

        returns  the new snapshot; the earlier one if the same documents are stored for the same time already
        raises   SourceInvalid for a duplicate `_id`; the store is then as it was
        """
        try:
            return CollectResult(self._ingest(collection), already_present=False)
        except _AlreadyPresentError as present:
            known = self.snapshots(collection.info.deployment.name)
            return CollectResult(next(s for s in known if s.id == present.snapshot_no), already_present=True)

    def _ingest(self, collection: Collection) -> Snapshot:
        info, as_of_ns = collection.info, collection.as_of_ns
        with self._transaction():
            number = catalog.record_deployment(self._duck, info.deployment)
            taken = dict(catalog.neighbours(self._duck, number))
            twin_no = taken.get(as_of_ns)
            while as_of_ns in taken:
                as_of_ns += 1
            moment = Moment(number, catalog.next_snapshot_no(self._duck), as_of_ns)
            coverage, statuses = self._load(moment, collection)
            if twin_no is not None and not any(c.added or c.changed or c.removed for c in coverage):
                raise _AlreadyPresentError(twin_no)
            if any(later > as_of_ns for later in taken):
                rebuild_ends(self._duck)
            snapshot = Snapshot(
                id=moment.snapshot_no,
                label=collection.label or info.label,
                deployment=info.deployment,
                source_kind=info.kind,
                source_label=info.label,
                as_of_ns=as_of_ns,
                time_basis=info.time_basis,
                taken_at_ms=collection.taken_at_ms,
                coverage=(*coverage, *collection.absent),
                drift=(*collection.drift, *statuses),
                flags=info.flags,
                warnings=info.warnings,
                text_fingerprints=tuple(fingerprint.id for fingerprint in collection.fingerprints),
            )
            catalog.record_snapshot(self._duck, snapshot, number, info, __version__)
        return snapshot

    def _load(self, moment: Moment, collection: Collection) -> tuple[list[TableCoverage], list[DriftCount]]:
        coverage: list[TableCoverage] = []
        statuses: list[DriftCount] = []
        for incoming in collection.tables:
            later = catalog.next_covering(self._duck, moment.deployment_no, moment.as_of_ns, incoming.table)
            covered, unknown = load_table(self._duck, incoming, moment, collection, next_snapshot=later)
            coverage.append(covered)
            statuses += unknown
        if collection.tables_are_complete:
            coverage += self._drop_missing(moment, {c.table for c in coverage})
        return coverage, statuses

    def _drop_missing(self, moment: Moment, present: set[TableRef]) -> list[TableCoverage]:
        """Record tables that earlier snapshots had and this complete listing has not."""
        names = {(table.component, table.name) for table in present}
        rows = self._duck.execute(
            """select distinct c.component, c.table_name
            from coverage as c join snapshot as s on s.snapshot_no = c.snapshot_no
            where s.deployment_no = $number and s.as_of_ns < $as_of_ns and c.status = 'collected'
            order by all""",
            {"number": moment.deployment_no, "as_of_ns": moment.as_of_ns},
        ).fetchall()
        gone: list[TableCoverage] = []
        for component, name in rows:
            if (component, name) not in names:
                table = TableRef(component, name)
                later = catalog.next_covering(self._duck, moment.deployment_no, moment.as_of_ns, table)
                removed = drop_table(self._duck, table, moment, next_snapshot=later)
                if removed:
                    gone.append(TableCoverage(table, "collected", 0, 0, 0, removed, "the table is gone"))
        return gone

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._duck.execute("begin")
        try:
            yield
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._duck.execute("rollback")
            raise
        self._duck.execute("commit")


class _AlreadyPresentError(Exception):
    """The same documents are stored for the same time already; unwinds the transaction."""

    def __init__(self, snapshot_no: int) -> None:
        super().__init__(snapshot_no)
        self.snapshot_no = snapshot_no
