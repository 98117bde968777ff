"""Checks the documents of one table, line by line, and spools them to a file that the store can load.

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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from operator import lt
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from analyzer.convex import ids, values
from analyzer.convex.lines import HINT, blocks, parse, refuse_repeated_fields, shape_keys
from analyzer.convex.shapes import Drift, Shape, work_out
from analyzer.convex.spools import create
from analyzer.convex.text import TooDeepError, holds_no_string, reduced
from analyzer.errors import SourceInvalid
from analyzer.model import DriftCount, Gap, Stretch, TableRef, TableShape
from analyzer.units import truncated, visible

MAX_SHAPES = 4096  # remembered; forgotten all at once beyond
MAX_DRIFT_ITEMS = 1000  # told apart; further ones are counted under one name
OTHER_FIELDS = "…"
LEFTOVERS = "leftovers"  # field of a spooled line
NUMBER = "$row"  # field of a spooled line: how manieth it is, from 0 on; no field of a document starts like that
_TAIL = b',"%b":%%d}\n' % NUMBER.encode()
MAX_CREATION_MS = 9.2e12  # the year 2261: no later time can be told in nanoseconds, so none is anyone's clock


@dataclass(frozen=True, slots=True)
class Screened:
    """One table, checked and spooled."""

    table: TableRef  # its number is that of its ids, even where the source did not list it
    documents: int
    spool: Path  # NDJSON; "leftovers" of a line is the JSON text of an object, "$row" its number from 0 on
    spooled_documents: int  # the others are known to be in the store as they are
    longest_bytes: int  # of a line
    is_in_order: bool  # each id greater than the one before, so that none stands twice
    drift: tuple[DriftCount, ...]
    newest_creation_ms: float | None  # None when no document says when it was made
    stretches: Path | None = None  # NDJSON, see `analyzer.convex.stretches`; None when they say nothing for certain
    gaps: tuple[Gap, ...] | None = None  # ids among which the spool holds all there are; None: among all ids


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in some documents, one behind the other."""

    first_id: str
    last_id: str
    documents: int
    newest_ms: float | None
    drift: Counter[Drift]


def screen(
    stream: BinaryIO,
    table: TableRef,
    shape: TableShape,
    *,
    where: str,
    spool_dir: Path,
    keep_text: bool = False,
) -> Screened:
    """Check and spool the documents of one table in one pass; memory does not grow with the table.

    stream     export_json, one document a line
    where      what errors call the stream, "export.zip: users/documents.jsonl"
    spool_dir  an empty folder; the files made in it are for their owner alone
    raises     SourceInvalid naming the line: not UTF-8, no JSON object, nested too deep, longer than 16 MiB, without
               `_id`, an `_id` with a wrong checksum or of another table
    """
    with Screening(table, shape, where=where, spool_dir=spool_dir, keep_text=keep_text) as job:
        for first_line, lines in blocks(stream, where):
            job.add(first_line, lines)
    return job.result()


class Screening:
    """One pass over the documents of a table, in as many pieces as they come in. Use as a context manager."""

    def __init__(
        self, table: TableRef, shape: TableShape, *, where: str, spool_dir: Path, keep_text: bool = False
    ) -> None:
        """Make the file; see `screen`."""
        self._table, self._shape, self._where, self._keep_text = table, shape, where, keep_text
        self._spool_path = spool_dir / "documents.jsonl"
        self._spool = create(self._spool_path)
        self._shapes: dict[tuple[Any, ...], Shape] = {}
        self._drift: Counter[Drift] = Counter()
        self._part_drift: Counter[Drift] = Counter()
        self._documents, self._spooled_documents, self._longest_bytes = 0, 0, 0
        self._number = table.number
        self._newest_ms: float | None = None
        self._last_id, self._is_in_order = "", True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def add(self, first_line: int, lines: Sequence[bytes], ends: Sequence[int] | None = None) -> list[Counted]:
        """Check and spool a block of lines.

        ends     where parts of it end that are counted by themselves, the last at its end; None: it is one part
        returns  what was counted in each part
        """
        return self._add(parse(lines, first_line, self._where), lines, first_line, ends)

    def add_documents(self, documents: Sequence[dict[str, Any]]) -> None:
        """Check and spool documents that are parsed already."""
        if documents:
            self._add(documents, list(map(orjson.dumps, documents)), self._documents + 1, None)

    def skip(self, stretch: Stretch) -> None:
        """Count documents that need not be looked at: the store holds exactly these."""
        if self._number is None:
            self._number = ids.decode(stretch.first_id).table_number
        drift = Counter({(field, kind, found): count for field, kind, found, count in stretch.drift})
        own = (stretch.first_id, stretch.last_id)
        self._total(Counted(*own, stretch.documents, stretch.newest_creation_ms, drift))

    def _add(
        self,
        documents: Sequence[dict[str, Any]],
        lines: Sequence[bytes],
        first_line: int,
        ends: Sequence[int] | None,
    ) -> list[Counted]:
        keys = shape_keys(documents, first_line, self._where)
        found = {key: self._shape_of(key) for key in set(keys)}
        shapes = [found[key] for key in keys]
        self._check_ids(documents, [shape.has_id for shape in shapes] if _lack_id(found) else None, first_line)
        parts = []
        for start, end in pairwise([0, *(ends or [len(documents)])]):
            drift = self._part_drift = Counter()
            for key, count in Counter(keys[start:end]).items():
                for item in found[key].drift:
                    drift[item] += count
            newest_ms = _newest_ms(documents[start:end], shapes[start:end])
            spooled = self._spooled(documents[start:end], lines[start:end], shapes[start:end], first_line + start)
            self._write(spooled)
            own = (documents[start]["_id"], documents[end - 1]["_id"])
            parts.append(Counted(*own, end - start, newest_ms, drift))
            self._total(parts[-1])
        return parts

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write lines to the spool, each with its number behind all else."""
        first = self._spooled_documents
        self._spooled_documents += len(lines)
        written = [line.rstrip()[:-1] + _TAIL % number for number, line in enumerate(lines, start=first)]
        self._spool.write(b"".join(written))
        self._longest_bytes = max(self._longest_bytes, *map(len, written))

    def _spooled(
        self, documents: Sequence[dict[str, Any]], lines: Sequence[bytes], shapes: Sequence[Shape], first_line: int
    ) -> Sequence[bytes]:
        """Return the lines as the store loads them."""
        if not self._shape.typed:
            return self._rows(documents, shapes, first_line)
        if any(shape.leftovers for shape in shapes):
            return self._with_leftovers(documents, lines, shapes, first_line)
        return lines

    def _total(self, part: Counted) -> None:
        self._documents += part.documents
        if part.newest_ms is not None:
            self._newest_ms = part.newest_ms if self._newest_ms is None else max(self._newest_ms, part.newest_ms)
        for item, count in part.drift.items():
            is_one_too_many = item not in self._drift and len(self._drift) >= MAX_DRIFT_ITEMS
            self._drift[(OTHER_FIELDS, item[1], "") if is_one_too_many else item] += count

    def result(self) -> Screened:
        """Return what was found. Leave the context first: only then is the file complete."""
        return Screened(
            table=replace(self._table, number=self._number),
            documents=self._documents,
            spool=self._spool_path,
            spooled_documents=self._spooled_documents,
            longest_bytes=self._longest_bytes,
            is_in_order=self._is_in_order,
            drift=tuple(
                DriftCount(self._table.component, self._table.name, field, kind, found, count)  # type: ignore[arg-type]
                for (field, kind, found), count in sorted(self._drift.items())
            ),
            newest_creation_ms=self._newest_ms,
        )

    def _shape_of(self, key: tuple[Any, ...]) -> Shape:
        found = self._shapes.get(key)
        if found is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            found = self._shapes[key] = work_out(key, self._shape)
        return found

    def _check_ids(self, documents: Sequence[dict[str, Any]], has_id: list[bool] | None, first_line: int) -> None:
        if has_id is not None:
            position = has_id.index(False)
            found = documents[position].get("_id")
            said = "has no _id" if "_id" not in documents[position] else f"_id is {values.type_name(found)}, not string"
            raise SourceInvalid(f"{self._where}: line {first_line + position}: {said}", hint=HINT)
        texts = [document["_id"] for document in documents]
        if self._number is None:
            self._number = ids.decode(texts[0]).table_number if ids.is_valid(texts[0]) else None
        wrong = ids.invalid_positions(texts, self._number)
        if not wrong:
            self._is_in_order = self._is_in_order and _rises(self._last_id, texts)
            self._last_id = texts[-1]
            return
        id_ = texts[wrong[0]]
        try:
            said = f"belongs to table {ids.decode(id_).table_number}, and {self._table.name} is table {self._number}"
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
            with suppress(orjson.JSONEncodeError):  # nested too deep to be written
                compact = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
                if holds_no_string(compact):
                    return compact.decode()
        try:
            kept, changed = reduced(fields, keep_text=self._keep_text)
        except TooDeepError as problem:
            raise SourceInvalid(f"{self._where}: line {line}: nested in {problem}", hint=HINT) from None
        for field in changed:
            self._part_drift[field, "reduced_text", ""] += 1
        return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def _newest_ms(documents: Sequence[dict[str, Any]], shapes: Sequence[Shape]) -> float | None:
    times = [d["_creationTime"] for d, shape in zip(documents, shapes, strict=True) if shape.has_time]
    if times and not 0 <= max(times) <= MAX_CREATION_MS:
        times = [time for time in times if 0 <= time <= MAX_CREATION_MS]
    return float(max(times)) if times else None


def _row(document: dict[str, Any], shape: Shape, leftovers: str | None) -> dict[str, Any]:
    return {field: document[field] for field in shape.columns} | {LEFTOVERS: leftovers}


def _rises(last_id: str, texts: Sequence[str]) -> bool:
    """Return whether ids rise strictly, the first from the last one before."""
    return last_id < texts[0] and all(map(lt, texts, islice(texts, 1, None)))


def _lack_id(shapes: dict[Any, Shape]) -> bool:
    return not all(shape.has_id for shape in shapes.values())
