"""Checks an exported table, and reads only those stretches of it that an earlier export did not hold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from analyzer.convex.documents import Counted, Screened, Screening
from analyzer.convex.lines import blocks
from analyzer.convex.stretches import OutOfOrderError, Register, spans, whole
from analyzer.model import Stretch, TableRef, TableShape, TextFingerprint


def screen_export(
    stream: BinaryIO,
    table: TableRef,
    shape: TableShape,
    *,
    where: str,
    spool_dir: Path,
    keep_text: bool = False,
    known: Sequence[Stretch] = (),
    recipe: bytes = b"",
) -> Screened:
    """Check and spool the documents of one table, but those that the store is known to hold as they are.

    known    stretches of what the store holds, in order
    recipe   see `recipe_of`
    raises   SourceInvalid as `documents.screen`; OutOfOrderError when `known` cannot be used with this export
    """
    path = spool_dir / "stretches.jsonl"
    with (
        Screening(table, shape, where=where, spool_dir=spool_dir, keep_text=keep_text) as job,
        Register(path, known, recipe) as register,
    ):
        for first_line, lines, ends in whole(blocks(stream, where)):
            _take(job, register, first_line, lines, ends)
        register.finish()
    found = job.result()
    is_whole = found.is_in_order and register.is_whole
    if known and not is_whole:
        raise OutOfOrderError
    gaps = None if register.gaps is None else tuple(register.gaps)
    return replace(found, is_in_order=is_whole, stretches=path if is_whole else None, gaps=gaps)


def recipe_of(
    version: str, table: TableRef, shape: TableShape, fingerprints: Sequence[TextFingerprint], *, keep_text: bool
) -> bytes:
    """Return a hash of all that decides what is kept of a document beside the document itself."""
    decided = (
        version,
        table,
        sorted(shape.fields.items()),
        (shape.typed, shape.text_field, sorted(shape.required), keep_text),
        [fingerprint for fingerprint in fingerprints if fingerprint.table == table.name],
    )
    return hashlib.sha256(repr(decided).encode()).digest()


def _take(job: Screening, register: Register, first_line: int, lines: list[bytes], ends: list[int]) -> None:
    parts = spans(ends)
    digests = [register.digest(lines[start:end]) for start, end in parts]
    for stretch, run in groupby(range(len(parts)), key=lambda part: register.known(digests[part])):
        if stretch is not None:
            for _ in run:  # twice in a row only in a file that repeats its documents, which is then refused
                register.add(stretch)
                job.skip(stretch)
            continue
        news = list(run)
        start, end = parts[news[0]][0], parts[news[-1]][1]
        counted = job.add(first_line + start, lines[start:end], [parts[part][1] - start for part in news])
        for part, found in zip(news, counted, strict=True):
            register.add(_stretch(digests[part], found))


def _stretch(digest: str, found: Counted) -> Stretch:
    drift = tuple((*item, count) for item, count in sorted(found.drift.items()))
    return Stretch(digest, found.first_id, found.last_id, found.documents, found.newest_ms, drift)
