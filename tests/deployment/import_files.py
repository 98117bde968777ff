"""Reads what is imported: JSON lines, a JSON array, CSV, or a ZIP."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from dataclasses import dataclass
from typing import Any

import orjson

from tests.deployment import encoding
from tests.deployment.transaction import MIB

MOST_ARRAY_BYTES = 16 * MIB
UNIFORM = b'"uniform"'
_DOCUMENTS = re.compile(r"^(?:.*?/)??((?:_components/[^/]+/)*)([^/]+)/documents\.jsonl$")


class ImportFailedError(Exception):
    """Why an import ends in the state "failed"."""


@dataclass
class Rows:
    """The documents of one table, as they are to be written."""

    component: str
    table: str
    documents: list[dict[str, Any]]
    number: int | None = None  # that the table had where it comes from


def read(format_: str, content: bytes, table: str | None, component: str) -> list[Rows]:
    """Return the documents of a file.

    raises  ImportFailedError
    """
    if format_ == "zip":
        return _read_zip(content, component)
    if content.startswith(b"\xef\xbb\xbf"):
        raise ImportFailedError("The file starts with a byte order mark")
    assert table is not None
    if format_ == "jsonLines":
        return [Rows(component, table, _lines(content, is_lossless=False))]
    if format_ == "jsonArray":
        if len(content) > MOST_ARRAY_BYTES:
            raise ImportFailedError("JSON array is too large: use JSON lines")
        parsed = _parse(content)
        if not isinstance(parsed, list):
            raise ImportFailedError("Expected a JSON array")
        return [Rows(component, table, [_document(item, is_lossless=False) for item in parsed])]
    return [Rows(component, table, _csv(content))]


def _read_zip(content: bytes, component: str) -> list[Rows]:
    """Read the tables of an export; what begins with `_` is passed over."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise ImportFailedError(f"The file is no ZIP: {error}") from error
    found: list[Rows] = []
    numbers: dict[tuple[str, str], int] = {}
    with archive:
        names = set(archive.namelist())
        for name in archive.namelist():
            match = _DOCUMENTS.match(name)
            if match is None:
                continue
            path = "/".join([*filter(None, [component]), *re.findall(r"_components/([^/]+)/", match[1])])
            table = match[2]
            if table == "_tables":
                numbers |= {
                    (path, row["name"]): row["id"] for row in map(orjson.loads, archive.read(name).splitlines())
                }
            if table.startswith("_"):
                continue
            schema = name.removesuffix("documents.jsonl") + "generated_schema.jsonl"
            is_lossless = schema in names and UNIFORM in archive.read(schema).splitlines()
            found.append(Rows(path, table, _lines(archive.read(name), is_lossless=is_lossless)))
    for rows in found:
        rows.number = numbers.get((rows.component, rows.table))
    return found


def _lines(content: bytes, *, is_lossless: bool) -> list[dict[str, Any]]:
    return [_document(_parse(line), is_lossless=is_lossless) for line in content.splitlines() if line.strip()]


def _parse(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ImportFailedError(f"Invalid JSON: {error}") from error


def _document(parsed: Any, *, is_lossless: bool) -> dict[str, Any]:
    """Return a document. Without the marker of a lossless export every number is a float64, and `$` is no wrapper."""
    if not isinstance(parsed, dict):
        raise ImportFailedError("Expected a JSON object")
    try:
        document: dict[str, Any] = encoding.decode(parsed, ints_are_int64=is_lossless, wrappers=is_lossless)
    except ValueError as error:
        raise ImportFailedError(str(error)) from error
    return document


def _csv(content: bytes) -> list[dict[str, Any]]:
    def value(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    return [
        {key: value(text) for key, text in row.items() if text} for row in csv.DictReader(io.StringIO(content.decode()))
    ]
