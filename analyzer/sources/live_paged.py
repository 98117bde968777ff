"""Documents table by table, page by page, all at one moment: for plans without streaming export.

The moment is good for about four minutes, so this cannot be continued later: a read that stops starts over, and every
read moves everything. Up to four tables are read side by side.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_DATA
from analyzer.errors import SourceUnreachable
from analyzer.model import TableRef
from analyzer.sources.live_deltas import ENCODED, Decoder
from analyzer.sources.live_pages import Change, Guard, Page, Rows, TableName, Wanted, Way

ROOT_PAGES, ALL_PAGES = "_system/cli/tableData", "_system/frontend/paginatedTableDocuments"
PAGE_DOCUMENTS = 8192  # the platform stops at 10,000 documents or 5 MB, whichever comes first
SIDE_BY_SIDE = 4


class PagedReader:
    """See `live_pages.ChangeReader`. Its pages have no cursor."""

    way: Way = "paged"

    def __init__(
        self, client: Client, wanted: Wanted, tables: Sequence[TableRef], component_ids: dict[str, str | None]
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._tables = [table for table in tables if wanted.has(table.component, table.name)]
        self._component_ids = component_ids

    def pages(self, cursor: str | None) -> Iterator[Page]:  # noqa: ARG002  # there is none to go on from
        """Return all documents as of now."""
        moment_ns = functions.now_ns(self._client)
        yield Page([], is_fresh=True)
        try:
            chains = [lambda table=table: self._table(table, moment_ns) for table in self._tables]
            yield from side_by_side(chains, SIDE_BY_SIDE)
        except SourceUnreachable as error:
            raise SourceUnreachable(
                f"{error} (while reading page by page, as of one moment)",
                hint="a moment can be read for about four minutes; for a larger deployment collect an export: "
                "`analyzer collect --via-cli`",
            ) from None
        yield Page([], snapshot_ts_ns=moment_ns, is_last=True)

    def _table(self, table: TableRef, moment_ns: int) -> Iterator[Page]:
        function = ALL_PAGES if table.component else ROOT_PAGES
        guard = Guard(self._client, f"POST /api/query_at_ts ({function})")
        position: str | None = None
        place = table.component, table.name
        while True:
            answer = self._page(table, moment_ns, position)
            if not isinstance(answer, dict) or type(answer.get("isDone")) is not bool:
                raise guard.broken("a page")
            documents = guard.items(answer.get("page"), "a list of documents")
            yield Page(self._changes(guard, place, moment_ns, documents))
            if answer["isDone"]:
                return
            position = guard.text(answer.get("continueCursor"), "a cursor")
            guard.step(position, is_empty=not documents)

    def _page(self, table: TableRef, moment_ns: int, position: str | None) -> Any:
        options = {"numItems": PAGE_DOCUMENTS, "cursor": position}
        args: dict[str, Any] = {"table": table.name, "paginationOpts": options}
        if table.component:
            function = ALL_PAGES
            args |= {"filters": None, "componentId": self._component_ids.get(table.component)}
        else:
            function = ROOT_PAGES
            args["order"] = "asc"
        return functions.query(
            self._client, function, args, as_of_ns=moment_ns, value_format=ENCODED, permission=VIEW_DATA
        )

    def _changes(
        self, guard: Guard, place: TableName, moment_ns: int, documents: Sequence[dict[str, Any]]
    ) -> list[Change]:
        decoder, count = Decoder(guard), len(documents)
        decoded = list(map(decoder.decoded, documents))
        rows = Rows([place[0]] * count, [place[1]] * count, [moment_ns] * count, [False] * count, decoded)
        return guard.changes(rows, self._wanted)


def side_by_side(chains: Sequence[Callable[[], Iterator[Page]]], at_once: int) -> Iterator[Page]:
    """Run several iterators in threads and return what they yield, in no order between them; each is one page ahead.

    raises  the first error of any of them; the others stop then, as they do when nobody asks for more
    """
    waiting = list(chains)[::-1]
    out: queue.Queue[Page | BaseException | None] = queue.Queue(maxsize=at_once)
    is_over = threading.Event()
    lock = threading.Lock()

    def put(item: Page | BaseException | None) -> None:
        while not is_over.is_set():
            try:
                out.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            while not is_over.is_set():
                with lock:
                    chain = waiting.pop() if waiting else None
                if chain is None:
                    break
                for page in chain():
                    put(page)
                    if is_over.is_set():
                        return
        except BaseException as error:  # raised again by who reads the pages
            put(error)
        else:
            put(None)

    count = min(at_once, len(chains))
    # Daemons: when the reader was interrupted, nobody waits for an answer that is still under way.
    for _ in range(count):
        threading.Thread(target=work, daemon=True).start()
    try:
        while count:
            item = out.get()
            if item is None:
                count -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        is_over.set()
