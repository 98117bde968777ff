"""What the newest export of each table held, stretch by stretch; see `analyzer.convex.stretches`. Derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import orjson

from analyzer.model import Stretch
from analyzer.store.incoming import IncomingTable, Moment

TableName = tuple[str, str]  # component, table


@dataclass(frozen=True, slots=True)
class Base:
    """The export that a new one is compared with."""

    snapshot_no: int | None = None  # None: there is none
    stretches: Mapping[TableName, Sequence[Stretch]] = field(default_factory=dict)  # in order


class BaseOutdatedError(Exception):
    """What an export was compared with is not what the store holds; it has to be read whole."""


def predecessor(connection: duckdb.DuckDBPyConnection, deployment_no: int, as_of_ns: int | None) -> int | None:
    """Return the newest snapshot at or before a time; None for no time: the newest of all."""
    row = connection.execute(
        """select snapshot_no from snapshot
        where deployment_no = $deployment_no and ($as_of_ns is null or as_of_ns <= $as_of_ns)
        order by as_of_ns desc limit 1""",
        {"deployment_no": deployment_no, "as_of_ns": as_of_ns},
    ).fetchone()
    return None if row is None else int(row[0])


def read(connection: duckdb.DuckDBPyConnection, deployment_no: int, as_of_ns: int | None) -> Base:
    """Return what is known of the export before a time, where that is the snapshot before it."""
    snapshot_no = predecessor(connection, deployment_no, as_of_ns)
    rows = connection.execute(
        """select e.component, e.table_name, e.digest, e.first_id, e.last_id, e.document_count, e.newest_creation_ms,
            e.drift_json
        from export_stretch as e
        join snapshot as s on s.snapshot_no = e.snapshot_no and s.as_of_ns = e.as_of_ns
        where e.deployment_no = $deployment_no and e.snapshot_no = $snapshot_no
        order by e.component, e.table_name, e.first_id""",
        {"deployment_no": deployment_no, "snapshot_no": snapshot_no},
    ).fetchall()
    found: dict[TableName, list[Stretch]] = {}
    drifts: dict[str, tuple[tuple[str, str, str, int], ...]] = {}  # few differ
    for component, table, digest, first, last, count, newest_ms, drift_json in rows:
        if drift_json not in drifts:
            drifts[drift_json] = tuple(tuple(item) for item in orjson.loads(drift_json))
        found.setdefault((component, table), []).append(
            Stretch(digest, first, last, count, newest_ms, drifts[drift_json])
        )
    return Base(snapshot_no, found) if found else Base()


def replace(connection: duckdb.DuckDBPyConnection, incoming: IncomingTable, moment: Moment) -> None:
    """Keep the stretches of a table in place of those that were known."""
    place = {
        "deployment_no": moment.deployment_no,
        "component": incoming.table.component,
        "table_name": incoming.table.name,
    }
    connection.execute(
        """delete from export_stretch
        where deployment_no = $deployment_no and component = $component and table_name = $table_name""",
        place,
    )
    if incoming.stretches is not None and incoming.documents:
        connection.execute(
            """insert into export_stretch by name
            select $deployment_no as deployment_no, $component as component, $table_name as table_name,
                $snapshot_no as snapshot_no, $as_of_ns as as_of_ns, s.*
            from read_json($path, format = 'newline_delimited', columns = {digest: 'varchar', first_id: 'varchar',
                last_id: 'varchar', document_count: 'bigint', newest_creation_ms: 'double', drift_json: 'varchar'}) as s
            order by s.first_id""",
            place | {"snapshot_no": moment.snapshot_no, "as_of_ns": moment.as_of_ns, "path": str(incoming.stretches)},
        )


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what is known of every export; the next one is read whole."""
    connection.execute("delete from export_stretch")
