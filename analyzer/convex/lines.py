"""Splits newline-delimited JSON into blocks of parsed objects, and says what is wrong with a line and where."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO

import orjson

from analyzer.convex import values
from analyzer.errors import SourceInvalid
from analyzer.units import truncated, visible

BLOCK_BYTES = 1 << 18  # read, parsed and checked at once: fits the cache, and bounds memory
MAX_LINE_BYTES = 16 << 20  # the platform allows documents of 1 MiB
HINT = "nothing was stored; an export never holds this: export again"
REPEATED_HINT = "nothing was stored; an export never repeats a field: export again"


def blocks(stream: BinaryIO, where: str) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, with the number of the first; only the last may lack its line feed.

    raises  SourceInvalid naming a line that is longer than 16 MiB
    """
    rest, number = b"", 1
    while block := stream.read(BLOCK_BYTES):
        lines, feed, begun = block.rpartition(b"\n")
        taken = rest + lines + feed
        rest = begun if feed else rest + begun
        first_bytes = taken.find(b"\n")
        too_long = number if first_bytes > MAX_LINE_BYTES else None
        if too_long is None and len(rest) > MAX_LINE_BYTES:
            too_long = number + taken.count(b"\n")
        if too_long is not None:
            raise SourceInvalid(f"{where}: line {too_long}: longer than 16 MiB", hint=HINT)
        if feed:
            yield number, taken
            number += taken.count(b"\n")
    if rest:
        yield number, rest


def split(block: bytes) -> list[bytes]:
    """Return the lines of a block without line feeds."""
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def parse(lines: Sequence[bytes], first_line: int, where: str) -> list[Any]:
    """Parse each line.

    raises  SourceInvalid naming the first line that is no JSON in UTF-8
    """
    try:
        return list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        for offset, line in enumerate(lines):
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError as problem:
                said = _what_is_wrong(line, problem)
                raise SourceInvalid(f"{where}: line {first_line + offset}: {said}", hint=HINT) from None
        raise


def _what_is_wrong(line: bytes, problem: orjson.JSONDecodeError) -> str:
    if not line.strip():
        return "empty, not a JSON object"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as bad:
        return f"byte {bad.start + 1} is not UTF-8"
    if line.count(b"[") + line.count(b"{") > 1000 and "depth" in str(problem):
        return "nested in more than 64 levels"
    return f"not a JSON object ({problem})"


def shape_keys(documents: Sequence[Any], first_line: int, where: str) -> list[tuple[Any, ...]]:
    """Return of each document its field names and then their types, as one key.

    raises  SourceInvalid naming the first line that is no object
    """
    try:
        return [(*document, *map(type, document.values())) for document in documents]
    except (TypeError, AttributeError):
        position = next(p for p, document in enumerate(documents) if not isinstance(document, dict))
        said = values.type_name(documents[position])
        raise SourceInvalid(f"{where}: line {first_line + position}: {said}, not an object", hint=HINT) from None


def refuse_repeated_fields(line: bytes, fields: Collection[str], where: str) -> None:
    """Refuse an object that has one of these fields twice: which of them counts is anyone's guess.

    raises  SourceInvalid
    """
    pairs = json.loads(line, object_pairs_hook=list)
    counts = Counter(name for name, _ in pairs if name in fields)
    repeated = next((field for field, found in counts.items() if found > 1), None)
    if repeated is not None:
        raise SourceInvalid(f"{where}: field {truncated(visible(repeated), 60)!r} stands twice", hint=REPEATED_HINT)
