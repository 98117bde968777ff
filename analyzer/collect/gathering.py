"""Pages of a live read that are not in the store yet: the newest change of each document, checked and spooled to files.

Changes are first gathered as they come, a few thousand at a time, and of one document only the newest is taken on; then
they are checked and written to files, one a table, which the store loads at once. Spools hold text: they lie in private
temporary folders and are gone as soon as they are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Self

from analyzer import clock
from analyzer.convex.beside import Beside
from analyzer.convex.documents import Screened, Screening
from analyzer.model import DriftCount, TableRef, TextFingerprint
from analyzer.sources.live_pages import Change, Page, TableName
from analyzer.store import Batch, IncomingTable, StagedTable, spool
from analyzer.store.columns import shape
from analyzer.store.preloading import Preloading

CHUNK_DOCUMENTS = 8_192  # held as objects; a hundred times that would fill the memory
PRELOADED_DOCUMENTS = 16_384  # of a table, loaded beside the reading of pages; fewer are loaded by the store as soon
SLICE_DOCUMENTS = 1_024  # checked in one go: they stay in the processor's cache, and who reads pages waits for no more
_PLACE, _ID = itemgetter(0, 1), itemgetter(2)  # of a change


@dataclass(slots=True)
class Chunk:
    """Pages as they came: of each document the newest change only."""

    newest: dict[TableName, dict[str, Change]] = field(default_factory=dict)
    truncates: dict[TableName, None] = field(default_factory=dict)
    is_fresh: bool = False
    cursor: str | None = None
    is_empty: bool = True  # no page was taken on

    @property
    def documents(self) -> int:
        """How many documents it holds, those that are gone included."""
        return sum(map(len, self.newest.values()))

    def add(self, page: Page) -> None:
        """Take one page on."""
        self.is_empty = False
        if page.is_fresh:
            self.newest, self.truncates, self.is_fresh = {}, {}, True
        for place in page.truncates:
            self.newest.pop(place, None)
            self.truncates[place] = None
        for place, run in groupby(page.values, key=_PLACE):
            changes = list(run)
            self.newest.setdefault(place, {}).update(zip(map(_ID, changes), changes, strict=True))
        self.cursor = page.next_cursor


class Spool:
    """Chunks checked and written to files, no document twice. Use as a context manager."""

    def __init__(self, origin: str, fingerprints: Sequence[TextFingerprint], *, keep_text: bool) -> None:
        self.documents = 0
        self.can_be_kept = False  # holds pages, and each of them whole
        self._origin, self._fingerprints, self._keep_text = origin, fingerprints, keep_text
        self._since_s = clock.monotonic_s()
        self._stack = ExitStack()
        self._folder: Path | None = None  # made when it is needed
        self._preloading: Preloading | None = None  # likewise
        self._spools = 0  # made in it
        self._tables: dict[TableName, _Table] = {}
        self._truncates: dict[TableName, None] = {}
        self._is_fresh = False
        self._cursor: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for table in self._tables.values():
            table.screening.__exit__()
        self._stack.close()

    @property
    def age_s(self) -> float:
        """How long its first page has been waiting, at most."""
        return clock.monotonic_s() - self._since_s

    def clashes(self, chunk: Chunk) -> bool:
        """Tell whether it has to be kept before a chunk: the chunk changes or empties what is in it."""
        if not self._tables.keys().isdisjoint(chunk.truncates):
            return True
        return any(
            place in self._tables and not self._tables[place].ids.isdisjoint(changes)
            for place, changes in chunk.newest.items()
        )

    def add(self, chunk: Chunk) -> None:
        """Check a chunk and write it to the files.

        raises  SourceInvalid for a document that is none
        """
        self.can_be_kept = False
        self._is_fresh = self._is_fresh or chunk.is_fresh
        self._truncates |= chunk.truncates
        for place, changes in sorted(chunk.newest.items()):
            table = self._tables.get(place) or self._open(place)
            documents = [c.document for c in changes.values() if c.document is not None]
            for start in range(0, len(documents), SLICE_DOCUMENTS):
                table.screening.add_documents(documents[start : start + SLICE_DOCUMENTS])
            table.spooled += len(documents)
            if table.spooled >= PRELOADED_DOCUMENTS:
                self._preload(place, table)
            table.gone += [c.id for c in changes.values() if c.document is None]
            table.ids.update(changes)
            self.documents += len(changes)
        self._cursor = chunk.cursor
        self.can_be_kept = True

    def batch(self) -> Batch:
        """Return everything as the store takes it; nothing can be added any more.

        raises  SourceInvalid, StoreError for a spool that could not be loaded
        """
        tables: list[StagedTable] = []
        drift: Counter[DriftCount] = Counter()
        for place, table in sorted(self._tables.items()):
            rest, before = table.end(), table.documents
            incoming = IncomingTable(
                TableRef(*place), rest.documents, rest.spool, self._where(place), rest.longest_bytes, is_numbered=True
            )
            tables.append(StagedTable(incoming, table.gone, [part.result() for part in table.parts], before))
            for item in (*table.drift, *rest.drift):
                drift[replace(item, count=0)] += item.count
        if self._preloading is not None:
            self._preloading.close()  # the memory that it may take is the store's from now on
        truncates = [TableRef(*place) for place in self._truncates]
        counted = [replace(item, count=count) for item, count in drift.items()]
        return Batch(tables, self._cursor, self._is_fresh, truncates, counted)

    def _open(self, place: TableName) -> _Table:
        self._tables[place] = _Table(self._screening(place, TableRef(*place)))
        return self._tables[place]

    def _screening(self, place: TableName, table: TableRef) -> Screening:
        if self._folder is None:
            self._folder = self._stack.enter_context(spool.folder())
            preloading = Preloading(self._folder, self._fingerprints, keep_text=self._keep_text)
            self._preloading = self._stack.enter_context(preloading)
        folder = self._folder / str(self._spools)  # table names are not file names
        self._spools += 1
        folder.mkdir(mode=0o700)
        return Screening(table, shape(*place), where=self._where(place), spool_dir=folder, keep_text=self._keep_text)

    def _preload(self, place: TableName, table: _Table) -> None:
        """Let what a table has so far be loaded, and begin another spool."""
        found, before = table.end(), table.documents
        incoming = IncomingTable(
            found.table, found.documents, found.spool, self._where(place), found.longest_bytes, is_numbered=True
        )
        assert self._preloading is not None
        table.parts.append(self._preloading.start(incoming, before))
        table.documents += found.documents
        table.spooled = 0
        table.drift += found.drift
        table.screening = self._screening(place, found.table)

    def _where(self, place: TableName) -> str:
        return f"{self._origin}: {'/'.join(part for part in place if part)}"


@dataclass(slots=True)
class _Table:
    """What a spool holds of one table."""

    screening: Screening
    ids: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    parts: list[Beside[Path]] = field(default_factory=list)  # spools before the present one
    documents: int = 0  # in those
    spooled: int = 0  # documents in the present one
    drift: list[DriftCount] = field(default_factory=list)  # of those

    def end(self) -> Screened:
        """Return the present spool, complete."""
        self.screening.__exit__()
        return self.screening.result()
