"""Checks an exported table, and reads only those stretches of it that an earlier export did not hold.

A large table is shared with a second process, see `analyzer.convex.sharing`: whoever is free takes the next block, and
what is found in blocks is put together in their order, so that nobody can tell who looked at which.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from analyzer.convex.checking import Counted
from analyzer.convex.documents import Screened, Screening
from analyzer.convex.lines import blocks
from analyzer.convex.looking import Looked, look
from analyzer.convex.sharing import Helper, Work
from analyzer.convex.stretches import OutOfOrderError, Register, last_end
from analyzer.errors import SourceError
from analyzer.model import Stretch, TableRef, TableShape, TextFingerprint

SHARED_FROM_BYTES = 4 << 20  # of a table; a smaller one is done before a second process has started
SHARED_SOON_BYTES = 1 << 20  # where it runs; of a table of few blocks one would only wait for the other


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
    helper: Helper | None = None,
) -> Screened:
    """Check and spool the documents of one table, but those that the store is known to hold as they are.

    known    stretches of what the store holds, in order
    recipe   see `recipe_of`
    helper   a second process that takes a share of a large table
    raises   SourceInvalid as `documents.screen`; OutOfOrderError when `known` cannot be used with this export
    """
    path = spool_dir / "stretches.jsonl"
    with (
        Screening(table, shape, where=where, spool_dir=spool_dir, keep_text=keep_text) as job,
        Register(path, known) as register,
    ):
        shared = _Shared(job, register, recipe, helper, spool_dir / "more.jsonl")
        shared.read(stream, where)
        register.finish()
    found = job.result()
    is_whole = found.is_in_order and register.is_whole
    if known and not is_whole:
        raise OutOfOrderError
    gaps = None if register.gaps is None else tuple(register.gaps)
    return replace(
        found,
        is_in_order=is_whole,
        stretches=path if is_whole else None,
        gaps=gaps,
        more_spools=shared.more_spools,
    )


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


class _Shared:
    """One table, looked at by this process and by a second one, and put together in its order.

    more_spools  files that the second process wrote
    """

    def __init__(self, job: Screening, register: Register, recipe: bytes, helper: Helper | None, spool: Path) -> None:
        self.more_spools: tuple[Path, ...] = ()
        self._job, self._register, self._recipe = job, register, recipe
        self._helper, self._spool = helper, spool
        self._waiting: deque[list[Looked] | SourceError | None] = deque()  # None: the second process has it

    def read(self, stream: BinaryIO, where: str) -> None:
        """Take all of it.

        raises  what is wrong with the first block that has anything wrong, or with the stream behind all blocks
        """
        read_bytes = 0
        for first_line, block in self._until_broken(blocks(stream, where, last_end)):
            is_running = self._helper is not None and self._helper.is_running
            self._take(
                first_line, block, is_shared=read_bytes > (SHARED_SOON_BYTES if is_running else SHARED_FROM_BYTES)
            )
            self._put_together(wait=False)
            read_bytes += len(block)
        self._put_together(wait=True)
        if self.more_spools and self._helper is not None:
            self._helper.end()

    def _until_broken(self, found: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        try:
            yield from found
        except SourceError as problem:
            self._waiting.append(problem)

    def _take(self, first_line: int, block: bytes, *, is_shared: bool) -> None:
        """Give a block to the second process where that has room, or look at it here."""
        if is_shared and self._helper is not None:
            if not self.more_spools:
                self._begin(self._helper)
            if self.more_spools and self._helper.give(first_line, block):
                self._waiting.append(None)
                return
        try:
            self._waiting.append(look(self._job.checking, self._recipe, self._register.digests, first_line, block))
        except SourceError as problem:
            self._waiting.append(problem)

    def _begin(self, helper: Helper) -> None:
        order = self._job.order
        numbered = replace(order, table=replace(order.table, number=self._job.checking.number))
        if helper.begin(Work(numbered, self._recipe, tuple(self._register.digests), self._spool)):
            self.more_spools = (self._spool,)
        else:
            self._helper = None

    def _put_together(self, *, wait: bool) -> None:
        """Put together what is known of the next blocks, or of all."""
        while self._waiting:
            found = self._waiting[0]
            if found is None:
                assert self._helper is not None
                found = self._helper.found(wait=wait)
                if found is None:
                    return
            if isinstance(found, SourceError):
                raise found
            self._waiting.popleft()
            for looked in found:
                self._put(looked)

    def _put(self, looked: Looked) -> None:
        if looked.counted is None:
            stretch = self._register.known(looked.digest)
            self._job.skip(stretch)
        else:
            stretch = _stretch(looked.digest, looked.counted)
            self._job.count(looked.counted)
        self._register.add(stretch)


def _stretch(digest: str, found: Counted) -> Stretch:
    drift = tuple((*item, count) for item, count in sorted(found.drift.items()))
    return Stretch(digest, found.first_id, found.last_id, found.documents, found.newest_ms, drift)
