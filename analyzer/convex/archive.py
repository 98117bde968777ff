"""Reads an export: which tables and stored files it holds, and their documents as streams.

    README.md
    _tables/documents.jsonl                      {"name":"users","id":10001} for each table of the root
    users/documents.jsonl                        one document a line, export_json
    users/generated_schema.jsonl                 "uniform"; exports of older versions: a shape and overrides
    _components/<name>/<table>/documents.jsonl   the same for each component, nested as components are
    _storage/documents.jsonl, _storage/<id>.ext  stored files

All of it may lie in one leading folder. A ZIP and the folder it unpacks to read the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from analyzer.convex.archive_files import DOCUMENTS, HINT, SCHEMA, Files, open_files, shown
from analyzer.errors import SourceInvalid
from analyzer.model import ROOT, TableRef
from analyzer.units import count, visible

MAX_LISTING_BYTES = 16 << 20  # of one `_tables` or generated schema, which are read whole
TABLES, STORAGE, COMPONENTS = "_tables", "_storage", "_components"
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class GeneratedSchema:
    """How the values of a table were written."""

    is_uniform: bool  # True: int64, float64, bytes and strings can be told apart in the documents
    shape: str | None = None  # the types that an older version inferred, as it wrote them
    overrides: int = 0  # documents that the shape alone does not explain


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of `_storage` as its metadata says."""

    component: str
    id: str
    size_bytes: int | None
    content_type: str | None
    is_present: bool  # whether the export holds the bytes too


@dataclass(frozen=True, slots=True)
class _Place:
    """Which table a file belongs to."""

    lead: str  # folders before the export proper, "" or "snapshot"
    component: str
    table: str


class Archive:
    """An export that is open. Use it in a `with` statement, or call `close`.

    label             what errors call it
    lead              the folders that all of it lies in; "" for an export as the platform writes it
    tables            user tables that it holds, by component and name
    lists_all_tables  whether a table that it does not hold is gone from the deployment
    tables_hash       hex SHA-256 of the root's `_tables`; without one, of the tables' names
    warnings          what is unusual and yet was accepted, one sentence each
    """

    def __init__(self, files: Files) -> None:
        self.label = files.label
        self.warnings: list[str] = []
        self._files = files
        self._entries: dict[tuple[str, str, str], str] = {}  # component, table, file name -> path
        self._stored: set[tuple[str, str]] = set()  # component, id
        self.lead = self._sort_entries()
        listed = {c: self._read_tables(c) for c, t, f in sorted(self._entries) if (t, f) == (TABLES, DOCUMENTS)}
        self.tables = tuple(
            TableRef(component, table, listed.get(component, {}).get(table))
            for component, table, file in sorted(self._entries)
            if file == DOCUMENTS and not table.startswith("_")
        )
        self.lists_all_tables = self._compare_with(listed)
        self.tables_hash = self._hash()
        self._warn_of_old_schemas()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._files.close()

    def where(self, table: TableRef) -> str:
        """Return what errors call a table: "export.zip: users/documents.jsonl"."""
        return f"{self.label}: {shown(self._entries[table.component, table.name, DOCUMENTS])}"

    def open_table(self, table: TableRef) -> BinaryIO:
        """Open the documents of a table as a stream.

        raises  SourceInvalid, here or while it is read to its end, when the file is damaged
        """
        return self._files.open(self._entries[table.component, table.name, DOCUMENTS])

    def generated_schema(self, table: TableRef) -> GeneratedSchema | None:
        """Return how a table's values were written; None when the export does not say.

        raises  SourceInvalid when the file is damaged
        """
        name = self._entries.get((table.component, table.name, SCHEMA))
        if name is None:
            return None
        lines = [parsed for _, parsed in self._parsed_lines(name) if parsed is not None]
        if lines == ["uniform"]:
            return GeneratedSchema(is_uniform=True)
        shape = next((line for line in lines if isinstance(line, str)), None)
        return GeneratedSchema(False, shape, sum(isinstance(line, dict) for line in lines))

    def storage_files(self) -> Iterator[StoredFile]:
        """Yield the stored files, by component, in the order of their metadata.

        raises  SourceInvalid when the metadata is damaged
        """
        for (component, table, file), name in sorted(self._entries.items()):
            if (table, file) == (STORAGE, DOCUMENTS):
                for number, parsed in self._parsed_lines(name):
                    if not isinstance(parsed, dict) or not isinstance(parsed.get("_id"), str):
                        said = f"{self.label}: {shown(name)}: line {number}"
                        raise SourceInvalid(f"{said}: not the metadata of a stored file", hint=HINT)
                    size, type_ = parsed.get("size"), parsed.get("contentType")
                    yield StoredFile(
                        component,
                        parsed["_id"],
                        int(size) if isinstance(size, int | float) else None,
                        type_ if isinstance(type_, str) else None,
                        (component, parsed["_id"]) in self._stored,
                    )

    def _sort_entries(self) -> str:
        """Find out which table each file belongs to; returns the folders that all of them lie in."""
        lead: str | None = None
        skipped = set()
        for name in self._files.names:
            folders, _, file = name.rpartition("/")
            place = self._place(name, folders)
            if place is None or place.lead.startswith("__MACOSX"):
                continue
            if place.table == STORAGE and file not in (DOCUMENTS, SCHEMA):
                self._stored.add((place.component, file.partition(".")[0]))
            if file not in (DOCUMENTS, SCHEMA):
                continue
            if place.table.startswith("_") and place.table not in (TABLES, STORAGE):
                skipped.add(place.table)
                continue
            key = (place.component, place.table, file)
            if key in self._entries:
                both = f"{shown(self._entries[key])} and {shown(name)}"
                raise SourceInvalid(f"{self.label}: two entries for one table: {both}", hint=HINT)
            if lead is not None and place.lead != lead:
                raise SourceInvalid(f"{self.label}: {shown(name)}: a second export beside the first", hint=HINT)
            lead = place.lead
            self._entries[key] = name
        if lead is None:
            raise SourceInvalid(f"{self.label} is no export: it holds no <table>/documents.jsonl", hint=HINT)
        if skipped:
            names = visible(", ".join(sorted(skipped)))
            self.warnings.append(f"{self.label}: tables of the system were skipped: {names}")
        return lead

    def _place(self, name: str, folders: str) -> _Place | None:
        """Return which table a file belongs to; None for a file in no folder."""
        *rest, table = folders.split("/")
        if not table:
            return None
        components: list[str] = []
        while len(rest) >= 2 and rest[-2] == COMPONENTS:
            components.insert(0, rest[-1])
            rest = rest[:-2]
        if not name.endswith((f"/{DOCUMENTS}", f"/{SCHEMA}")):
            return _Place("/".join(rest), "/".join(components), table)
        for identifier in [*components, table.removeprefix("_")]:
            if not _IDENTIFIER.fullmatch(identifier):
                raise SourceInvalid(f"{self.label}: {shown(name)}: {shown(identifier)!r} is no identifier", hint=HINT)
        if COMPONENTS in rest or table == COMPONENTS:
            raise SourceInvalid(f"{self.label}: {shown(name)}: a component without tables", hint=HINT)
        return _Place("/".join(rest), "/".join(components), table)

    def _read_tables(self, component: str) -> dict[str, int]:
        """Read a component's `_tables`: number by name."""
        name = self._entries[component, TABLES, DOCUMENTS]
        numbers: dict[str, int] = {}
        for line, parsed in self._parsed_lines(name):
            where = f"{self.label}: {shown(name)}: line {line}"
            table, number = (parsed.get("name"), parsed.get("id")) if isinstance(parsed, dict) else (None, None)
            if isinstance(number, float) and number.is_integer():
                number = int(number)
            if not isinstance(table, str) or not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise SourceInvalid(f"{where}: not the name and number of a table", hint=HINT)
            if not _IDENTIFIER.fullmatch(table):
                raise SourceInvalid(f"{where}: {shown(table)!r} is no identifier", hint=HINT)
            if table in numbers or number in numbers.values():
                raise SourceInvalid(f"{where}: table {table} or number {number} is listed twice", hint=HINT)
            numbers[table] = number
        return numbers

    def _compare_with(self, listed: dict[str, dict[str, int]]) -> bool:
        """Warn where `_tables` and the tables differ; return whether absence from the archive means gone."""
        held = {(table.component, table.name) for table in self.tables}
        missing = [f"{c}/{t}" if c else t for c in listed for t in listed[c] if (c, t) not in held]
        extra = [_full_name(table) for table in self.tables if table.component in listed and table.number is None]
        unlisted = sorted({component or "the root" for component, _ in held if component not in listed})
        if missing:
            self.warnings.append(f"{self.label}: listed in _tables and not held: {', '.join(missing)}")
        if extra:
            self.warnings.append(f"{self.label}: held and not listed in _tables: {', '.join(extra)}")
        if unlisted or ROOT not in listed:
            self.warnings.append(
                f"{self.label}: no _tables of {', '.join(unlisted) or 'the root'}: table numbers are taken from the ids"
            )
        return ROOT in listed and not missing

    def _hash(self) -> str:
        name = self._entries.get((ROOT, TABLES, DOCUMENTS))
        if name is None:
            names = "".join(f"{_full_name(table)}\n" for table in self.tables)
            return hashlib.sha256(names.encode()).hexdigest()
        with self._files.open(name) as stream:
            return hashlib.sha256(stream.read(MAX_LISTING_BYTES)).hexdigest()

    def _warn_of_old_schemas(self) -> None:
        schemas = [(table, self.generated_schema(table)) for table in self.tables]
        old = [_full_name(table) for table, schema in schemas if schema is not None and not schema.is_uniform]
        if old:
            held = count(len(old), "table")
            said = "written by an older version, which does not tell int64 and bytes from strings"
            self.warnings.append(f"{self.label}: {held} {said}: {', '.join(old)}")

    def _parsed_lines(self, name: str) -> Iterator[tuple[int, Any]]:
        """Yield the lines of a small file with their numbers; None for what is no JSON."""
        import orjson

        with self._files.open(name) as stream:
            content = stream.read(MAX_LISTING_BYTES + 1)
        if len(content) > MAX_LISTING_BYTES:
            raise SourceInvalid(f"{self.label}: {shown(name)}: larger than 16 MiB", hint=HINT)
        for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], start=1):
            try:
                yield number, orjson.loads(line)
            except orjson.JSONDecodeError:
                yield number, None


def open_archive(path: Path, *, label: str | None = None) -> Archive:
    """Open an export ZIP, or the folder that one unpacks to.

    label   what errors call it; default: its name without the folders before it
    raises  SourceError when it cannot be read; SourceInvalid when it is no sound export
    """
    files = open_files(path, label or shown(path.resolve().name))
    try:
        return Archive(files)
    except BaseException:
        files.close()
        raise


def _full_name(table: TableRef) -> str:
    return f"{table.component}/{table.name}" if table.component else table.name
