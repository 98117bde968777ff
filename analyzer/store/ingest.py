"""Writes one table of a collection into the store: what is new, what changed and what disappeared.

Each table of the source is loaded into a temporary table `incoming`, compared with the documents in force at the
source's own time, and only differences become revisions; see `analyzer.store.differences`. A table that the store does
not know is appended as it is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from analyzer.errors import SourceInvalid
from analyzer.model import DriftCount, TableCoverage, TableRef, TextFingerprint
from analyzer.store.columns import RevisionTable, revision_table
from analyzer.store.differences import append_differences, place_of
from analyzer.store.incoming import (
    Collection,
    IncomingTable,
    Moment,
    explaining,
    load_incoming,
    load_nothing,
    refuse_duplicates,
    select_incoming,
    unknown_statuses,
)
from analyzer.store.stretches import BaseOutdatedError


def load_table(
    connection: duckdb.DuckDBPyConnection,
    incoming: IncomingTable,
    moment: Moment,
    collection: Collection,
    *,
    next_snapshot: tuple[int, int] | None,
) -> tuple[TableCoverage, list[DriftCount]]:
    """Turn one table's documents into revisions.

    next_snapshot  (snapshot_no, as_of_ns) of the next later snapshot that covers the table, or None
    returns        what changed, and statuses that no one knows
    raises         SourceInvalid naming the line of a duplicate `_id`
    """
    kind = revision_table(incoming.table.component, incoming.table.name)
    fingerprints = [f for f in collection.fingerprints if f.table == incoming.table.name]
    if next_snapshot is None and not is_known(connection, kind, incoming.table, moment):
        drift = _append_all(connection, incoming, moment, fingerprints, keep_text=collection.keep_text)
        return TableCoverage(incoming.table, "collected", incoming.documents, incoming.documents, 0, 0), drift
    if incoming.gaps is not None:
        return _load_news(connection, incoming, moment, collection, next_snapshot=next_snapshot)
    load_incoming(connection, incoming, kind, fingerprints, collection.keep_text)
    refuse_duplicates(connection, incoming, "incoming")
    drift = unknown_statuses(connection, incoming.table, kind)
    changes = append_differences(connection, incoming.table, moment, next_snapshot=next_snapshot)
    return TableCoverage(incoming.table, "collected", incoming.documents, *changes), drift


def _load_news(
    connection: duckdb.DuckDBPyConnection,
    incoming: IncomingTable,
    moment: Moment,
    collection: Collection,
    *,
    next_snapshot: tuple[int, int] | None,
) -> tuple[TableCoverage, list[DriftCount]]:
    """Turn the documents that an earlier export did not hold like this into revisions; the others are in force.

    raises  BaseOutdatedError when the store does not hold the others, or the documents cannot be loaded
    """
    kind = revision_table(incoming.table.component, incoming.table.name)
    place = place_of(incoming.table, moment)
    before = _count(connection, f"select count(*) from ({_in_force(kind)})", place)
    if before != incoming.base_documents:
        raise BaseOutdatedError
    try:
        fingerprints = [f for f in collection.fingerprints if f.table == incoming.table.name]
        load_incoming(connection, incoming, kind, fingerprints, collection.keep_text)
    except SourceInvalid:
        raise BaseOutdatedError from None  # its lines have other numbers in the spool
    connection.execute("create or replace temp table asked as select id from incoming")
    known = _count(
        connection, f"select count(*) from ({_in_force(kind)}) as f where f.id in (select id from incoming)", place
    )
    spooled = _count(connection, "select count(*) from incoming", {})
    if before + spooled - known != incoming.documents:  # documents are gone, and only from where the spool is
        _ask_for_gaps(connection, kind, incoming, place)
    changes = append_differences(connection, incoming.table, moment, next_snapshot=next_snapshot, among="asked")
    if before + changes.added - changes.removed != incoming.documents:
        raise BaseOutdatedError
    drift = _unknown_statuses_in_force(connection, incoming.table, kind, place)
    return TableCoverage(incoming.table, "collected", incoming.documents, *changes), drift


def _ask_for_gaps(
    connection: duckdb.DuckDBPyConnection, kind: RevisionTable, incoming: IncomingTable, place: dict[str, object]
) -> None:
    """Add to the temporary table `asked` every document in force in a gap."""
    assert incoming.gaps is not None
    connection.execute(
        f"""insert into asked
        select f.id
        from ({_in_force(kind)}) as f
        asof join (select unnest($after) as after_id, unnest($before) as before_id) as g on f.id > g.after_id
        where (g.before_id is null or f.id < g.before_id) and f.id not in (select id from incoming)""",
        place | {"after": [g.after for g in incoming.gaps], "before": [g.before for g in incoming.gaps]},
    )


def _unknown_statuses_in_force(
    connection: duckdb.DuckDBPyConnection, table: TableRef, kind: RevisionTable, place: dict[str, object]
) -> list[DriftCount]:
    if not kind.statuses:
        return []
    connection.execute(f"create or replace temp table in_force as {_in_force(kind, 'status')}", place)
    drift = unknown_statuses(connection, table, kind, "in_force")
    connection.execute("drop table in_force")
    return drift


def _in_force(kind: RevisionTable, column: str = "id") -> str:
    """Return a SELECT of one column of the documents of a table in force at a time; parameters as `place_of`."""
    return f"""select r.{column} from {kind.name} as r
        where r.deployment_no = $deployment_no and r.component = $component and r.table_name = $table_name
            and r.revision_ns <= $as_of_ns and not r.deleted and r.revision_no not in (
                select e.revision_no from revision_end as e where e.valid_to_ns <= $as_of_ns)"""


def _count(connection: duckdb.DuckDBPyConnection, query: str, params: dict[str, object]) -> int:
    row = connection.execute(query, params or None).fetchone()
    assert row is not None
    return int(row[0])


def is_known(connection: duckdb.DuckDBPyConnection, kind: RevisionTable, table: TableRef, moment: Moment) -> bool:
    """Return whether the store has any revision of a table, those of documents that are gone included."""
    row = connection.execute(
        f"""select 1 from {kind.name}
        where deployment_no = $deployment_no and component = $component and table_name = $table_name limit 1""",
        {"deployment_no": moment.deployment_no, "component": table.component, "table_name": table.name},
    ).fetchone()
    return row is not None


def _append_all(
    connection: duckdb.DuckDBPyConnection,
    incoming: IncomingTable,
    moment: Moment,
    fingerprints: Sequence[TextFingerprint],
    *,
    keep_text: bool,
) -> list[DriftCount]:
    """Append a revision for each document of a table that the store does not know: there is nothing to compare."""
    if not incoming.documents:
        return []
    kind = revision_table(incoming.table.component, incoming.table.name)
    first_no = reserve_numbers(connection, incoming.documents) if incoming.is_numbered else None
    rows, params = select_incoming(incoming, kind, fingerprints, keep_text, first_no=first_no)
    with explaining(incoming):
        append_rows(connection, incoming.table, moment, rows, params, is_numbered=incoming.is_numbered)
    own = f"""(
        select * from {kind.name}
        where deployment_no = {moment.deployment_no} and snapshot_no = {moment.snapshot_no}
            and component = '{incoming.table.component}' and table_name = '{incoming.table.name}'
    ) as appended"""  # names are identifiers, the source checked them
    refuse_duplicates(connection, incoming, own)
    return unknown_statuses(connection, incoming.table, kind, own)


def reserve_numbers(connection: duckdb.DuckDBPyConnection, count: int) -> int:
    """Return the first of so many numbers of revisions in a row. DuckDB counts in one thread, and loads in several."""
    return _count(connection, "select max(nextval('revision_no')) from range($count)", {"count": count}) - count + 1


def append_rows(
    connection: duckdb.DuckDBPyConnection,
    table: TableRef,
    moment: Moment,
    rows: str,
    params: dict[str, object],
    *,
    is_numbered: bool = False,
) -> int:
    """Append a revision for each row of a SELECT of documents; returns how many.

    is_numbered  whether rows have a revision_no already
    """
    number = "" if is_numbered else "nextval('revision_no') as revision_no, "
    appended = connection.execute(
        f"""insert into {revision_table(table.component, table.name).name} by name
        select {number}$deployment_no as deployment_no, $component as component,
            $table_name as table_name, $as_of_ns as revision_ns, false as deleted, $snapshot_no as snapshot_no, i.*
        from ({rows}) as i""",
        params | place_of(table, moment) | {"snapshot_no": moment.snapshot_no},
    ).fetchone()
    assert appended is not None
    return int(appended[0])


def drop_table(
    connection: duckdb.DuckDBPyConnection,
    table: TableRef,
    moment: Moment,
    *,
    next_snapshot: tuple[int, int] | None,
) -> int:
    """Record that a table the source lists no longer has any document; returns how many disappeared."""
    load_nothing(connection, revision_table(table.component, table.name))
    return append_differences(connection, table, moment, next_snapshot=next_snapshot).removed
