"""Markdown lines to blocks: what stands where, without asking what it means.

A small, forgiving part of CommonMark and its tables: every line becomes part of exactly one block, nothing is ever an
error, and the work is linear in the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

LONGEST_LINE = 20_000  # characters; no line of a log is longer, and reading one costs nothing then

_FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*(.*)")
_ITEM = re.compile(r"\s*(?:[-*+]|[0-9]{1,9}[.)])\s+(?:\[([ xX])\]\s+)?(.*)")
_FIELD = re.compile(r" {0,3}\*\*([^*:]{1,80}?)(?::\s*\*\*|\*\*\s*:)\s*(.*)")
_HTML = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*(?:[\s/>]|$)|<[!?]")
_DELIMITER_CELL = re.compile(r"\s*:?-+:?\s*")


class Cell(NamedTuple):
    """One cell of a table row."""

    text: str  # trimmed, `\\|` read as a pipe
    start: int  # characters from the start of the line, just behind the pipe before it
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """`## Text`."""

    line: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """`**Key:** value`."""

    line: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Item:
    """`- text`, `1. text`, `- [x] text`."""

    line: int
    text: str
    checked: bool | None  # None without a box


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first two lines are the header and the delimiter."""

    line: int
    header: tuple[Cell, ...]
    rows: list[tuple[int, tuple[Cell, ...]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced block; the fences stand on `line` and, when closed, on the line after the body."""

    line: int
    info: str  # "json"
    body: list[tuple[int, str]]
    closed: bool


@dataclass(frozen=True, slots=True)
class Comment:
    """An HTML comment; open to the end of the file when nothing closes it."""

    line: int
    last_line: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A line of prose."""

    line: int
    text: str
    continues: bool  # the line before belongs to the same paragraph, field or item


@dataclass(frozen=True, slots=True)
class Plain:
    """A line that says nothing to a reader of data, or that cannot be read."""

    line: int
    kind: str
    understood: bool
    why: str


Block = Heading | Field | Item | Table | Code | Comment | Text | Plain


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Cut lines, without their ends, into blocks in order; blank lines are left out."""
    at = 0
    flowing = False  # the line before can be continued
    while at < len(lines):
        text = lines[at]
        stripped = text.strip()
        if not stripped:
            at, flowing = at + 1, False
            continue
        block, at = _block(lines, at, text, stripped, flowing)
        flowing = isinstance(block, Text | Field | Item)
        yield block


def _block(lines: Sequence[str], at: int, text: str, stripped: str, flowing: bool) -> tuple[Block, int]:
    """Read the block that starts at a line; give it and the index of the first line after it."""
    number = at + 1
    if len(text) > LONGEST_LINE:
        return Plain(number, "text", False, f"a line of {len(text):,} characters is no part of a log"), number
    if stripped.startswith("<!--"):
        return _comment(lines, at)
    if (fence := _FENCE.fullmatch(text)) and not (fence[1][0] == "`" and "`" in fence[2]):
        return _code(lines, at, fence)
    if "|" in stripped and stripped[0] != "#" and (table := _table(lines, at)):
        return table, number + 1 + len(table.rows)
    return _line(text, stripped, number, flowing), number


def _line(text: str, stripped: str, number: int, flowing: bool) -> Block:
    """Read a line that is a block by itself."""
    block: Block
    if stripped[0] == "#" and (heading := _heading(text, number)):
        block = heading
    elif len(stripped) >= 3 and stripped[0] in "-*_" and not stripped.replace(" ", "").strip(stripped[0]):
        block = Plain(number, "rule", True, "a line across")
    elif stripped[0] == "|":
        why = "a row without a table: a header, a line of dashes with as many cells, then rows make one"
        block = Plain(number, "table", False, why)
    elif found := _FIELD.fullmatch(text):
        block = Field(number, found[1].strip(), found[2].strip())
    elif found := _ITEM.fullmatch(text):
        block = Item(number, found[2].strip(), None if found[1] is None else found[1] != " ")
    elif stripped[0] == "<" and _HTML.match(stripped):
        block = Plain(number, "html", False, "HTML is not read")
    elif stripped[0] == ">":
        block = Plain(number, "quote", False, "a quotation is not read")
    else:
        block = Text(number, stripped, flowing)
    return block


def _heading(text: str, number: int) -> Heading | None:
    stripped = text.strip()
    level = len(stripped) - len(stripped.lstrip("#"))
    rest = stripped[level:]
    if level > 6 or (rest and rest[0] not in " \t") or len(text) - len(text.lstrip(" ")) > 3 or text[0] == "\t":
        return None
    body = rest.strip()
    unclosed = body.rstrip("#")
    closing = unclosed != body and (not unclosed or unclosed[-1] in " \t")
    return Heading(number, level, (unclosed if closing else body).strip())


def _comment(lines: Sequence[str], at: int) -> tuple[Comment, int]:
    for index in range(at, len(lines)):
        if "-->" in lines[index]:
            return Comment(at + 1, index + 1, True), index + 1
    return Comment(at + 1, len(lines), False), len(lines)


def _code(lines: Sequence[str], at: int, fence: re.Match[str]) -> tuple[Code, int]:
    mark, info = fence[1], fence[2].strip().lower()
    body: list[tuple[int, str]] = []
    for index in range(at + 1, len(lines)):
        stripped = lines[index].strip()
        if stripped and not stripped.strip(mark[0]) and len(stripped) >= len(mark):
            return Code(at + 1, info, body, True), index + 1
        body.append((index + 1, lines[index]))
    return Code(at + 1, info, body, False), len(lines)


def _table(lines: Sequence[str], at: int) -> Table | None:
    if at + 1 >= len(lines) or "-" not in lines[at + 1] or len(lines[at + 1]) > LONGEST_LINE:
        return None
    delimiter = cells(lines[at + 1])
    if not all(_DELIMITER_CELL.fullmatch(lines[at + 1], cell.start, cell.end) for cell in delimiter):
        return None
    header = cells(lines[at])
    if len(header) != len(delimiter) or ("|" not in lines[at + 1] and len(header) > 1):
        return None
    table = Table(at + 1, header)
    for index in range(at + 2, len(lines)):
        text = lines[index]
        if "|" not in text or len(text) > LONGEST_LINE or text.lstrip()[0] in "#`~<>":
            break
        table.rows.append((index + 1, cells(text)))
    return table


def cells(text: str) -> tuple[Cell, ...]:
    """Split a table row at its pipes; an escaped pipe belongs to its cell, pipes at both ends are optional."""
    bars = [match.end() - 1 for match in re.finditer(r"\\.|\|", text) if match[0] == "|"]
    edges = [-1, *bars, len(text)]
    spans = [(left + 1, right) for left, right in pairwise(edges)]
    if bars and not text[: bars[0]].strip():
        spans = spans[1:]
    if len(spans) > 1 and not text[spans[-1][0] :].strip():
        spans = spans[:-1]
    return tuple(Cell(text[start:end].strip().replace("\\|", "|"), start, end) for start, end in spans)
