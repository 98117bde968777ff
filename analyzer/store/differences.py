"""Compares one table of a collection with what was in force, and appends what differs.

A collection older than ones already stored is slipped in between: whatever it changes is asserted again at the next
later snapshot that covers the table, so that every snapshot keeps exactly its documents.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from analyzer.model import TableRef
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.incoming import Moment, stored_columns


class Changes(NamedTuple):
    """How many documents of a table a collection added, changed and found gone."""

    added: int
    changed: int
    removed: int


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
            place_of(table, moment),
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
        place_of(table, moment) | {"snapshot_no": moment.snapshot_no},
    )
    connection.execute(
        f"""insert into revision_end
        select d.previous_no, $as_of_ns, r.revision_no
        from difference as d join {kind.name} as r on r.id = d.id
        where d.previous_no is not null and r.snapshot_no = $snapshot_no and r.revision_ns = $as_of_ns
            and r.deployment_no = $deployment_no and r.component = $component and r.table_name = $table_name""",
        place_of(table, moment) | {"snapshot_no": moment.snapshot_no},
    )


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
        place_of(table, moment) | {"next_ns": next_ns, "next_no": next_no},
    )


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


def place_of(table: TableRef, moment: Moment) -> dict[str, object]:
    """Return the parameters that say which table of which deployment at which time."""
    return {
        "deployment_no": moment.deployment_no,
        "component": table.component,
        "table_name": table.name,
        "as_of_ns": moment.as_of_ns,
    }
