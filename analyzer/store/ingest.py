"""Writes one collection into the store: what is new, what changed and what disappeared, in one transaction.

Each table of the source is loaded into a temporary table `incoming`, compared with the documents in force at the
source's own time, and only differences become revisions. A collection older than ones already stored is slipped in
between: whatever it changes is asserted again at the next later snapshot that covers the table, so that every
snapshot keeps exactly its documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analyzer.errors import SourceInvalid
from analyzer.model import DriftCount, TableCoverage, TableRef, TextFingerprint
from analyzer.store.columns import CREATION_TIME, OTHER, REVISION_TABLES, RevisionTable, revision_table

MAX_LINE_BYTES = 32 * 1024 * 1024  # twice what the source lets through
COMMON = ("revision_no", "deployment_no", "component", "table_name", "id", "revision_ns", "deleted", "snapshot_no")


@dataclass(frozen=True, slots=True)
class IncomingTable:
    """One table of a source, checked and spooled to files."""

    table: TableRef
    documents: int
    spool: Path  # newline-delimited JSON, see analyzer.convex.documents
    extras: Path | None  # leftovers of documents that have any; None for untyped tables or when there are none
    where: str  # "export.zip: users/documents.jsonl", for errors


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a collection stands in time among the others of its deployment."""

    deployment_no: int
    snapshot_no: int
    as_of_ns: int


def load_table(
    connection: duckdb.DuckDBPyConnection,
    incoming: IncomingTable,
    moment: Moment,
    *,
    next_snapshot: tuple[int, int] | None,
    fingerprints: Sequence[TextFingerprint],
    keep_text: bool,
) -> tuple[TableCoverage, list[DriftCount]]:
    """Turn one table's documents into revisions.

    next_snapshot  (snapshot_no, as_of_ns) of the next later snapshot that covers the table, or None
    returns        what changed, and statuses that no one knows
    raises         SourceInvalid naming the line of a duplicate `_id`
    """
    kind = revision_table(incoming.table.component, incoming.table.name)
    columns = _stored_columns(kind)
    _load_incoming(connection, incoming, kind, fingerprints, keep_text)
    _refuse_duplicates(connection, incoming)
    _load_before(connection, kind, incoming.table, moment)
    differs = " or ".join(f"b.{name} is distinct from i.{name}" for name in columns)
    connection.execute(
        f"""create or replace temp table difference as
        select coalesce(i.id, b.id) as id, b.revision_no as previous_no, i.id is null as deleted
        from incoming as i full join before as b on b.id = i.id
        where i.id is null or b.id is null or {differs}"""
    )
    counts = connection.execute(
        """select count(*) filter (where previous_no is null),
            count(*) filter (where previous_no is not null and not deleted), count(*) filter (where deleted)
        from difference"""
    ).fetchone()
    assert counts is not None
    _append(connection, kind, columns, incoming.table, moment)
    if next_snapshot is not None:
        _assert_again(connection, kind, columns, incoming.table, moment, next_snapshot)
    drift = _unknown_statuses(connection, incoming.table, kind)
    connection.execute("drop table incoming; drop table before; drop table difference")
    coverage = TableCoverage(incoming.table, "collected", incoming.documents, *(int(n) for n in counts))
    return coverage, drift


def drop_table(
    connection: duckdb.DuckDBPyConnection,
    table: TableRef,
    moment: Moment,
    *,
    next_snapshot: tuple[int, int] | None,
) -> int:
    """Record that a table the source lists no longer has any document; returns how many disappeared."""
    kind = revision_table(table.component, table.name)
    columns = _stored_columns(kind)
    _load_before(connection, kind, table, moment)
    connection.execute(
        """create or replace temp table difference as
        select id, revision_no as previous_no, true as deleted from before"""
    )
    row = connection.execute("select count(*) from difference").fetchone()
    assert row is not None
    connection.execute("create or replace temp table incoming as select * from before limit 0")
    _append(connection, kind, columns, table, moment)
    if next_snapshot is not None:
        _assert_again(connection, kind, columns, table, moment, next_snapshot)
    connection.execute("drop table incoming; drop table before; drop table difference")
    return int(row[0])


def rebuild_ends(connection: duckdb.DuckDBPyConnection) -> None:
    """Derive revision_end again from all revisions."""
    parts = " union all ".join(
        f"""select revision_no, revision_ns, lead(revision_no) over w as next_no, lead(revision_ns) over w as next_ns
        from {kind.name}
        window w as (partition by deployment_no, component, table_name, id order by revision_ns, revision_no)"""
        for kind in REVISION_TABLES.values()
    )
    connection.execute("delete from revision_end")
    connection.execute(
        f"insert into revision_end select revision_no, next_ns, next_no from ({parts}) where next_no is not null"
    )


def _stored_columns(kind: RevisionTable) -> list[str]:
    """Return the columns that make up a document's content, in the table's order."""
    names = [CREATION_TIME.name, *(column.name for column in kind.columns)]
    if kind.text_field:
        names += ["content_length", "content_sha256", "content_fingerprints", "content_text"]
    return [*names, "leftovers"]


def _load_incoming(
    connection: duckdb.DuckDBPyConnection,
    incoming: IncomingTable,
    kind: RevisionTable,
    fingerprints: Sequence[TextFingerprint],
    keep_text: bool,
) -> None:
    """Make the temporary table `incoming`: one typed row a document."""
    if not incoming.documents:
        connection.execute(
            f"create or replace temp table incoming as select id, {', '.join(_stored_columns(kind))} from {kind.name} limit 0"
        )
        return
    columns = (CREATION_TIME, *kind.columns)
    fields = {"_id": "JSON"} | {column.field: "JSON" for column in columns}
    params: dict[str, object] = {"spool": str(incoming.spool), "max_bytes": MAX_LINE_BYTES}
    selected = ["j._id->>'$' as id", *(f"{_typed(c.field, c.type)} as {c.name}" for c in columns)]
    if kind.text_field:
        fields[kind.text_field] = "JSON"
        selected += _reduced(kind, fingerprints, params, keep_text)
    leftovers, extras = "null::varchar", ""
    if kind.name == REVISION_TABLES[OTHER].name:
        fields["leftovers"] = "VARCHAR"
        leftovers = "j.leftovers"
    elif incoming.extras is not None:
        params["extras"] = str(incoming.extras)
        leftovers = "x.leftovers"
        extras = (
            "left join read_json($extras, format = 'newline_delimited', maximum_object_size = $max_bytes, "
            "columns = {'_id': 'VARCHAR', 'leftovers': 'VARCHAR'}) as x on x._id = j._id->>'$'"
        )
    spec = ", ".join(f"'{field}': '{type_}'" for field, type_ in fields.items())
    source = f"read_json($spool, format = 'newline_delimited', maximum_object_size = $max_bytes, columns = {{{spec}}})"
    try:
        connection.execute(
            f"create or replace temp table incoming as "
            f"select {', '.join(selected)}, {leftovers} as leftovers from {source} as j {extras}",
            params,
        )
    except duckdb.Error as error:
        raise SourceInvalid(
            f"{incoming.where} cannot be loaded: {str(error).splitlines()[0][:300]}",
            hint="nothing was stored; export again, or report this file",
        ) from None


def _typed(field: str, type_: str) -> str:
    """Return SQL for a JSON column's value where it has the wanted JSON type, else NULL."""
    value = f'j."{field}"'
    if type_ == "varchar":
        return f"case when json_type({value}) = 'VARCHAR' then {value}->>'$' end"
    if type_ == "boolean":
        return f"case when json_type({value}) = 'BOOLEAN' then ({value}->>'$')::boolean end"
    return f"case when json_type({value}) in ('DOUBLE', 'UBIGINT', 'BIGINT', 'HUGEINT') then ({value})::double end"


def _reduced(
    kind: RevisionTable, fingerprints: Sequence[TextFingerprint], params: dict[str, object], keep_text: bool
) -> list[str]:
    """Return SQL that keeps of a text its length, its hash and the fingerprints it matches."""
    text = f"(case when json_type(j.\"{kind.text_field}\") = 'VARCHAR' then j.\"{kind.text_field}\"->>'$' end)"
    matches = []
    for position, fingerprint in enumerate(f for f in fingerprints if f.field == kind.text_field):
        params[f"pattern_{position}"] = fingerprint.pattern
        params[f"fingerprint_{position}"] = fingerprint.id
        matches.append(
            f"case when regexp_full_match({text}, $pattern_{position}) then $fingerprint_{position}::varchar end"
        )
    found = f"list_filter([{', '.join(matches)}], lambda f: f is not null)" if matches else "[]::varchar[]"
    return [
        f"length({text}) as content_length",
        f"unhex(sha256({text})) as content_sha256",
        f"case when {text} is not null then {found} end as content_fingerprints",
        f"{text if keep_text else 'null::varchar'} as content_text",
    ]


def _refuse_duplicates(connection: duckdb.DuckDBPyConnection, incoming: IncomingTable) -> None:
    row = connection.execute(
        "select id from incoming group by id having count(*) > 1 order by id limit 1"
    ).fetchone()
    if row is None:
        return
    lines = []
    needle = row[0].encode()
    with incoming.spool.open("rb") as spool:
        for number, line in enumerate(spool, start=1):
            if needle in line and len(lines) < 2:
                lines.append(number)
    raise SourceInvalid(
        f"{incoming.where}: line {lines[-1]}: _id {row[0]} stands already in line {lines[0]}",
        hint="nothing was stored; an export never repeats a document: export again",
    )


def _load_before(
    connection: duckdb.DuckDBPyConnection, kind: RevisionTable, table: TableRef, moment: Moment
) -> None:
    """Make the temporary table `before`: the table's documents in force at the collection's time."""
    connection.execute(
        f"""create or replace temp table before as
        select r.* from {kind.name} as r
        where r.deployment_no = $deployment_no and r.component = $component and r.table_name = $table_name
            and r.revision_ns <= $as_of_ns and not r.deleted
            and r.revision_no not in (select e.revision_no from revision_end as e where e.valid_to_ns <= $as_of_ns)""",
        {
            "deployment_no": moment.deployment_no,
            "component": table.component,
            "table_name": table.name,
            "as_of_ns": moment.as_of_ns,
        },
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
        {
            "deployment_no": moment.deployment_no,
            "component": table.component,
            "table_name": table.name,
            "as_of_ns": moment.as_of_ns,
            "snapshot_no": moment.snapshot_no,
        },
    )
    connection.execute(
        f"""insert into revision_end
        select d.previous_no, $as_of_ns, r.revision_no
        from difference as d join {kind.name} as r on r.id = d.id
        where d.previous_no is not null and r.snapshot_no = $snapshot_no and r.revision_ns = $as_of_ns
            and r.component = $component and r.table_name = $table_name""",
        {
            "as_of_ns": moment.as_of_ns,
            "snapshot_no": moment.snapshot_no,
            "component": table.component,
            "table_name": table.name,
        },
    )


def _assert_again(
    connection: duckdb.DuckDBPyConnection,
    kind: RevisionTable,
    columns: list[str],
    table: TableRef,
    moment: Moment,
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
        {
            "deployment_no": moment.deployment_no,
            "component": table.component,
            "table_name": table.name,
            "as_of_ns": moment.as_of_ns,
            "next_ns": next_ns,
            "next_no": next_no,
        },
    )


def _unknown_statuses(
    connection: duckdb.DuckDBPyConnection, table: TableRef, kind: RevisionTable
) -> list[DriftCount]:
    if not kind.statuses:
        return []
    rows = connection.execute(
        """select status, count(*) from incoming
        where status is not null and not list_contains($known, status) group by status order by status""",
        {"known": sorted(kind.statuses)},
    ).fetchall()
    return [
        DriftCount(table.component, table.name, "status", "unknown_status", status[:200], int(count))
        for status, count in rows
    ]
