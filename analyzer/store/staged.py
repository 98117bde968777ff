"""Where the documents of a live read wait until they are all of one moment.

Pages arrive in any order of tables, and only the last one makes them consistent. Until then they stand in staged_*
tables that nothing reads, each batch together with the cursor behind it; then one transaction turns the newest version
of each document into revisions, exactly as an export's documents become revisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from analyzer.errors import StoreError
from analyzer.model import DriftCount, TableCoverage, TableRef, TextFingerprint
from analyzer.store import catalog
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.differences import append_differences
from analyzer.store.incoming import (
    IncomingTable,
    Moment,
    explaining,
    select_incoming,
    stored_columns,
    unknown_statuses,
)
from analyzer.store.ingest import append_rows, is_known, reserve_numbers

REPLACED = "the table was emptied or replaced as a whole since the snapshot before"


@dataclass(frozen=True, slots=True)
class StagedTable:
    """What a batch of pages brought of one table: the newest version of each document in it."""

    incoming: IncomingTable  # numbered; without those that are loaded already
    deleted_ids: Sequence[str]
    preloaded: Sequence[Path] = ()  # the others, see `analyzer.store.preloading`
    preloaded_documents: int = 0

    @property
    def documents(self) -> int:
        """How many documents it holds, without those that are gone."""
        return self.preloaded_documents + self.incoming.documents


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pages of a live read, and the cursor behind them."""

    tables: Sequence[StagedTable]
    cursor: str | None
    is_fresh: bool  # begins with a read from the start: what waited before is void
    truncates: Sequence[TableRef]  # tables emptied before these documents came
    drift: Sequence[DriftCount] = ()


class Documents(NamedTuple):
    """A SELECT of documents, `revision_no`, `id` and the stored columns, and its parameters."""

    rows: str
    params: dict[str, object]
    is_any: bool  # whether there are any


@dataclass(frozen=True, slots=True)
class Keeping:
    """How documents are loaded."""

    fingerprints: Sequence[TextFingerprint] = ()
    keep_text: bool = False

    def documents(self, staged: StagedTable, first_no: int) -> Documents:
        """Return the documents of a table that were spooled, numbered from first_no on."""
        table = staged.incoming.table
        kind = revision_table(table.component, table.name)
        columns = f"id, {', '.join(stored_columns(kind))}"
        if not staged.documents:
            return Documents(f"select revision_no, {columns} from {kind.name} limit 0", {}, False)
        parts: list[str] = []
        params: dict[str, object] = {}
        if staged.preloaded:
            parts.append(f"select $first_no + revision_no as revision_no, {columns} from read_parquet($files)")
            params |= {"first_no": first_no, "files": list(map(str, staged.preloaded))}
        if staged.incoming.documents:
            own = [f for f in self.fingerprints if f.table == table.name]
            behind = first_no + staged.preloaded_documents
            rows, own_params = select_incoming(staged.incoming, kind, own, self.keep_text, first_no=behind)
            parts.append(rows.replace("$first_no", "$rest_no"))
            params |= {"rest_no" if name == "first_no" else name: value for name, value in own_params.items()}
        return Documents(" union all ".join(parts), params, True)


class CountsDisagreeError(StoreError):
    """The store would hold another number of documents than the deployment says it has."""


def staged_name(kind: RevisionTable) -> str:
    """Return the name of the table where documents wait for `kind`."""
    return kind.name.replace("revision_", "staged_")


def cursor(connection: duckdb.DuckDBPyConnection, number: int) -> str | None:
    """Return the cursor behind what waits, or None where a read has to start over."""
    row = connection.execute("select cursor from sync where deployment_no = $n", {"n": number}).fetchone()
    return None if row is None else row[0]


def forget(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    """Drop what waits of a deployment, with its cursor."""
    for kind in REVISION_TABLES.values():
        connection.execute(f"delete from {staged_name(kind)} where deployment_no = $n", {"n": number})
    for table in ("sync", "sync_truncate", "sync_drift"):
        connection.execute(f"delete from {table} where deployment_no = $n", {"n": number})


def keep(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    batch: Batch,
    *,
    kept_at_ms: int,
    keeping: Keeping,
) -> None:
    """Let a batch wait. Runs inside the caller's transaction."""
    was_fresh = False
    if batch.is_fresh:
        forget(connection, number)
    else:
        row = connection.execute("select is_fresh from sync where deployment_no = $n", {"n": number}).fetchone()
        was_fresh = bool(row and row[0])
    for table in batch.truncates:
        kind = revision_table(table.component, table.name)
        place = {"n": number, "component": table.component, "table": table.name}
        connection.execute(
            f"""delete from {staged_name(kind)}
            where deployment_no = $n and component = $component and table_name = $table""",
            place,
        )
        connection.execute("insert into sync_truncate values ($n, $component, $table)", place)
    for staged in batch.tables:
        _stage(connection, number, staged, keeping)
    if batch.drift:
        connection.executemany(
            "insert into sync_drift values (?, ?, ?, ?, ?, ?, ?)",
            [(number, d.component, d.table, d.field, d.kind, d.found, d.count) for d in batch.drift],
        )
    connection.execute("delete from sync where deployment_no = $n", {"n": number})
    connection.execute(
        "insert into sync values ($n, $cursor, $is_fresh, $kept_at_ms)",
        {"n": number, "cursor": batch.cursor, "is_fresh": batch.is_fresh or was_fresh, "kept_at_ms": kept_at_ms},
    )


def _stage(connection: duckdb.DuckDBPyConnection, number: int, staged: StagedTable, keeping: Keeping) -> None:
    table = staged.incoming.table
    kind = revision_table(table.component, table.name)
    place = {"n": number, "component": table.component, "table": table.name}
    head = f"""insert into {staged_name(kind)} by name
        select $n as deployment_no, $component as component, $table as table_name, 0 as revision_ns, 0 as snapshot_no"""
    if staged.documents:
        found = keeping.documents(staged, reserve_numbers(connection, staged.documents))
        with explaining(staged.incoming):
            connection.execute(f"{head}, false as deleted, i.* from ({found.rows}) as i", place | found.params)
    if staged.deleted_ids:
        ids = {"ids": list(staged.deleted_ids)}
        gone = "select nextval('revision_no') as revision_no, true as deleted, unnest($ids) as id"
        connection.execute(f"{head}, g.* from ({gone}) as g", place | ids)


def promote(
    connection: duckdb.DuckDBPyConnection,
    moment: Moment,
    tables: Sequence[TableRef],
    expected: Callable[[], Mapping[tuple[str, str], int]] | None,
    *,
    last: Batch | None,
    keeping: Keeping,
) -> tuple[list[TableCoverage], list[DriftCount]]:
    """Turn what waits, and the last batch with it, into revisions at a moment. Runs inside the caller's transaction.

    tables    every table that the deployment has now
    expected  tells how many documents each of them should hold, asked when all are in; None: not asked
    last      None: everything waits already
    raises    CountsDisagreeError
    """
    number = moment.deployment_no
    if last is None:
        last = Batch((), cursor(connection, number), False, ())
    elif last.is_fresh:
        forget(connection, number)
    elif any(_waits(connection, number, kind) for kind in REVISION_TABLES.values()):
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
    coverage, drift = [], list(last.drift)
    for table in tables:
        place = (table.component, table.name)
        before = None if is_fresh or place in emptied else counts.get(place, 0)
        covered, unknown = _promote_table(connection, moment, table, arrived.get(place), keeping, before=before)
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


def _promote_table(
    connection: duckdb.DuckDBPyConnection,
    moment: Moment,
    table: TableRef,
    arrived: StagedTable | None,
    keeping: Keeping,
    *,
    before: int | None,
) -> tuple[TableCoverage, list[DriftCount]]:
    """Append what differs from what was in force.

    arrived  what is new of the table; None: it waits in the store
    before   how many documents there were; None: what is new is all that there is
    """
    kind, number = revision_table(table.component, table.name), moment.deployment_no
    if arrived is None:
        found = _waiting(connection, number, table)
    else:
        found = keeping.documents(arrived, reserve_numbers(connection, arrived.documents) if arrived.documents else 0)
    gone = [] if arrived is None else arrived.deleted_ids
    if before is not None and not found.is_any and not gone:
        return TableCoverage(table, "collected", before), []
    later = catalog.next_covering(connection, number, moment.as_of_ns, table)
    if before is None and later is None and not is_known(connection, kind, table, moment):
        with _explaining(arrived):
            added = append_rows(connection, table, moment, *found[:2], is_numbered=True) if found.is_any else 0
        appended = f"(select status from {kind.name} where snapshot_no = {moment.snapshot_no}) as appended"
        unknown = unknown_statuses(connection, table, kind, appended)
        return TableCoverage(table, "collected", added, added), unknown
    with _explaining(arrived):
        connection.execute(f"create or replace temp table incoming as {found.rows}", found.params)
    if arrived is not None:
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


def _explaining(arrived: StagedTable | None) -> AbstractContextManager[None]:
    return nullcontext() if arrived is None else explaining(arrived.incoming)
