"""Loads one spooled table of a source into the temporary table `incoming`: typed, reduced, checked for duplicates."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analyzer.errors import SourceInvalid, StoreError
from analyzer.model import DriftCount, Gap, SourceInfo, TableCoverage, TableRef, TextFingerprint
from analyzer.store.columns import CREATION_TIME, RevisionTable
from analyzer.units import truncated, visible

MIN_BUFFER_BYTES = 1 << 21  # for one line; smaller ones cost more calls, larger ones leave a core idle at the end


@dataclass(frozen=True, slots=True)
class IncomingTable:
    """One table of a source, checked and spooled to files."""

    table: TableRef
    documents: int
    spool: Path  # newline-delimited JSON, see analyzer.convex.documents
    where: str  # "export.zip: users/documents.jsonl", for errors
    longest_bytes: int = 1 << 25  # of a line; by default more than a source lets through
    is_in_order: bool = False  # ids are known to rise, so that none stands twice
    spooled_documents: int | None = None  # None: all; else the store holds the others as they are
    gaps: Sequence[Gap] | None = None  # among these ids the spool holds all documents; None: among all ids
    is_numbered: bool = False  # each line says in "$row" where it stood in the source, from 0 on
    more_spools: Sequence[Path] = ()  # files like `spool`, with the other lines
    base_documents: int = 0  # with gaps: how many the export held that this one was compared with
    stretches: Path | None = None  # NDJSON, see analyzer.store.stretches; None when there are none

    @property
    def spools(self) -> list[Path]:
        """All files, which hold the lines in no order among each other."""
        return [self.spool, *self.more_spools]

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line of the files with its number in the source, from 1 on."""
        for path in self.spools:
            with path.open("rb") as spool:
                for number, line in enumerate(spool, start=1):
                    yield (_number(line) if self.is_numbered else number), line


def _number(line: bytes) -> int:
    """Return the number of a spooled line in its source: it stands behind all else."""
    return int(line[line.rindex(b":") + 1 : line.rindex(b"}")]) + 1


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
    loaded: Callable[[Sequence[Path]], None] | None = None  # told of spools that are not read again
    base: int | None = None  # snapshot that the source was compared with; None: every document is in the spools


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a collection stands in time among the others of its deployment."""

    deployment_no: int
    snapshot_no: int
    as_of_ns: int


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
    if not (incoming.documents if incoming.spooled_documents is None else incoming.spooled_documents):
        load_nothing(connection, kind)
        return
    rows, params = select_incoming(incoming, kind, fingerprints, keep_text)
    with explaining(incoming):
        connection.execute(f"create or replace temp table incoming as {rows}", params)


def select_incoming(
    incoming: IncomingTable,
    kind: RevisionTable,
    fingerprints: Sequence[TextFingerprint],
    keep_text: bool,
    *,
    first_no: int | None = None,
) -> tuple[str, dict[str, object]]:
    """Return a SELECT of the typed rows of a spool, `id` and then the stored columns, and its parameters.

    first_no  the revision_no of the first line of a numbered spool: rows then begin with theirs; None: they have none
    """
    columns = (CREATION_TIME, *kind.columns)
    fields = {"_id": "varchar", "leftovers": "varchar"} | {column.field: column.type for column in columns}
    params: dict[str, object] = {
        "spools": [str(path) for path in incoming.spools],
        "max_bytes": max(MIN_BUFFER_BYTES, incoming.longest_bytes + 1),
    }
    selected = []
    if first_no is not None:
        fields["$row"] = "bigint"
        params["first_no"] = first_no
        selected = ['$first_no + j."$row" as revision_no']
    selected += ["j._id as id", *(f'j."{column.field}" as {column.name}' for column in columns)]
    if kind.text_field:
        fields[kind.text_field] = "varchar"
        selected += _reduced(kind, fingerprints, params, keep_text)
    spec = ", ".join(f"'{field}': '{type_}'" for field, type_ in fields.items())
    source = f"read_json($spools, format = 'newline_delimited', maximum_object_size = $max_bytes, columns = {{{spec}}})"
    return f"select {', '.join(selected)}, j.leftovers from {source} as j", params


@contextlib.contextmanager
def explaining(incoming: IncomingTable) -> Iterator[None]:
    """Turn what DuckDB says of a spool that it cannot load into what is wrong with the source."""
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
            raise StoreError(
                f"{incoming.where} cannot be loaded: {visible(str(error).splitlines()[0][:300])}",
                hint="the store is as it was; make room on the disk, or give more with --memory-limit",
            ) from None
        _refuse_repeated_fields(incoming)
        said = str(error).splitlines()[0]
        for path in incoming.spools:
            said = said.replace(str(path), "the file")
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

    found: list[tuple[int, str]] = []
    for number, line in incoming.lines():
        try:
            json.loads(line, object_pairs_hook=checked)
        except KeyError as repeated:
            found.append((number, repeated.args[0]))
    if found:
        number, field = min(found)
        raise SourceInvalid(
            f"{incoming.where}: line {number}: field {truncated(visible(field), 60)!r} stands twice",
            hint="nothing was stored; an export never repeats a field: export again",
        ) from None


def _reduced(
    kind: RevisionTable, fingerprints: Sequence[TextFingerprint], params: dict[str, object], keep_text: bool
) -> list[str]:
    """Return SQL that keeps of a text its length, its hash and the fingerprints it matches."""
    text = f'j."{kind.text_field}"'
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


def refuse_duplicates(connection: duckdb.DuckDBPyConnection, incoming: IncomingTable, ids: str) -> None:
    """Refuse a document that stands twice, by its lines.

    ids     a relation with the `id` of each document
    raises  SourceInvalid
    """
    if incoming.is_in_order:
        return
    row = connection.execute(f"select id from {ids} group by id having count(*) > 1 order by id limit 1").fetchone()
    if row is None:
        return
    needle = row[0].encode()  # may stand in a line that only refers to it
    lines = sorted(n for n, line in incoming.lines() if needle in line and json.loads(line)["_id"] == row[0])
    raise SourceInvalid(
        f"{incoming.where}: line {lines[1]}: _id {row[0]} stands already in line {lines[0]}",
        hint="nothing was stored; an export never repeats a document: export again",
    )


def unknown_statuses(
    connection: duckdb.DuckDBPyConnection, table: TableRef, kind: RevisionTable, documents: str = "incoming"
) -> list[DriftCount]:
    """Return the statuses that no one knows, each with how many of the documents have it."""
    if not kind.statuses:
        return []
    rows = connection.execute(
        f"""select status, count(*) from {documents}
        where status is not null and not list_contains($known, status) group by status order by status""",
        {"known": sorted(kind.statuses)},
    ).fetchall()
    return [
        DriftCount(table.component, table.name, "status", "unknown_status", status[:200], int(count))
        for status, count in rows
    ]
