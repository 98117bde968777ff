"""Conversations with a scripted deployment, one a way of reading, and what to do to them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from analyzer.convex import ids, keys
from analyzer.convex.client import Client
from analyzer.convex.retry import Policy
from analyzer.convex.traffic import Limits
from analyzer.model import TableRef
from analyzer.sources.live_deltas import DeltaReader
from analyzer.sources.live_paged import PagedReader
from analyzer.sources.live_pages import ChangeReader, Page, Wanted
from analyzer.sources.live_sync import SyncReader
from tests.convex.scripted import Reply, Request, ScriptedServer, ok, serving

T0 = 1_765_889_880_123_456_789  # beyond 2**53: its last digits are lost in a double
KEY = keys.parse("prod:happy-animal-123|eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w", "a test")
Answer = dict[str, Any]
Script = Callable[[Request], Reply]


def id_of(number: int, table: int = 10001) -> str:
    return ids.encode(table, number.to_bytes(16, "big"))


def document(number: int, **fields: Any) -> Answer:
    return {"_id": id_of(number), "_creationTime": 1765889880000.25, **fields}


def client_of(server: ScriptedServer) -> Client:
    return Client(server.url, KEY, limits=Limits(policy=Policy(repeats=0, brief_repeats=0)))


# ---- data sync -------------------------------------------------------------------------------------------------


def synced(number: int, ts: int = T0, table: str = "users", component: str = "", **fields: Any) -> Answer:
    value = document(number, **fields)
    return {"component": component, "table": table, "ts": ts, "deleted": False, "value": value}


def sync_page(status: str, cursor: str, *values: Answer, ts: Any = T0, truncates: Sequence[Answer] = ()) -> Answer:
    return {
        "status": {"type": status} | ({} if status == "snapshotting" else {"snapshotTs": ts}),
        "truncates": list(truncates),
        "values": list(values),
        "syncId": "s",
        "pagination": {"hasMore": True, "nextCursor": cursor},
    }


SYNC = [
    sync_page("snapshotting", "c1", synced(1), synced(2), truncates=[{"component": "", "table": "users"}]),
    sync_page("stale", "c2", synced(3, T0 + 1), ts=T0 + 1),
    sync_page(
        "upToDate",
        "c3",
        {"component": "", "table": "users", "ts": T0 + 2, "deleted": True, "value": {"_id": id_of(1)}},
        ts=T0 + 2,
    ),
]

# ---- snapshot and deltas ---------------------------------------------------------------------------------------


def listed(number: int, ts: int = T0, table: str = "users", **fields: Any) -> Answer:
    return {"_component": "", "_table": table, "_ts": ts, **document(number, **fields)}


DELTAS = [
    {"values": [listed(1, T0 - 9), listed(2, T0 - 8)], "snapshot": T0, "cursor": "p1", "hasMore": True},
    {"values": [], "snapshot": T0, "cursor": "p2", "hasMore": True},
    {"values": [listed(3, T0 - 7, "tasks")], "snapshot": T0, "cursor": None, "hasMore": False},
    {"values": [{**listed(1, T0 + 5), "_deleted": False}], "cursor": T0 + 5, "hasMore": True},
    {
        "values": [{"_component": "", "_table": "users", "_ts": T0 + 6, "_deleted": True, "_id": id_of(2)}],
        "cursor": T0 + 9,
        "hasMore": False,
    },
]

# ---- page by page ----------------------------------------------------------------------------------------------


def of_function(value: Any) -> Answer:
    return {"status": "success", "value": value}


PAGED = [
    {"ts": "AHhqDpvCgRg="},
    of_function({"page": [document(1), document(2)], "isDone": False, "continueCursor": "q1"}),
    of_function({"page": [], "isDone": False, "continueCursor": "q2"}),
    of_function({"page": [document(3)], "isDone": True, "continueCursor": "q3"}),
]

CONVERSATIONS = {"data sync": SYNC, "deltas": DELTAS, "paged": PAGED}


def reader_of(way: str, client: Client, wanted: Wanted | None = None) -> ChangeReader:
    wanted = wanted or Wanted()
    if way == "data sync":
        return SyncReader(client, wanted)
    if way == "deltas":
        return DeltaReader(client, wanted)
    return PagedReader(client, wanted, [TableRef("", "users", 10001)], {})


def read(
    way: str, answers: Sequence[Any], cursor: str | None = None, wanted: Wanted | None = None
) -> tuple[list[Page], list[Answer]]:
    """Return the pages that a conversation gives, and the bodies of the requests."""
    with serving([ok(answer) for answer in answers]) as server, client_of(server) as client:
        pages = list(reader_of(way, client, wanted).pages(cursor))
    return pages, [json.loads(request.body) for request in server.requests]


# ---- spoiling --------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoiled(draw: st.DrawFn, answers: Sequence[Answer]) -> list[Any]:
    """Replace or remove one part of one answer, at any depth."""
    changed = copy.deepcopy(list(answers))
    position = draw(st.integers(0, len(changed) - 1))
    holder: Any = changed
    key: Any = position
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 4)):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    if isinstance(holder, dict) and draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(JSON_VALUES)
    return changed
