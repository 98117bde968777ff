"""Writes an export ZIP exactly as the platform does: for the demo, backups that must read like exports, and tests.

Entries are streamed (sizes stand in data descriptors), deflated, without folders, in this order: README.md, the
`_tables` of the root and of every component, tables from smallest to largest (an empty one is a zero-byte entry),
each followed by its `generated_schema.jsonl`, then `_storage`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from analyzer.convex import values

TableKey = tuple[str, str]  # component path ("" is the root, "a/b" a nested one), table name
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time an entry can carry
UNIFORM = b'"uniform"\n'
_README = b"# Snapshot export\n\nEach table is a folder; its documents.jsonl holds one document a line.\n"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of `_storage`."""

    id: str
    creation_time_ms: float
    content: bytes
    internal_id: str  # a UUID
    content_type: str | None = None
    extension: str = ""  # ".png": guessed by the platform from the content type
    component: str = ""


def write_export(
    path: Path,
    tables: Mapping[TableKey, Sequence[Mapping[str, Any] | bytes]],
    *,
    table_numbers: Mapping[TableKey, int],
    storage: Sequence[StoredFile] | None = None,
    mtime: tuple[int, int, int, int, int, int] = ZIP_EPOCH,
) -> None:
    """Write documents as an export; the same arguments always give the same bytes.

    tables         documents by (component, table), in any order: they are written in order of `_id`. Numbers are
                   float64 when they are floats and int64 when they are ints. A document given as bytes is written
                   as that line, in its place: for what no deployment would write
    table_numbers  the number of each table; every key of `tables` must be there
    storage        None: exported without files; else `_storage` of every component, with these files
    mtime          year, month, day, hour, minute, second that every entry carries
    raises         ValueError for a value that is no Convex value; KeyError for a table without number
    """
    with path.open("wb") as file, zipfile.ZipFile(_Unseekable(file), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in export_entries(tables, table_numbers, storage):
            info = zipfile.ZipInfo(name, mtime)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, so that the mode below is read
            info.external_attr = 0o100644 << 16
            with archive.open(info, "w") as entry:
                entry.write(content)


def export_entries(
    tables: Mapping[TableKey, Sequence[Mapping[str, Any] | bytes]],
    table_numbers: Mapping[TableKey, int],
    storage: Sequence[StoredFile] | None = None,
) -> Iterable[tuple[str, bytes]]:
    """Yield the name and content of every entry of an export, in the platform's order."""
    components = _with_parents({component for component, _ in tables})
    yield "README.md", _README
    for component in components:
        names = sorted((table_numbers[key], key[1]) for key in tables if key[0] == component)
        yield (
            f"{component_folder(component)}_tables/documents.jsonl",
            b"".join(values.dumps({"name": name}, "json")[:-1] + b',"id":%d}\n' % number for number, name in names),
        )
    contents = {key: b"".join(line + b"\n" for line in _lines(documents)) for key, documents in tables.items()}
    for key in sorted(contents, key=lambda key: (len(contents[key]), key)):
        folder = f"{component_folder(key[0])}{key[1]}"
        yield f"{folder}/documents.jsonl", contents[key]
        yield f"{folder}/generated_schema.jsonl", UNIFORM
    if storage is not None:
        for component in components:
            yield from _storage_entries(component, [file for file in storage if file.component == component])


def component_folder(component: str) -> str:
    """Return where a component's tables lie: "" for the root, "_components/a/_components/b/" for "a/b"."""
    return "".join(f"_components/{name}/" for name in component.split("/") if name)


def _with_parents(components: Iterable[str]) -> list[str]:
    """Return the root, these components, and the components that hold them."""
    found = {""}
    for component in components:
        names = component.split("/")
        found.update("/".join(names[:depth]) for depth in range(1, len(names) + 1))
    return sorted(found)


def _lines(documents: Sequence[Mapping[str, Any] | bytes]) -> list[bytes]:
    if any(isinstance(document, bytes) for document in documents):
        return [d if isinstance(d, bytes) else values.dumps(dict(d), "export_json") for d in documents]
    ordered = sorted((dict(d) for d in documents if not isinstance(d, bytes)), key=lambda d: str(d.get("_id", "")))
    return [values.dumps(document, "export_json") for document in ordered]


def _storage_entries(component: str, files: Sequence[StoredFile]) -> Iterable[tuple[str, bytes]]:
    import orjson

    folder = f"{component_folder(component)}_storage"
    ordered = sorted(files, key=lambda file: file.id)
    metadata = (
        {
            "_id": file.id,
            "_creationTime": file.creation_time_ms,
            "sha256": base64.b64encode(hashlib.sha256(file.content).digest()).decode("ascii"),
            "size": len(file.content),
            "contentType": file.content_type,
            "internalId": file.internal_id,
        }
        for file in ordered
    )
    yield f"{folder}/documents.jsonl", b"".join(orjson.dumps(line) + b"\n" for line in metadata)
    for file in ordered:
        yield f"{folder}/{file.id}{file.extension}", file.content


class _Unseekable(io.RawIOBase):
    """Hides that a file can seek, so that the ZIP is written as a stream is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return self._file.write(content)
