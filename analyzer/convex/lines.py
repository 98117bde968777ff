"""Splits newline-delimited JSON into blocks of parsed objects, and says what is wrong with a line and where."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, BinaryIO

import orjson

from analyzer.convex import values
from analyzer.errors import SourceInvalid
from analyzer.units import truncated, visible

BLOCK_BYTES = 1 << 18  # read, parsed and checked at once: fits the cache, and bounds memory
MAX_LINE_BYTES = 16 << 20  # the platform allows documents of 1 MiB
HINT = "nothing was stored; an export never holds this: export again"
REPEATED_HINT = "nothing was stored; an export never repeats a field: export again"


def blocks(
    stream: BinaryIO, where: str, last_end: Callable[[bytes, int, int], int] = lambda _, __, end: end
) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, with the number of the first; only the last may lack its line feed.

    last_end  where a block may end at last: given what waits, and from where to where its newest lines go; 0: not yet
    raises    SourceInvalid naming a line that is longer than 16 MiB
    """
    waiting, number, begun = b"", 1, 0  # the line that begins last does not end yet
    while block := stream.read(BLOCK_BYTES):
        feed = block.find(b"\n")
        if len(waiting) - begun + (feed if feed >= 0 else len(block)) > MAX_LINE_BYTES:
            too_long = number + waiting.count(b"\n")
            raise SourceInvalid(f"{where}: line {too_long}: longer than 16 MiB", hint=HINT)
        waiting += block
        if feed < 0:
            continue
        start, begun = begun, waiting.rfind(b"\n") + 1
        end = last_end(waiting, start, begun)
        if end:
            found, waiting, begun = waiting[:end], waiting[end:], begun - end
            yield number, found
            number += _feeds(found)
    if waiting:
        yield number, waiting


def _feeds(block: bytes) -> int:
    """Count the line feeds: `count` looks at each byte, and what leaves them out leaps from one to the next."""
    return len(block) - len(block.replace(b"\n", b""))


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
