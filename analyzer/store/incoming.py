"""Loads one spooled table of a source into the temporary table `incoming`: typed, reduced, checked for duplicates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analyzer.errors import SourceInvalid
from analyzer.model import DriftCount, SourceInfo, TableCoverage, TableRef, TextFingerprint
from analyzer.store.columns import CREATION_TIME, OTHER, REVISION_TABLES, RevisionTable
from analyzer.units import truncated, visible

MAX_LINE_BYTES = 32 * 1024 * 1024  # twice what the source lets through


@dataclass(frozen=True, slots=True)
class IncomingTable:
    """One table of a source, checked and spooled to files."""

    table: TableRef
    documents: int
    spool: Path  # newline-delimited JSON, see analyzer.convex.documents
    extras: Path | None  # leftovers of documents that have any; None for untyped tables or when there are none
    where: str  # "export.zip: users/documents.jsonl", for errors


@dataclass(frozen=True, slots=True)
class Collection:
    """Everything that one collect found, checked and ready to store."""

    info: SourceInfo
    tables: Sequence[IncomingTable]
    as_of_ns: int  # source time; moved on by whole nanoseconds where another snapshot holds it already
    taken_at_ms: int  # local clock
    label: str | None = None
    drift: Sequence[DriftCount] = ()
    absent: Sequence[TableCoverage] = ()  # tables that were looked for and not collected, with the reason
    tables_are_complete: bool = True  # whether a table missing from `tables` is gone from the deployment
    fingerprints: Sequence[TextFingerprint] = ()
    keep_text: bool = False


def stored_columns(kind: RevisionTable) -> list[str]:
    """Return the columns that make up a document's content, in the table's order."""
    names = [CREATION_TIME.name, *(column.name for column in kind.columns)]
    if kind.text_field:
        names += ["content_length", "content_sha256", "content_fingerprints", "content_text"]
    return [*names, "leftovers"]


def load_nothing(connection: duckdb.DuckDBPyConnection, kind: RevisionTable) -> None:
    """Make the temporary table `incoming` without any document."""
    connection.execute(
        f"""create or replace temp table incoming as
        select id, {", ".join(stored_columns(kind))} from {kind.name} limit 0"""
    )


def load_incoming(
    connection: duckdb.DuckDBPyConnection,
    incoming: IncomingTable,
    kind: RevisionTable,
    fingerprints: Sequence[TextFingerprint],
    keep_text: bool,
) -> None:
    """Make the temporary table `incoming`: one typed row a document."""
    if not incoming.documents:
        load_nothing(connection, kind)
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
            "columns = {'_id': 'VARCHAR', 'leftovers': 'VARCHAR'}) as x on x._id = (j._id->>'$')"
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
        _refuse_repeated_fields(incoming)
        said = str(error).splitlines()[0].replace(str(incoming.spool), "the file")
        raise SourceInvalid(
            f"{incoming.where} cannot be loaded: {visible(said[:300])}",
            hint="nothing was stored; export again, or report this file",
        ) from None


def _refuse_repeated_fields(incoming: IncomingTable) -> None:
    """Name the line of an object that has one field twice: which of them counts is anyone's guess."""

    def checked(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            fields = [field for field, _ in pairs]
            raise KeyError(next(field for field in fields if fields.count(field) > 1))
        return found

    with incoming.spool.open("rb") as spool:
        for number, line in enumerate(spool, start=1):
            try:
                json.loads(line, object_pairs_hook=checked)
            except KeyError as repeated:
                raise SourceInvalid(
                    f"{incoming.where}: line {number}: field {truncated(visible(repeated.args[0]), 60)!r} stands twice",
                    hint="nothing was stored; an export never repeats a field: export again",
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


def refuse_duplicates(connection: duckdb.DuckDBPyConnection, incoming: IncomingTable) -> None:
    row = connection.execute("select id from incoming group by id having count(*) > 1 order by id limit 1").fetchone()
    if row is None:
        return
    lines: list[int] = []
    needle = row[0].encode()
    with incoming.spool.open("rb") as spool:
        for number, line in enumerate(spool, start=1):
            if len(lines) < 2 and needle in line and json.loads(line)["_id"] == row[0]:  # not one that refers to it
                lines.append(number)
    raise SourceInvalid(
        f"{incoming.where}: line {lines[-1]}: _id {row[0]} stands already in line {lines[0]}",
        hint="nothing was stored; an export never repeats a document: export again",
    )


def unknown_statuses(connection: duckdb.DuckDBPyConnection, table: TableRef, kind: RevisionTable) -> list[DriftCount]:
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
