"""Where the documents of a live read wait until they are all of one moment.

Pages arrive in any order of tables, and only the last one makes them consistent. Until then they stand in staged_*
tables that nothing reads, each batch together with the cursor behind it; then one transaction turns the newest version
of each document into revisions, exactly as an export's documents become revisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from analyzer.errors import StoreError
from analyzer.model import DriftCount, TableCoverage, TableRef, TextFingerprint
from analyzer.store import catalog
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.incoming import IncomingTable, load_incoming, load_nothing, stored_columns, unknown_statuses
from analyzer.store.ingest import Moment, append_differences


@dataclass(frozen=True, slots=True)
class StagedTable:
    """What a batch of pages brought of one table: the newest version of each document in it."""

    incoming: IncomingTable
    times_ns: Mapping[str, int]  # when each document of `incoming` was written
    deleted_ns: Mapping[str, int]  # ids that are gone, and since when


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pages of a live read, and the cursor behind them."""

    tables: Sequence[StagedTable]
    cursor: str | None
    is_fresh: bool  # begins with a read from the start: what waited before is void
    truncates: Sequence[TableRef]  # tables emptied before these documents came
    drift: Sequence[DriftCount] = ()


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
    fingerprints: Sequence[TextFingerprint],
    keep_text: bool,
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
        own = [f for f in fingerprints if f.table == staged.incoming.table.name]
        _stage(connection, number, staged, own, keep_text)
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


def _stage(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    staged: StagedTable,
    fingerprints: Sequence[TextFingerprint],
    keep_text: bool,
) -> None:
    table = staged.incoming.table
    kind = revision_table(table.component, table.name)
    columns = stored_columns(kind)
    load_incoming(connection, staged.incoming, kind, fingerprints, keep_text)
    for times_ns, source, deleted in (
        (staged.times_ns, "join incoming as i on i.id = w.id", False),
        (staged.deleted_ns, "left join incoming as i on false", True),
    ):
        if times_ns:
            connection.execute(
                f"""insert into {staged_name(kind)} by name
                select nextval('revision_no') as revision_no, $n as deployment_no, $component as component,
                    $table as table_name, w.id, w.ns as revision_ns, $deleted as deleted, 0 as snapshot_no,
                    {", ".join(f"i.{name}" for name in columns)}
                from (select unnest($ids) as id, unnest($times)::bigint as ns) as w {source}""",
                {
                    "n": number,
                    "component": table.component,
                    "table": table.name,
                    "deleted": deleted,
                    "ids": list(times_ns),
                    "times": list(times_ns.values()),
                },
            )
    connection.execute("drop table incoming")


def promote(
    connection: duckdb.DuckDBPyConnection,
    moment: Moment,
    tables: Sequence[TableRef],
    expected: Mapping[tuple[str, str], int] | None,
) -> tuple[list[TableCoverage], list[DriftCount]]:
    """Turn what waits into revisions at a moment. Runs inside the caller's transaction.

    tables    every table that the deployment has now
    expected  how many documents each of them should hold; None: not asked
    raises    CountsDisagreeError
    """
    number = moment.deployment_no
    row = connection.execute("select is_fresh from sync where deployment_no = $n", {"n": number}).fetchone()
    is_fresh = row is None or bool(row[0])
    emptied = set(
        connection.execute(
            "select component, table_name from sync_truncate where deployment_no = $n", {"n": number}
        ).fetchall()
    )
    counts = _counts_before(connection, moment)
    coverage, statuses = [], []
    for table in tables:
        place = (table.component, table.name)
        covered, unknown = _promote_table(
            connection, moment, table, is_whole=is_fresh or place in emptied, before=counts.get(place, 0)
        )
        if expected is not None and expected.get(place, covered.documents) != covered.documents:
            raise CountsDisagreeError(
                f"{table.name} would hold {covered.documents} documents, the deployment has {expected[place]}",
                hint="everything is read again",
            )
        coverage.append(covered)
        statuses += unknown
    drift = connection.execute(
        """select component, table_name, field, kind, found, sum(document_count)::bigint from sync_drift
        where deployment_no = $n group by all order by all""",
        {"n": number},
    ).fetchall()
    at = cursor(connection, number)
    forget(connection, number)
    connection.execute("insert into sync values ($n, $cursor, false, 0)", {"n": number, "cursor": at})
    return coverage, [*(DriftCount(*item) for item in drift), *statuses]


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


def _promote_table(
    connection: duckdb.DuckDBPyConnection, moment: Moment, table: TableRef, *, is_whole: bool, before: int
) -> tuple[TableCoverage, list[DriftCount]]:
    kind = revision_table(table.component, table.name)
    place = {"n": moment.deployment_no, "component": table.component, "table": table.name}
    connection.execute(
        f"""create or replace temp table newest as
        select s.* from {staged_name(kind)} as s
        where s.revision_no in (
            select max(t.revision_no) from {staged_name(kind)} as t
            where t.deployment_no = $n and t.component = $component and t.table_name = $table
            group by t.id)""",
        place,
    )
    row = connection.execute("select count(*), count(*) filter (where not deleted) from newest").fetchone()
    assert row is not None
    waiting, living = row
    if not waiting and not is_whole:
        return TableCoverage(table, "collected", before), []
    load_nothing(connection, kind)
    connection.execute(
        f"insert into incoming by name select id, {', '.join(stored_columns(kind))} from newest where not deleted"
    )
    unknown = unknown_statuses(connection, table, kind)
    later = catalog.next_covering(connection, moment.deployment_no, moment.as_of_ns, table)
    changes = append_differences(connection, table, moment, next_snapshot=later, among=None if is_whole else "newest")
    documents = living if is_whole else before + changes.added - changes.removed
    return TableCoverage(table, "collected", documents, *changes), unknown
