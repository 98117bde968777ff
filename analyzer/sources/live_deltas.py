"""Documents by `list_snapshot`, then `document_deltas`: the older pair, which every version has.

The snapshot is read table by table at one moment; the deltas after it are complete up to their cursor, page by page.
Blind to one thing: a table that was replaced, cleared or dropped as a whole leaves no deltas. Counts tell, and events
(`live_events.RESYNC_ACTIONS`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analyzer.convex import values
from analyzer.convex.beside import Beside
from analyzer.convex.client import Client
from analyzer.convex.functions import ValueFormat
from analyzer.errors import CursorExpired
from analyzer.sources.live_chain import Chain
from analyzer.sources.live_early import NEAR_DOCUMENTS, Foresight
from analyzer.sources.live_pages import Change, Guard, Page, Rows, Wanted, Way, pack_cursor, unpack_cursor

SNAPSHOT, DELTAS = "/api/list_snapshot", "/api/document_deltas"
MAX_SHAPES = 4096  # remembered of one page
ENCODED: ValueFormat = "convex_encoded_json"  # lossless, and known to every version; export_json is not


class DeltaReader:
    """See `live_pages.ChangeReader`. One at a time: the server keeps one iterator, and two make each other slow."""

    way: Way = "deltas"

    def __init__(self, client: Client, wanted: Wanted, foresight: Foresight | None = None) -> None:
        self._client = client
        self._wanted = wanted
        self._foresight = foresight
        self._first_deltas: Beside[dict[str, Any]] | None = None  # asked for before the snapshot was here

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Return pages up to the newest moment."""
        state: dict[str, Any] = {} if cursor is None else unpack_cursor(cursor, self.way, self._wanted)
        since_ns = state.get("deltas")
        if since_ns is None:
            for page, snapshot_ns in self._snapshot(state.get("snapshot"), state.get("cursor")):
                yield page
                since_ns = snapshot_ns
        if type(since_ns) is not int:
            raise CursorExpired("the stored cursor is damaged", hint="read from the start")
        yield from self._deltas(since_ns)

    def _snapshot(self, snapshot_ns: int | None, position: str | None) -> Iterator[tuple[Page, int]]:
        guard = Guard(self._client, f"POST {SNAPSHOT}")
        is_fresh = is_whole = snapshot_ns is None
        crawl, read = _Crawl(guard), 0
        chain = Chain(self._client, SNAPSHOT, self._behind_snapshot)
        chain.ask(self._body({} if snapshot_ns is None else {"snapshot": snapshot_ns, "cursor": position}))
        while True:
            answer = self._page(chain, guard)
            moment_ns = guard.time(answer.get("snapshot"))
            if snapshot_ns is not None and moment_ns != snapshot_ns:
                raise guard.broken("the moment that was asked for")
            snapshot_ns = moment_ns
            has_more = answer["hasMore"]
            if has_more:
                position = guard.text(answer.get("cursor"), "a cursor")
                guard.step(position, is_empty=not answer.get("values"))
                chain.ask(self._body({"snapshot": snapshot_ns, "cursor": position}))
                next_cursor = pack_cursor(self.way, self._wanted, snapshot=snapshot_ns, cursor=position)
            else:
                next_cursor = pack_cursor(self.way, self._wanted, deltas=snapshot_ns)
            read += len(answer["values"]) if isinstance(answer.get("values"), list) else 0
            if has_more and is_whole and self._is_near_end(read):
                self._first_deltas = self._early_deltas(snapshot_ns)
            found = self._values(guard, answer, is_delta=False)
            crawl.check(found, snapshot_ns)
            moment = None if has_more else snapshot_ns
            yield Page(found, is_fresh=is_fresh, next_cursor=next_cursor, snapshot_ts_ns=moment), snapshot_ns
            if not has_more:
                return
            is_fresh = False

    def _is_near_end(self, read: int) -> bool:
        if self._foresight is None or self._first_deltas is not None:
            return False
        documents = self._foresight.documents()
        return documents is not None and documents - read <= NEAR_DOCUMENTS

    def _early_deltas(self, since_ns: int) -> Beside[dict[str, Any]]:
        """Ask for the deltas after the snapshot, and tell of which moment they are, if they end there."""
        guard = Guard(self._client, f"POST {DELTAS}")

        def first() -> dict[str, Any]:
            chain = Chain(self._client, DELTAS, lambda _: None)
            chain.ask(self._body({"cursor": since_ns}))
            answer = self._page(chain, guard)
            if not answer["hasMore"] and self._foresight is not None:
                self._foresight.ends_at(guard.time(answer.get("cursor")))
            return answer

        return Beside(first)

    def _deltas(self, since_ns: int) -> Iterator[Page]:
        guard = Guard(self._client, f"POST {DELTAS}")
        chain = Chain(self._client, DELTAS, self._behind_deltas)
        early, self._first_deltas = self._first_deltas, None
        if early is None:
            chain.ask(self._body({"cursor": since_ns}))
        while True:
            answer = self._page(chain, guard) if early is None else early.result()
            early = None
            until_ns = guard.time(answer.get("cursor"))
            found = self._values(guard, answer, is_delta=True)
            has_more = answer["hasMore"]
            if until_ns < since_ns or any(not since_ns < change.ts_ns <= until_ns for change in found):
                raise guard.broken("changes between its cursors")
            if has_more and until_ns == since_ns:
                raise guard.broken("an end: it gives the same cursor again")
            if has_more:
                guard.step(until_ns, is_empty=not answer["values"])
                chain.ask(self._body({"cursor": until_ns}))
            yield Page(
                found,
                next_cursor=pack_cursor(self.way, self._wanted, deltas=until_ns),
                snapshot_ts_ns=until_ns,
                is_last=not has_more,
            )
            if not has_more:
                return
            since_ns = until_ns

    def _body(self, position: dict[str, Any]) -> dict[str, Any]:
        """Return what a page is asked for with."""
        selection = self._wanted.selection()
        return position | {"format": ENCODED} | ({"selection": selection} if selection else {})

    def _behind_snapshot(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the page after one of the snapshot is asked for with, as far as its fields tell."""
        snapshot_ns, position = fields.get("snapshot"), fields.get("cursor")
        is_on = fields.get("hasMore") is True and type(snapshot_ns) is int and isinstance(position, str)
        return self._body({"snapshot": snapshot_ns, "cursor": position}) if is_on else None

    def _behind_deltas(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the page after one of deltas is asked for with, as far as its fields tell."""
        until_ns = fields.get("cursor")
        return self._body({"cursor": until_ns}) if fields.get("hasMore") is True and type(until_ns) is int else None

    def _page(self, chain: Chain, guard: Guard) -> dict[str, Any]:
        answer = chain.answer()
        if not isinstance(answer, dict) or type(answer.get("hasMore")) is not bool:
            raise guard.broken("a page")
        return answer

    def _values(self, guard: Guard, answer: dict[str, Any], *, is_delta: bool) -> list[Change]:
        items, decoder = guard.items(answer.get("values"), "a list of documents"), Decoder(guard)
        rows = Rows(
            [item.pop("_component", "") for item in items],  # very old versions know no components
            [item.pop("_table", None) for item in items],
            [item.pop("_ts", None) for item in items],
            [item.pop("_deleted", None if is_delta else False) for item in items],
            items,
        )
        found = guard.changes(rows, self._wanted)
        return [decoder.change(change) for change in found]


class _Crawl:
    """Notices a snapshot that starts over: tables come one after the other, and each document once."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._done: set[tuple[str, str]] = set()
        self._current: tuple[str, str] | None = None
        self._first_ids: set[str] = set()

    def check(self, found: list[Change], snapshot_ns: int) -> None:
        """Check one page.

        raises  SourceInvalid
        """
        for change in found:
            place = change.component, change.table
            if place != self._current:
                if place in self._done:
                    raise self._guard.broken("an end: a table comes again")
                if self._current is not None:
                    self._done.add(self._current)
                self._current = place
            if change.ts_ns > snapshot_ns:
                raise self._guard.broken("documents of the moment that was asked for")
        if found and found[0].id in self._first_ids:
            raise self._guard.broken("an end: documents come again")
        if found:
            self._first_ids.add(found[0].id)


class Decoder:
    """Turns encoded documents into export_json ones. Most need nothing, and have the same few shapes."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._plain_shapes: set[object] = set()

    def change(self, change: Change) -> Change:
        """Return a change whose document is as export_json has it."""
        if change.document is None or (document := self.decoded(change.document)) is change.document:
            return change
        return change._replace(document=document)

    def decoded(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return a document as export_json has it; the same one where that is no difference."""
        shape = (*item, *map(type, item.values()))
        if shape in self._plain_shapes:
            return item
        if not any(_is_reserved(name) or type(value) in (dict, list, int) for name, value in item.items()):
            if len(self._plain_shapes) < MAX_SHAPES:
                self._plain_shapes.add(shape)
            return item
        try:
            kept = {name: value for name, value in item.items() if not _is_reserved(name)}
            document: dict[str, Any] = values.encode(values.decode(kept, ENCODED), "export_json")
        except (ValueError, RecursionError):
            raise self._guard.broken("values that can be read") from None
        return document


def _is_reserved(name: str) -> bool:
    """Tell whether a field is the platform's, which may add some around documents any day."""
    return name.startswith("_") and name not in ("_id", "_creationTime")
