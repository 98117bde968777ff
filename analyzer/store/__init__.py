"""The store: one DuckDB file that holds every revision of every collected document. DuckDB's only door."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
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
    SourceInfo,
    TableCoverage,
    TableRef,
    TextFingerprint,
)
from analyzer.store import catalog, connection, ingest, marks
from analyzer.store.frame import Frame
from analyzer.store.ingest import IncomingTable

__all__ = ["Frame", "IncomingTable", "Store"]


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
                f"{self.path} holds {len(names)} deployments", hint=f"choose one with --deployment: {', '.join(names)}"
            )
        if selector is None:
            return found[-1]
        fitting = [s for s in found if str(s.id) == str(selector)] or [s for s in found if s.label == selector]
        if len(fitting) != 1:
            known = ", ".join(f"{s.id} ({s.label})" for s in found[-8:])
            raise UsageError(
                f"{len(fitting)} snapshots are called {selector!r}", hint=f"`analyzer snapshots` lists them: {known}"
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

    def frame(self, snapshot: Snapshot, at_ms: int | None = None) -> Frame:
        """Return the documents of a snapshot at a clock (default: the snapshot's own time). One at a time."""
        number = catalog.deployment_no(self._duck, snapshot.deployment.name)
        assert number is not None
        return Frame(self._duck, snapshot, number, at_ms)

    def ingest(
        self,
        info: SourceInfo,
        tables: Sequence[IncomingTable],
        *,
        as_of_ns: int,
        taken_at_ms: int,
        label: str | None,
        drift: Sequence[DriftCount] = (),
        absent: Sequence[TableCoverage] = (),
        tables_are_complete: bool = True,
        fingerprints: Sequence[TextFingerprint] = (),
        keep_text: bool = False,
    ) -> CollectResult:
        """Add one complete collection in one transaction.

        as_of_ns             source time; moved on by whole nanoseconds where another snapshot holds it already
        absent               tables that were looked for and not collected, with the reason
        tables_are_complete  whether a table missing from `tables` is known to be gone from the deployment
        returns              the snapshot; the earlier one if the same documents were stored for this time already
        """
        try:
            snapshot = self._ingest(
                info, tables, as_of_ns, taken_at_ms, label, drift, absent, tables_are_complete, fingerprints, keep_text
            )
        except _AlreadyPresentError as present:
            twin = next(s for s in self.snapshots(info.deployment.name) if s.id == present.snapshot_no)
            return CollectResult(twin, already_present=True)
        return CollectResult(snapshot, already_present=False)

    def _ingest(
        self,
        info: SourceInfo,
        tables: Sequence[IncomingTable],
        as_of_ns: int,
        taken_at_ms: int,
        label: str | None,
        drift: Sequence[DriftCount],
        absent: Sequence[TableCoverage],
        tables_are_complete: bool,
        fingerprints: Sequence[TextFingerprint],
        keep_text: bool,
    ) -> Snapshot:
        with self._transaction():
            number = catalog.record_deployment(self._duck, info.deployment)
            taken = dict(catalog.neighbours(self._duck, number))
            twin_no = taken.get(as_of_ns)
            while as_of_ns in taken:
                as_of_ns += 1
            moment = ingest.Moment(number, catalog.next_snapshot_no(self._duck), as_of_ns)
            coverage, statuses = self._load(moment, tables, fingerprints, keep_text)
            if tables_are_complete:
                coverage += self._drop_missing(moment, {c.table for c in coverage})
            if twin_no is not None and not any(c.added or c.changed or c.removed for c in coverage):
                raise _AlreadyPresentError(twin_no)
            if any(later > as_of_ns for later in taken):
                ingest.rebuild_ends(self._duck)
            snapshot = Snapshot(
                id=moment.snapshot_no,
                label=label or info.label,
                deployment=info.deployment,
                source_kind=info.kind,
                source_label=info.label,
                as_of_ns=as_of_ns,
                time_basis=info.time_basis,
                taken_at_ms=taken_at_ms,
                coverage=(*coverage, *absent),
                drift=(*drift, *statuses),
                flags=info.flags,
                warnings=info.warnings,
                text_fingerprints=tuple(fingerprint.id for fingerprint in fingerprints),
            )
            catalog.record_snapshot(self._duck, snapshot, number, info, __version__)
        return snapshot

    def _load(
        self,
        moment: ingest.Moment,
        tables: Sequence[IncomingTable],
        fingerprints: Sequence[TextFingerprint],
        keep_text: bool,
    ) -> tuple[list[TableCoverage], list[DriftCount]]:
        coverage: list[TableCoverage] = []
        statuses: list[DriftCount] = []
        for incoming in tables:
            later = catalog.next_covering(self._duck, moment.deployment_no, moment.as_of_ns, incoming.table)
            covered, unknown = ingest.load_table(
                self._duck,
                incoming,
                moment,
                next_snapshot=later,
                fingerprints=[f for f in fingerprints if f.table == incoming.table.name],
                keep_text=keep_text,
            )
            coverage.append(covered)
            statuses += unknown
        return coverage, statuses

    def _drop_missing(self, moment: ingest.Moment, present: set[TableRef]) -> list[TableCoverage]:
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
                removed = ingest.drop_table(self._duck, table, moment, next_snapshot=later)
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
