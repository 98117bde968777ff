"""Turns what waits of a live read into revisions of one moment, exactly as an export's documents become revisions.

Runs inside the caller's transaction. See `analyzer.store.staged` for what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from analyzer.errors import StoreError
from analyzer.model import DriftCount, TableCoverage, TableRef
from analyzer.store import catalog
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.differences import append_differences
from analyzer.store.incoming import Moment, explaining, stored_columns, unknown_statuses
from analyzer.store.ingest import append_rows, is_known, reserve_numbers
from analyzer.store.looks import Span
from analyzer.store.observed import Observations
from analyzer.store.staged import Batch, Documents, Keeping, StagedTable, cursor, forget, keep, nothing, staged_name

REPLACED = "the table was emptied or replaced as a whole since the snapshot before"


class CountsDisagreeError(StoreError):
    """The store would hold another number of documents than the deployment says it has."""


def promote(
    connection: duckdb.DuckDBPyConnection,
    moment: Moment,
    tables: Sequence[TableRef],
    expected: Callable[[], Mapping[tuple[str, str], int]] | None,
    *,
    last: Batch | None,
    keeping: Keeping,
) -> tuple[list[TableCoverage], list[DriftCount]]:
    """Turn what waits, and the last batch with it, into revisions at a moment.

    tables    every table that the deployment has now
    expected  tells how many documents each of them should hold, asked when all are in; None: not asked
    last      None: everything waits already
    raises    CountsDisagreeError
    """
    number = moment.deployment_no
    waits = any(_waits(connection, number, kind) for kind in REVISION_TABLES.values())
    if last is None:
        last = Batch((), cursor(connection, number), False, ())
    elif last.is_fresh:
        forget(connection, number)
        waits = False
    elif waits:
        keep(connection, number, last, kept_at_ms=0, keeping=keeping)
        last = replace(last, tables=(), truncates=(), drift=())
    row = connection.execute("select is_fresh from sync where deployment_no = $n", {"n": number}).fetchone()
    is_fresh = row is None or bool(row[0]) or last.is_fresh
    emptied = {(table.component, table.name) for table in last.truncates}
    emptied |= set(
        connection.execute(
            "select component, table_name from sync_truncate where deployment_no = $n", {"n": number}
        ).fetchall()
    )
    arrived = {(t.incoming.table.component, t.incoming.table.name): t for t in last.tables}
    counts = _counts_before(connection, moment)
    others = catalog.neighbours(connection, number)
    has_later = any(as_of_ns > moment.as_of_ns for as_of_ns, _ in others)
    promotion = _Promotion(connection, moment, keeping, waits, is_first=not others, has_later=has_later)
    promotion.reserve(sum(table.documents for table in last.tables))
    coverage, drift = [], list(last.drift)
    for table in tables:
        place = (table.component, table.name)
        before = None if is_fresh or place in emptied else counts.get(place, 0)
        covered, unknown = promotion.promote(table, arrived.get(place), before=before)
        if place in emptied and place in counts and not is_fresh:
            covered = replace(covered, reason=REPLACED)
        coverage.append(covered)
        drift += unknown
    if expected is not None:
        _compare(coverage, expected())
    drift += [DriftCount(*item) for item in _waiting_drift(connection, number)]
    forget(connection, number)
    connection.execute("insert into sync values ($n, $cursor, false, 0)", {"n": number, "cursor": last.cursor})
    return coverage, drift


def lost(
    connection: duckdb.DuckDBPyConnection,
    observations: Observations,
    moment: Moment,
    coverage: Sequence[TableCoverage],
    interrupted: str,
) -> tuple[Span, ...]:
    """Record the time since the snapshot before where nobody knows what was changed and deleted in it."""
    number = moment.deployment_no
    before = [at for at, _ in catalog.neighbours(connection, number) if at < moment.as_of_ns]
    if not before:
        return ()
    name = "/".join  # of a table: component and name
    why = {
        f"documents {name(p for p in (c.table.component, c.table.name) if p)}": c.reason for c in coverage if c.reason
    }
    if interrupted:
        why = {"documents": interrupted}
    return observations.lose(number, max(before) // 10**6, moment.as_of_ns // 10**6, why)


@dataclass(slots=True)
class _Promotion:
    """One table after the other."""

    connection: duckdb.DuckDBPyConnection
    moment: Moment
    keeping: Keeping
    waits: bool  # whether documents wait in the store: those of a table that did not arrive
    is_first: bool  # whether there is no snapshot yet, and so no revision
    has_later: bool  # whether there are snapshots of a later time
    next_no: int = 0  # of the documents that arrived

    def reserve(self, documents: int) -> None:
        """Reserve the numbers of all that arrived."""
        if documents:
            self.next_no = reserve_numbers(self.connection, documents)

    def promote(
        self, table: TableRef, arrived: StagedTable | None, *, before: int | None
    ) -> tuple[TableCoverage, list[DriftCount]]:
        """Append what differs from what was in force.

        arrived  what is new of the table; None: it waits in the store
        before   how many documents there were; None: what is new is all that there is
        """
        connection, moment = self.connection, self.moment
        kind = revision_table(table.component, table.name)
        found = self._found(table, kind, arrived)
        gone = [] if arrived is None else arrived.deleted_ids
        if before is not None and not found.is_any and not gone:
            return TableCoverage(table, "collected", before), []
        later = None
        if self.has_later:
            later = catalog.next_covering(connection, moment.deployment_no, moment.as_of_ns, table)
        if before is None and later is None and (self.is_first or not is_known(connection, kind, table, moment)):
            with _explaining(arrived):
                added = append_rows(connection, table, moment, *found[:2], is_numbered=True) if found.is_any else 0
            appended = f"(select status from {kind.name} where snapshot_no = {moment.snapshot_no}) as appended"
            unknown = unknown_statuses(connection, table, kind, appended)
            return TableCoverage(table, "collected", added, added), unknown
        with _explaining(arrived):
            connection.execute(f"create or replace temp table incoming as {found.rows}", found.params)
        if not (arrived is None and self.waits):
            connection.execute("create or replace temp table touched as select id from incoming")
        if gone:
            connection.execute("insert into touched select unnest($ids)", {"ids": list(gone)})
        living = connection.execute("select count(*) from incoming").fetchone()
        assert living is not None
        unknown = unknown_statuses(connection, table, kind)
        among = None if before is None else "touched"
        changes = append_differences(connection, table, moment, next_snapshot=later, among=among)
        documents = living[0] if before is None else before + changes.added - changes.removed
        return TableCoverage(table, "collected", documents, *changes), unknown

    def _found(self, table: TableRef, kind: RevisionTable, arrived: StagedTable | None) -> Documents:
        if arrived is not None:
            first_no = self.next_no
            self.next_no += arrived.documents
            return self.keeping.documents(arrived, first_no)
        return _waiting(self.connection, self.moment.deployment_no, table) if self.waits else nothing(kind)


def _compare(coverage: Sequence[TableCoverage], expected: Mapping[tuple[str, str], int]) -> None:
    for covered in coverage:
        wanted = expected.get((covered.table.component, covered.table.name), covered.documents)
        if wanted != covered.documents:
            raise CountsDisagreeError(
                f"{covered.table.name} would hold {covered.documents} documents, the deployment has {wanted}",
                hint="everything is read again",
            )


def _waits(connection: duckdb.DuckDBPyConnection, number: int, kind: RevisionTable) -> bool:
    query = f"select 1 from {staged_name(kind)} where deployment_no = $n limit 1"
    return connection.execute(query, {"n": number}).fetchone() is not None


def _waiting_drift(connection: duckdb.DuckDBPyConnection, number: int) -> list[tuple[Any, ...]]:
    return connection.execute(
        """select component, table_name, field, kind, found, sum(document_count)::bigint from sync_drift
        where deployment_no = $n group by all order by all""",
        {"n": number},
    ).fetchall()


def _counts_before(connection: duckdb.DuckDBPyConnection, moment: Moment) -> dict[tuple[str, str], int]:
    """Return how many documents of each table are in force before a moment: what the snapshot before it holds."""
    rows = connection.execute(
        """select c.component, c.table_name, c.document_count
        from coverage as c join snapshot as s on s.snapshot_no = c.snapshot_no
        where s.deployment_no = $n and s.as_of_ns < $as_of_ns and c.status = 'collected'
        order by s.as_of_ns""",
        {"n": moment.deployment_no, "as_of_ns": moment.as_of_ns},
    ).fetchall()
    return {(component, table): int(count) for component, table, count in rows}


def _waiting(connection: duckdb.DuckDBPyConnection, number: int, table: TableRef) -> Documents:
    """Return the newest version of each document of a table that waits."""
    kind = revision_table(table.component, table.name)
    connection.execute(
        f"""create or replace temp table touched as
        select id, max(revision_no) as revision_no from {staged_name(kind)}
        where deployment_no = $n and component = $component and table_name = $table group by id""",
        {"n": number, "component": table.component, "table": table.name},
    )
    columns = ", ".join(f"s.{name}" for name in stored_columns(kind))
    rows = f"""select s.revision_no, s.id, {columns}
        from {staged_name(kind)} as s join touched as t on t.revision_no = s.revision_no
        where not s.deleted"""
    row = connection.execute("select count(*) from touched").fetchone()
    return Documents(rows, {}, is_any=row != (0,))


def _explaining(arrived: StagedTable | None) -> AbstractContextManager[None]:
    return nullcontext() if arrived is None else explaining(arrived.incoming)
