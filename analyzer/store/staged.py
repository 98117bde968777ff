"""Where the documents of a live read wait until they are all of one moment.

Pages arrive in any order of tables, and only the last one makes them consistent. Until then they stand in staged_*
tables that nothing reads, each batch together with the cursor behind it; then one transaction turns the newest version
of each document into revisions, see `analyzer.store.promoting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from analyzer.model import DriftCount, TableRef, TextFingerprint
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.incoming import (
    IncomingTable,
    explaining,
    select_incoming,
    stored_columns,
)
from analyzer.store.ingest import reserve_numbers


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
            return nothing(kind)
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


def nothing(kind: RevisionTable) -> Documents:
    """Return no documents."""
    columns = ", ".join(stored_columns(kind))
    return Documents(f"select revision_no, id, {columns} from {kind.name} limit 0", {}, False)


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
