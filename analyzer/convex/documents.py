"""Screens a table: checks all its documents, spools them, and says what was found in them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from analyzer.convex import ids
from analyzer.convex.checking import Checking, Counted, Order
from analyzer.convex.lines import blocks, split
from analyzer.convex.shapes import Drift
from analyzer.model import DriftCount, Gap, Stretch, TableRef, TableShape

MAX_DRIFT_ITEMS = 1000  # told apart; further ones are counted under one name
OTHER_FIELDS = "…"


@dataclass(frozen=True, slots=True)
class Screened:
    """One table, checked and spooled."""

    table: TableRef  # its number is that of its ids, even where the source did not list it
    documents: int
    spool: Path  # NDJSON; "leftovers" of a line is the JSON text of an object, "$row" its place in the table, from 0 on
    spooled_documents: int  # the others are known to be in the store as they are
    longest_bytes: int  # of a line
    is_in_order: bool  # each id greater than the one before, so that none stands twice
    drift: tuple[DriftCount, ...]
    newest_creation_ms: float | None  # None when no document says when it was made
    stretches: Path | None = None  # NDJSON, see `analyzer.convex.stretches`; None when they say nothing for certain
    gaps: tuple[Gap, ...] | None = None  # ids among which the spool holds all there are; None: among all ids
    more_spools: tuple[Path, ...] = ()  # files like `spool`, with the other lines


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
        for first_line, block in blocks(stream, where):
            job.add(first_line, split(block))
    return job.result()


class Screening:
    """One pass over the documents of a table, in as many pieces as they come in. Use as a context manager."""

    def __init__(
        self, table: TableRef, shape: TableShape, *, where: str, spool_dir: Path, keep_text: bool = False
    ) -> None:
        """Make the file; see `screen`."""
        self._table = table
        self._spool_path = spool_dir / "documents.jsonl"
        self.order = Order(table, shape, where, keep_text)
        self.checking = Checking(self.order, self._spool_path)
        self._drift: Counter[Drift] = Counter()
        self._documents, self._spooled_documents, self._longest_bytes = 0, 0, 0
        self._newest_ms: float | None = None
        self._last_id, self._is_in_order = "", True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.checking.__exit__()

    def add(self, first_line: int, lines: Sequence[bytes]) -> None:
        """Check and spool a block of lines."""
        for part in self.checking.check_lines(first_line, lines):
            self.count(part)

    def add_documents(self, documents: Sequence[dict[str, Any]]) -> None:
        """Check and spool documents that are parsed already."""
        if documents:
            for part in self.checking.check(documents, list(map(orjson.dumps, documents)), self._documents + 1):
                self.count(part)

    def skip(self, stretch: Stretch) -> None:
        """Count documents that need not be looked at: the store holds exactly these."""
        if self.checking.number is None:
            self.checking.number = ids.decode(stretch.first_id).table_number
        drift = Counter({(field, kind, found): count for field, kind, found, count in stretch.drift})
        self._total(stretch.documents, stretch.newest_creation_ms, drift)

    def count(self, part: Counted) -> None:
        """Count documents that were checked and spooled, those that follow the last ones."""
        self._is_in_order = self._is_in_order and part.is_rising and self._last_id < part.first_id
        self._last_id = part.last_id
        self._spooled_documents += part.documents
        self._longest_bytes = max(self._longest_bytes, part.longest_bytes)
        self._total(part.documents, part.newest_ms, part.drift)

    def _total(self, documents: int, newest_ms: float | None, drift: Counter[Drift]) -> None:
        self._documents += documents
        if newest_ms is not None:
            self._newest_ms = newest_ms if self._newest_ms is None else max(self._newest_ms, newest_ms)
        for item, count in drift.items():
            is_one_too_many = item not in self._drift and len(self._drift) >= MAX_DRIFT_ITEMS
            self._drift[(OTHER_FIELDS, item[1], "") if is_one_too_many else item] += count

    def result(self) -> Screened:
        """Return what was found. Leave the context first: only then is the file complete."""
        return Screened(
            table=replace(self._table, number=self.checking.number),
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
