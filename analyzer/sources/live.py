"""A live deployment as a source: who it is, what its functions and flags say, and its documents as pages of changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, Self

from analyzer.convex import functions
from analyzer.convex.beside import Beside
from analyzer.convex.connection import Connection
from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames
from analyzer.convex.permissions import VIEW_DATA
from analyzer.errors import (
    AccessDenied,
    CursorExpired,
    FunctionFailed,
    NotOffered,
    ServerRefused,
    SourceInvalid,
    SourceUnreachable,
)
from analyzer.model import ROOT, Answer, SourceInfo, TableRef
from analyzer.sources.live_deltas import DeltaReader
from analyzer.sources.live_early import Early, Room
from analyzer.sources.live_flags import Flags, read_flags
from analyzer.sources.live_paged import PagedReader, side_by_side
from analyzer.sources.live_pages import MAX_TIME_NS, ChangeReader, Page, Wanted, Way, way_of
from analyzer.sources.live_sync import SyncReader

EVERYTHING = Wanted()
COMPONENTS, TABLES = "_system/frontend/components:list", "_system/frontend/getTableMapping"
ROOT_SIZE, COMPONENT_SIZE = "_system/cli/tableSize", "_system/frontend/tableSize"
SIZE_OF_ALL = "_system/frontend/tableSize:sizeOfAllTables"


class Said(NamedTuple):
    """What the functions answer about a moment, and what the variables are."""

    answers: list[Answer]
    unanswered: list[str]
    flags: Flags


class LiveSource:
    """One deployment, read only. Owns the connection; use as a context manager.

    The order of a collection: `changes`, kept page by page; then `info`, which asks the functions about exactly the
    documents of the last consistent page. Functions see the deployment's clock of when they are asked.
    """

    lists_all_tables = True

    def __init__(
        self,
        connection: Connection,
        *,
        flag_names: Sequence[str] = (),
        functions: FunctionNames = DEFAULT_NAMES,
        wanted: Wanted = EVERYTHING,
    ) -> None:
        self.connection = connection
        self.wanted = wanted
        self.way: Way | None = None  # how documents were read; None before the first page
        self.snapshot_ts_ns: int | None = None  # of the last consistent page
        self._client = connection.client
        self._flag_names = flag_names
        self._functions = functions
        self._tables: tuple[TableRef, ...] | None = None
        self._component_ids: dict[str, str | None] = {}
        self._info: SourceInfo | None = None
        self.variables: Flags | None = None  # as `info` found them
        self._warnings: list[str] = []
        self._early: Early[Said] | None = None  # of the pages that are read
        self._asking, self._listing = threading.Lock(), threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the network."""
        self.connection.close()

    # ---- documents ---------------------------------------------------------------------------------------------

    def changes(self, cursor: str | None = None) -> Iterator[Page]:
        """Return pages up to the newest moment, fetched one ahead of who keeps them.

        cursor  of the last page that was kept; None: everything, from the start
        raises  CursorExpired: call again without a cursor; SourceInvalid; SourceUnreachable; AccessDenied
        """
        self._tables, self._early = None, None  # there may be others by now
        for page in self._pages(cursor):
            if page.snapshot_ts_ns is not None:
                self.snapshot_ts_ns, self._info = page.snapshot_ts_ns, None
            yield page

    def _pages(self, cursor: str | None) -> Iterator[Page]:
        if cursor is not None:
            way = way_of(cursor)
            reader = next((reader for reader in self._incremental() if reader.way == way), None)
            if reader is None:
                raise CursorExpired("the stored cursor is of an unknown kind", hint="read from the start")
            self.way = reader.way
            try:
                yield from _ahead(reader, cursor)
            except NotOffered as error:
                raise CursorExpired(f"the last way of reading is gone: {error}", hint="read from the start") from None
            return
        self._early = Early(self._total, self._list, self._counts, self._said)
        for reader in self._incremental():
            pages = _ahead(reader, None)
            try:
                first = next(pages)
            except NotOffered as error:
                self._warnings.append(f"no {reader.way}: {error}")
                continue
            self.way = reader.way
            yield first
            yield from pages
            return
        self.way = "paged"
        yield from PagedReader(self._client, self.wanted, self.tables(), self._component_ids).pages(None)

    def _incremental(self) -> tuple[ChangeReader, ...]:
        return SyncReader(self._client, self.wanted), DeltaReader(self._client, self.wanted, self._early)

    def tables(self) -> tuple[TableRef, ...]:
        """Return the wanted tables that exist now, with their numbers, by component and name."""
        with self._listing:
            if self._tables is None:
                early = self._early.about(self.snapshot_ts_ns) if self._early else None
                self._tables = early.tables.result() if early else self._list()
            return self._tables

    def _list(self, room: Room | None = None) -> tuple[TableRef, ...]:
        room = room or nullcontext()
        with room:
            components = self._components()
        found = []
        for path, id_ in components.items():
            self._component_ids[path] = id_
            with room:
                mapping = functions.query(self._client, TABLES, {"componentId": id_} if id_ else {})
            if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping.values()):
                raise self._client.unexpected(f"POST /api/query ({TABLES})", "a table mapping", VIEW_DATA)
            found += [
                TableRef(path, name, int(number))
                for number, name in mapping.items()
                if number.isdecimal() and self.wanted.has(path, name)
            ]
        return tuple(sorted(found, key=lambda table: (table.component, table.name)))

    def components(self) -> tuple[str, ...]:
        """Return the paths of components, the root's first."""
        return tuple(self._components())

    def _components(self) -> dict[str, str | None]:
        """Return paths and ids of components, the root first."""
        found: dict[str, str | None] = {ROOT: None}
        try:
            listed = functions.query(self._client, COMPONENTS, {})
        except FunctionFailed as error:
            if error.reason != "missing":
                raise
            return found  # a version from before there were components
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise self._client.unexpected(f"POST /api/query ({COMPONENTS})", "a list of components", VIEW_DATA)
        for item in listed:
            path, id_ = item.get("path"), item.get("id")
            if isinstance(path, str) and path and isinstance(id_, str):
                found[path] = id_
        return found

    def counts(self, as_of_ns: int) -> Mapping[tuple[str, str], int]:
        """Return how many documents each table of `tables()` has at a moment: the check on a read by deltas.

        as_of_ns  of a consistent page, at most a few minutes ago; components are counted as of now
        """
        early = self._early.about(as_of_ns) if self._early else None
        return early.counts.result() if early else self._counts(self.tables(), as_of_ns, nullcontext())

    def _counts(self, tables: Sequence[TableRef], as_of_ns: int, room: Room) -> Mapping[tuple[str, str], int]:
        asked = {(table.component, table.name): self._counted(table, as_of_ns, room) for table in tables}
        return {place: count.result() for place, count in asked.items()}

    def _counted(self, table: TableRef, as_of_ns: int, room: Room) -> Beside[int]:
        def count() -> int:
            with room:
                return self._count(table, as_of_ns)

        return Beside(count)

    def _total(self) -> int | None:
        """Return about how many documents there are; None where nobody tells, and nothing hangs on it."""
        if self.wanted.tables is not None:
            return None
        try:
            if len(self._components()) > 1:
                return None
            total = functions.query(self._client, SIZE_OF_ALL, {})
        except (FunctionFailed, ServerRefused, SourceInvalid, SourceUnreachable):
            return None
        return int(total) if isinstance(total, int | float) and 0 <= total < MAX_TIME_NS else None

    def _count(self, table: TableRef, as_of_ns: int) -> int:
        args: dict[str, Any] = {"tableName": table.name}
        if table.component:
            args["componentId"] = self._component_ids[table.component]
        function = COMPONENT_SIZE if table.component else ROOT_SIZE
        count = functions.query(self._client, function, args, as_of_ns=as_of_ns)
        if not isinstance(count, int | float) or isinstance(count, bool) or count != int(count) or count < 0:
            raise self._client.unexpected(f"POST /api/query_at_ts ({function})", "a count", VIEW_DATA)
        return int(count)

    # ---- everything else ---------------------------------------------------------------------------------------

    @property
    def info(self) -> SourceInfo:
        """Identity, flags and the functions' answers; asked once for each consistent moment."""
        with self._asking:
            if self._info is None:
                early = self._early.about(self.snapshot_ts_ns) if self._early else None
                said = early.said.result() if early else self._said(self.snapshot_ts_ns, nullcontext())
                self._info = self._told(said)
            return self._info

    def _told(self, said: Said) -> SourceInfo:
        self.variables = said.flags
        return SourceInfo(
            kind="live",
            label=self.connection.target.origin,
            deployment=self.connection.deployment,
            source_time_ns=self.snapshot_ts_ns or functions.now_ns(self._client),
            time_basis="server",
            flags=said.flags.flags,
            answers=tuple(said.answers),
            warnings=(*self._warnings, *said.unanswered, *said.flags.warnings),
        )

    def _said(self, moment_ns: int | None, room: Room) -> Said:
        asked = Beside(lambda: self._answers(moment_ns, room))
        with room:
            flags = self.flags(lambda: asked.result()[0])
        return Said(*asked.result(), flags)

    def flags(self, answers: Callable[[], Sequence[Answer]] = tuple) -> Flags:
        """Return the configured flags, and when other variables changed; without the permission, what answers tell."""

        def told() -> Any:
            return next((a.value for a in answers() if a.function == self._functions.feature_flags), None)

        return read_flags(self._client, self._flag_names, told)

    def _answers(self, moment_ns: int | None, room: Room) -> tuple[list[Answer], list[str]]:
        """Ask the app's functions; each that does not answer becomes a warning."""
        answers, warnings = [], []
        for name, asked in [(name, self._asked(name, moment_ns, room)) for name in self._functions.all()]:
            try:
                value = asked.result()
            except (FunctionFailed, AccessDenied, SourceUnreachable) as error:
                warnings.append(f"{name} did not answer: {error}")
                continue
            stamp = value.get("timestamp") if isinstance(value, dict) else None
            is_time = isinstance(stamp, int | float) and not isinstance(stamp, bool) and 0 < stamp < 2**53
            answers.append(Answer(name, value, int(stamp) if is_time and stamp is not None else None))
        return answers, warnings

    def _asked(self, name: str, moment_ns: int | None, room: Room) -> Beside[Any]:
        def answer() -> Any:
            with room:
                return self._answer(name, moment_ns)

        return Beside(answer)

    def _answer(self, name: str, moment_ns: int | None) -> Any:
        if moment_ns is not None:
            try:
                return functions.query(self._client, name, {}, as_of_ns=moment_ns)
            except (NotOffered, SourceUnreachable):
                pass  # no such endpoint, or the moment is too long ago: then as of now
        return functions.query(self._client, name, {})


def _ahead(reader: ChangeReader, cursor: str | None) -> Iterator[Page]:
    """Read pages in a thread, so that the next one is on its way while this one is kept."""
    return side_by_side([lambda: reader.pages(cursor)], 1)
