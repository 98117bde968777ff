"""What a reader makes of pages, folded into documents, to hold against a deployment's own history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from analyzer.convex import keys, values
from analyzer.convex.connection import Options, connect
from analyzer.convex.retry import Policy, Timing
from analyzer.convex.target import Target
from analyzer.convex.traffic import Limits
from analyzer.sources.live import LiveSource
from analyzer.sources.live_pages import Page, Wanted
from tests.convex.scripted import FakeTiming
from tests.deployment import Deployment

Documents = dict[tuple[str, str], dict[str, dict[str, Any]]]


class Folded:
    """The documents that pages amount to, and the cursor behind the last of them."""

    def __init__(self) -> None:
        self.tables: Documents = {}
        self.cursor: str | None = None
        self.snapshot_ts_ns: int | None = None

    def apply(self, page: Page) -> None:
        if page.is_fresh:
            self.tables = {}
        for place in page.truncates:
            self.tables.pop(place, None)
        for change in page.values:
            table = self.tables.setdefault((change.component, change.table), {})
            if change.document is None:
                table.pop(change.id, None)
            else:
                table[change.id] = values.decode(change.document, "export_json")
        self.cursor, self.snapshot_ts_ns = page.next_cursor, page.snapshot_ts_ns

    @property
    def documents(self) -> Documents:
        return {place: table for place, table in self.tables.items() if table}


def truth(deployment: Deployment, ts: int | None = None) -> Documents:
    return {place: table for place, table in deployment.at(ts).items() if table}


def target_of(deployment: Deployment, key: str) -> Target:
    return Target(deployment.url, None, keys.parse(key, "a test"), "a test")


def options(*, repeats: int = 6) -> Options:
    """Return how tests talk: they repeat, and wait for nothing."""
    fake = FakeTiming()
    return Options(Limits(policy=Policy(repeats=repeats)), Timing(fake.monotonic_s, fake.sleep_s, fake.draw))


@contextmanager
def reading(deployment: Deployment, *, wanted: Wanted | None = None, **more: Any) -> Iterator[LiveSource]:
    with connect(target_of(deployment, deployment.read_key), options()) as connection:
        yield LiveSource(connection, wanted=wanted or Wanted(), **more)


def restrict(deployment: Deployment, way: str) -> None:
    """Leave a deployment only one way of being read."""
    if way == "deltas":
        deployment.settings.absent |= {"/api/v1/data/sync", "/api/v1/data/list_active_syncs"}
    if way == "paged":
        deployment.settings.has_streaming_export = False
