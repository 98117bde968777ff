"""Checks documents of one table and spools them to a file that the store can load.

A document of a table with typed columns is spooled as it came. Whatever has no column of its own (unknown fields,
values of another type, explicit nulls, int64 in a number column) is added to its line once more as one JSON text, its
leftovers; a value that its column cannot take is left out of the line. Any other document is spooled as its id,
creation time and references, with all other fields in the leftovers. So every line of a spool loads into typed columns
as it stands, and nothing of a document is lost but its free text, see `analyzer.convex.text`. Each line ends with its
number, from which revisions get theirs: a store that had to count would load in one thread.

Documents of one table have few shapes (field names and JSON types), so everything that depends only on the shape is
worked out once a shape: about 2 microseconds a document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import lt
from pathlib import Path
from typing import Any, Self

import orjson

from analyzer.convex import ids, values
from analyzer.convex.lines import HINT, parse, refuse_repeated_fields, shape_keys
from analyzer.convex.shapes import Drift, Shape, work_out
from analyzer.convex.spools import create
from analyzer.convex.text import TooDeepError, holds_no_string, reduced
from analyzer.errors import SourceInvalid
from analyzer.model import TableRef, TableShape
from analyzer.units import truncated, visible

MAX_SHAPES = 4096  # remembered; forgotten all at once beyond
LEFTOVERS = "leftovers"  # field of a spooled line
NUMBER = "$row"  # field of a spooled line: that of the line it came from, from 0 on; no field of a document starts so
_TAIL = b',"%b":%%d}\n' % NUMBER.encode()
MAX_CREATION_MS = 9.2e12  # the year 2261: no later time can be told in nanoseconds, so none is anyone's clock


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in some documents, one behind the other."""

    first_id: str
    last_id: str
    documents: int
    newest_ms: float | None
    drift: Counter[Drift]
    is_rising: bool  # each id greater than the one before
    longest_bytes: int  # of a spooled line, at most


@dataclass(frozen=True, slots=True)
class Order:
    """Of which table documents are, and what is kept of them."""

    table: TableRef
    shape: TableShape
    where: str  # what errors call the documents, "export.zip: users/documents.jsonl"
    keep_text: bool = False


class Checking:
    """Checks and spools blocks of documents, each by itself. Use as a context manager.

    number  of the table, None until the first id says it
    """

    def __init__(self, order: Order, spool: Path) -> None:
        """Make the file."""
        self.number = order.table.number
        self._order, self._shape, self._where = order, order.shape, order.where
        self._spool = create(spool)
        self._shapes: dict[tuple[Any, ...], Shape] = {}
        self._part_drift: Counter[Drift] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def check_lines(self, first_line: int, lines: Sequence[bytes], ends: Sequence[int] | None = None) -> list[Counted]:
        """Check and spool a block of lines.

        ends     where parts of it end that are counted by themselves, the last at its end; None: it is one part
        returns  what was counted in each part
        raises   SourceInvalid naming the line
        """
        return self.check(parse(lines, first_line, self._where), lines, first_line, ends)

    def check(
        self,
        documents: Sequence[dict[str, Any]],
        lines: Sequence[bytes],
        first_line: int,
        ends: Sequence[int] | None = None,
    ) -> list[Counted]:
        """Check and spool a block of documents that are parsed already; as `check_lines`."""
        shapes = self._shapes_of(shape_keys(documents, first_line, self._where))
        ids_ = self._checked_ids(documents, shapes, first_line)
        parts = []
        for start, end in pairwise([0, *(ends or [len(documents)])]):
            counts = Counter(shapes[start:end])
            drift = self._part_drift = Counter()
            for shape, count in counts.items():
                for item in shape.drift:
                    drift[item] += count
            newest_ms = _newest_ms(documents[start:end], None if _all_have_time(counts) else shapes[start:end])
            spooled: Sequence[bytes] = lines[start:end]
            if not self._shape.typed:
                spooled = self._rows(documents[start:end], shapes[start:end], first_line + start)
            elif any(shape.leftovers for shape in counts):
                spooled = self._with_leftovers(documents[start:end], spooled, shapes[start:end], first_line + start)
            longest_bytes = self._write(spooled, first_line + start - 1)
            own = (ids_[start], ids_[end - 1], end - start)
            parts.append(Counted(*own, newest_ms, drift, _rise(ids_[start:end]), longest_bytes))
        return parts

    def _write(self, lines: Sequence[bytes], number: int) -> int:
        """Write lines to the spool, each with its number behind all else; returns how long one is at most."""
        end = number + len(lines)
        pieces = [b""] * (2 * len(lines))
        pieces[::2] = [line.rstrip()[:-1] for line in lines]
        pieces[1::2] = map(_TAIL.__mod__, range(number, end))
        self._spool.write(b"".join(pieces))
        return max(map(len, lines)) + len(_TAIL % end)

    def _shapes_of(self, keys: Sequence[tuple[Any, ...]]) -> list[Shape]:
        found = list(map(self._shapes.get, keys))
        return [shape or self._shape_of(key) for shape, key in zip(found, keys, strict=True)]

    def _shape_of(self, key: tuple[Any, ...]) -> Shape:
        found = self._shapes.get(key)
        if found is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            found = self._shapes[key] = work_out(key, self._shape)
        return found

    def _checked_ids(self, documents: Sequence[dict[str, Any]], shapes: Sequence[Shape], first_line: int) -> list[str]:
        if not all(shape.has_id for shape in set(shapes)):
            position = [shape.has_id for shape in shapes].index(False)
            found = documents[position].get("_id")
            said = "has no _id" if "_id" not in documents[position] else f"_id is {values.type_name(found)}, not string"
            raise SourceInvalid(f"{self._where}: line {first_line + position}: {said}", hint=HINT)
        texts = [document["_id"] for document in documents]
        if self.number is None:
            self.number = ids.decode(texts[0]).table_number if ids.is_valid(texts[0]) else None
        wrong = ids.invalid_positions(texts, self.number)
        if not wrong:
            return texts
        id_ = texts[wrong[0]]
        try:
            said = (
                f"belongs to table {ids.decode(id_).table_number}, and {self._order.table.name} is table {self.number}"
            )
        except ValueError as problem:
            said = f"is no document id: {problem}"
        shown = truncated(visible(id_), 60)
        raise SourceInvalid(f"{self._where}: line {first_line + wrong[0]}: _id {shown} {visible(said)}", hint=HINT)

    def _with_leftovers(
        self,
        documents: Sequence[dict[str, Any]],
        lines: Sequence[bytes],
        shapes: Sequence[Shape],
        first_line: int,
    ) -> list[bytes]:
        """Return the lines with their leftovers as one more field; those with a clashing value are written anew."""
        found = list(lines)
        for offset, (document, shape) in enumerate(zip(documents, shapes, strict=True)):
            if not shape.leftovers:
                continue
            leftovers = self._leftovers(document, shape, first_line + offset)
            if shape.fits and LEFTOVERS not in document and NUMBER not in document:
                found[offset] = lines[offset].rstrip()[:-1] + b',"leftovers":' + orjson.dumps(leftovers) + b"}"
            else:
                own = {"_id", self._shape.text_field or "", *self._shape.fields}
                refuse_repeated_fields(lines[offset], own, f"{self._where}: line {first_line + offset}")
                found[offset] = orjson.dumps(_row(document, shape, leftovers))
        return found

    def _rows(self, documents: Sequence[dict[str, Any]], shapes: Sequence[Shape], first_line: int) -> list[bytes]:
        rows = []
        for offset, (document, shape) in enumerate(zip(documents, shapes, strict=True)):
            leftovers = self._leftovers(document, shape, first_line + offset) if shape.leftovers else None
            rows.append(orjson.dumps(_row(document, shape, leftovers)))
        return rows

    def _leftovers(self, document: dict[str, Any], shape: Shape, line: int) -> str:
        fields = {field: document[field] for field in shape.leftovers}
        for field in shape.wrapped:
            self._part_drift[field, "mistyped", values.type_name(document[field])] += 1
        if not shape.has_string_left:
            compact = _compact(fields)
            if compact is not None and holds_no_string(compact):
                return compact.decode()
        try:
            kept, changed = reduced(fields, keep_text=self._order.keep_text)
        except TooDeepError as problem:
            raise SourceInvalid(f"{self._where}: line {line}: nested in {problem}", hint=HINT) from None
        for field in changed:
            self._part_drift[field, "reduced_text", ""] += 1
        return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def _compact(fields: dict[str, Any]) -> bytes | None:
    """Return fields as JSON; None for what is nested too deep to be written."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None


def _newest_ms(documents: Sequence[dict[str, Any]], shapes: Sequence[Shape] | None) -> float | None:
    """Return the newest time of creation.

    shapes  of the documents; None: each of them has such a time
    """
    if shapes is None:
        times = [document["_creationTime"] for document in documents]
    else:
        times = [d["_creationTime"] for d, shape in zip(documents, shapes, strict=True) if shape.has_time]
    if times and not 0 <= max(times) <= MAX_CREATION_MS:
        times = [time for time in times if 0 <= time <= MAX_CREATION_MS]
    return float(max(times)) if times else None


def _all_have_time(shapes: Iterable[Shape]) -> bool:
    return all(shape.has_time for shape in shapes)


def _row(document: dict[str, Any], shape: Shape, leftovers: str | None) -> dict[str, Any]:
    return {field: document[field] for field in shape.columns} | {LEFTOVERS: leftovers}


def _rise(texts: Sequence[str]) -> bool:
    """Return whether ids rise strictly."""
    return all(map(lt, texts, islice(texts, 1, None)))
