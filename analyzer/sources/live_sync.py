"""Documents by data sync: the platform's own way, which notices replaced and dropped tables by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from analyzer.convex.client import Client
from analyzer.sources.live_chain import Chain
from analyzer.sources.live_pages import Change, Guard, Page, Rows, Wanted, Way, pack_cursor, unpack_cursor

PATH = "/api/v1/data/sync"
_COLUMNS = ("component", "table", "ts", "deleted", "value")
SNAPSHOTTING, STALE, UP_TO_DATE = "snapshotting", "stale", "upToDate"


class SyncReader:
    """See `live_pages.ChangeReader`. The first call from the start writes an audit entry, `create_data_sync`."""

    way: Way = "data sync"

    def __init__(self, client: Client, wanted: Wanted) -> None:
        self._client = client
        self._wanted = wanted

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Return pages up to the newest moment."""
        position = None if cursor is None else unpack_cursor(cursor, self.way, self._wanted).get("cursor")
        guard = Guard(self._client, f"POST {PATH}")
        is_fresh, newest_ns = position is None, 0
        chain = Chain(self._client, PATH, self._following)
        chain.ask(self._body(position))
        while True:
            answer = chain.answer()
            if not isinstance(answer, dict):
                raise guard.broken("a page")
            status, pagination = answer.get("status"), answer.get("pagination")
            if not isinstance(status, dict) or not isinstance(pagination, dict):
                raise guard.broken("a status and a cursor")
            position = guard.text(pagination.get("nextCursor"), "a cursor")
            snapshot_ns = self._snapshot_ns(guard, status, newest_ns)
            newest_ns = snapshot_ns or newest_ns
            is_last = status.get("type") == UP_TO_DATE
            if not is_last:
                guard.step(position, is_empty=not answer.get("values"))
                chain.ask(self._body(position))
            values = self._values(guard, answer)
            yield Page(
                values,
                truncates=self._truncates(guard, answer),
                is_fresh=is_fresh,
                next_cursor=pack_cursor(self.way, self._wanted, cursor=position),
                snapshot_ts_ns=snapshot_ns,
                is_last=is_last,
            )
            if is_last:
                return
            is_fresh = False

    def _body(self, position: str | None) -> dict[str, Any]:
        """Return what a page is asked for with."""
        body: dict[str, Any] = {} if position is None else {"cursor": position}
        selection = self._wanted.selection()
        return body | ({"selection": selection} if selection else {})

    def _following(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the page after this one is asked for with, as far as its fields tell."""
        status, pagination = fields.get("status"), fields.get("pagination")
        if not isinstance(status, dict) or not isinstance(pagination, dict):
            return None
        position = pagination.get("nextCursor")
        is_on = isinstance(position, str) and status.get("type") in (SNAPSHOTTING, STALE)
        return self._body(position) if is_on else None

    def _snapshot_ns(self, guard: Guard, status: dict[str, Any], newest_ns: int) -> int | None:
        kind = status.get("type")
        if kind == SNAPSHOTTING:
            return None
        if kind not in (STALE, UP_TO_DATE):
            raise guard.broken("a status that is known")
        snapshot_ns = guard.time(status.get("snapshotTs"))
        if snapshot_ns < newest_ns:
            raise guard.broken("time going forward")
        return snapshot_ns

    def _truncates(self, guard: Guard, answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        tables = guard.items(answer.get("truncates"), "a list of truncated tables")
        places = [guard.place(table.get("component"), table.get("table")) for table in tables]
        return tuple(place for place in places if self._wanted.has(*place))

    def _values(self, guard: Guard, answer: dict[str, Any]) -> list[Change]:
        items = guard.items(answer.get("values"), "a list of documents")
        try:
            rows = list(map(itemgetter(*_COLUMNS), items))
        except KeyError:  # the check says what is missing
            rows = [tuple(map(item.get, _COLUMNS)) for item in items]
        columns = map(list, zip(*rows, strict=True)) if rows else [[] for _ in _COLUMNS]
        return guard.changes(Rows(*columns), self._wanted)
