"""Writes one collection into the store: what is new, what changed and what disappeared, in one transaction.

Each table of the source is loaded into a temporary table `incoming`, compared with the documents in force at the
source's own time, and only differences become revisions. A collection older than ones already stored is slipped in
between: whatever it changes is asserted again at the next later snapshot that covers the table, so that every
snapshot keeps exactly its documents.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from analyzer.errors import SourceInvalid
from analyzer.model import DriftCount, TableCoverage, TableRef
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.incoming import (
    Collection,
    IncomingTable,
    Moment,
    explaining,
    load_incoming,
    load_nothing,
    refuse_duplicates,
    select_incoming,
    stored_columns,
    unknown_statuses,
)
from analyzer.store.stretches import BaseOutdatedError


class Changes(NamedTuple):
    """How many documents of a table a collection added, changed and found gone."""

    added: int
    changed: int
    removed: int


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
        rows, params = select_incoming(incoming, kind, fingerprints, collection.keep_text)
        drift = _append_all(connection, incoming, moment, rows, params)
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
    place = _place(incoming.table, moment)
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
    """Return a SELECT of one column of the documents of a table in force at a time; parameters as `_place`."""
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
    rows: str,
    params: dict[str, object],
) -> list[DriftCount]:
    """Append a revision for each document of a table that the store does not know: there is nothing to compare.

    rows, params  the SELECT of the documents
    """
    if not incoming.documents:
        return []
    kind = revision_table(incoming.table.component, incoming.table.name)
    with explaining(incoming):
        append_rows(connection, incoming.table, moment, rows, params)
    own = f"""(
        select * from {kind.name}
        where deployment_no = {moment.deployment_no} and snapshot_no = {moment.snapshot_no}
            and component = '{incoming.table.component}' and table_name = '{incoming.table.name}'
    ) as appended"""  # names are identifiers, the source checked them
    refuse_duplicates(connection, incoming, own)
    return unknown_statuses(connection, incoming.table, kind, own)


def append_rows(
    connection: duckdb.DuckDBPyConnection, table: TableRef, moment: Moment, rows: str, params: dict[str, object]
) -> int:
    """Append a revision for each row of a SELECT of documents; returns how many."""
    appended = connection.execute(
        f"""insert into {revision_table(table.component, table.name).name} by name
        select nextval('revision_no') as revision_no, $deployment_no as deployment_no, $component as component,
            $table_name as table_name, $as_of_ns as revision_ns, false as deleted, $snapshot_no as snapshot_no, i.*
        from ({rows}) as i""",
        params | _place(table, moment) | {"snapshot_no": moment.snapshot_no},
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


def append_differences(
    connection: duckdb.DuckDBPyConnection,
    table: TableRef,
    moment: Moment,
    *,
    next_snapshot: tuple[int, int] | None,
    among: str | None = None,
) -> Changes:
    """Compare the temporary table `incoming` with what was in force, append what differs, and drop it.

    among  a table whose `id`s are the only ones looked at; None: what `incoming` lacks is gone
    """
    kind = revision_table(table.component, table.name)
    columns = stored_columns(kind)
    _load_before(connection, kind, table, moment, among)
    differs = " or ".join(f"b.{name} is distinct from i.{name}" for name in columns)
    connection.execute(
        f"""create or replace temp table difference as
        select coalesce(i.id, b.id) as id, i.id is null as deleted, b.id is null as added,
            coalesce(b.revision_no, t.revision_no) as previous_no
        from incoming as i full join before as b on b.id = i.id left join tombstone as t on t.id = i.id
        where i.id is null or b.id is null or {differs}"""
    )
    counts = connection.execute(
        """select count(*) filter (where added), count(*) filter (where not added and not deleted),
            count(*) filter (where deleted)
        from difference"""
    ).fetchone()
    assert counts is not None
    _append(connection, kind, columns, table, moment)
    if next_snapshot is not None:
        _assert_again(connection, kind, columns, table, moment, next_snapshot=next_snapshot)
    connection.execute("drop table incoming; drop table before; drop table tombstone; drop table difference")
    return Changes(*map(int, counts))


def rebuild_ends(connection: duckdb.DuckDBPyConnection) -> None:
    """Derive revision_end again from all revisions."""
    parts = " union all ".join(
        f"""select revision_no, revision_ns, lead(revision_no) over {kind.name}_ as next_no,
            lead(revision_ns) over {kind.name}_ as next_ns
        from {kind.name}
        window {kind.name}_ as (
            partition by deployment_no, component, table_name, id order by revision_ns, revision_no
        )"""
        for kind in REVISION_TABLES.values()  # DuckDB 1.5 wants the windows of a union named differently
    )
    connection.execute("delete from revision_end")
    connection.execute(
        f"insert into revision_end select revision_no, next_ns, next_no from ({parts}) where next_no is not null"
    )


def _load_before(
    connection: duckdb.DuckDBPyConnection, kind: RevisionTable, table: TableRef, moment: Moment, among: str | None
) -> None:
    """Make temporary tables: `before`, the documents in force at the collection's time, and `tombstone`, those gone."""
    asked = f"and r.id in (select a.id from {among} as a)" if among else ""
    for name, condition in (("before", "not r.deleted"), ("tombstone", "r.deleted")):
        connection.execute(
            f"""create or replace temp table {name} as
            select r.* from {kind.name} as r
            where r.deployment_no = $deployment_no and r.component = $component and r.table_name = $table_name
                and r.revision_ns <= $as_of_ns and {condition} {asked} and r.revision_no not in (
                    select e.revision_no from revision_end as e where e.valid_to_ns <= $as_of_ns)""",
            _place(table, moment),
        )


def _append(
    connection: duckdb.DuckDBPyConnection,
    kind: RevisionTable,
    columns: list[str],
    table: TableRef,
    moment: Moment,
) -> None:
    """Append a revision for each difference, and end the ones they replace."""
    connection.execute(
        f"""insert into {kind.name} by name
        select nextval('revision_no') as revision_no, $deployment_no as deployment_no, $component as component,
            $table_name as table_name, d.id, $as_of_ns as revision_ns, d.deleted, $snapshot_no as snapshot_no,
            {", ".join(f"i.{name}" for name in columns)}
        from difference as d left join incoming as i on i.id = d.id""",
        _place(table, moment) | {"snapshot_no": moment.snapshot_no},
    )
    connection.execute(
        f"""insert into revision_end
        select d.previous_no, $as_of_ns, r.revision_no
        from difference as d join {kind.name} as r on r.id = d.id
        where d.previous_no is not null and r.snapshot_no = $snapshot_no and r.revision_ns = $as_of_ns
            and r.deployment_no = $deployment_no and r.component = $component and r.table_name = $table_name""",
        _place(table, moment) | {"snapshot_no": moment.snapshot_no},
    )


def _place(table: TableRef, moment: Moment) -> dict[str, object]:
    """Return the parameters that say which table of which deployment at which time."""
    return {
        "deployment_no": moment.deployment_no,
        "component": table.component,
        "table_name": table.name,
        "as_of_ns": moment.as_of_ns,
    }


def _assert_again(
    connection: duckdb.DuckDBPyConnection,
    kind: RevisionTable,
    columns: list[str],
    table: TableRef,
    moment: Moment,
    *,
    next_snapshot: tuple[int, int],
) -> None:
    """Keep a later snapshot as it was: repeat there what this earlier one would otherwise change."""
    next_no, next_ns = next_snapshot
    connection.execute(
        f"""insert into {kind.name} by name
        select nextval('revision_no') as revision_no, $deployment_no as deployment_no, $component as component,
            $table_name as table_name, d.id, $next_ns as revision_ns, b.id is null as deleted,
            $next_no as snapshot_no, {", ".join(f"b.{name}" for name in columns)}
        from difference as d left join before as b on b.id = d.id
        where d.id not in (
            select r.id from {kind.name} as r
            where r.deployment_no = $deployment_no and r.component = $component and r.table_name = $table_name
                and r.revision_ns > $as_of_ns and r.revision_ns <= $next_ns)""",
        _place(table, moment) | {"next_ns": next_ns, "next_no": next_no},
    )
