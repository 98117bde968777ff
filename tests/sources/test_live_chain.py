"""The next page is asked for by the end of this one, before this one is parsed, and never by a wrong cursor in vain."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.convex.client import Client, Limits
from analyzer.convex.retry import Timing
from analyzer.errors import SourceInvalid
from analyzer.pauses import no_cycles_sought
from analyzer.sources.live_chain import EDGE_BYTES, Chain, edges
from tests.convex.scripted import FakeTiming, Reply, Request, ScriptedServer, ok, serving
from tests.sources.live_pages_of import CONVERSATIONS, T0, read

PAGE = {"values": [{"_id": "a", "list": [1, "]"]}], "snapshot": T0, "cursor": "p1", "hasMore": True}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5) | st.sampled_from('[]{},:"\\'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def follow(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    return {"cursor": fields["cursor"]} if fields.get("hasMore") is True and "cursor" in fields else None


def cursors(requests: list[Request]) -> list[Any]:
    return [orjson.loads(request.body).get("cursor") for request in requests]


def cut_in_the_middle(page: Any) -> bytes:
    """Return a page that begins and ends as it should, and is no JSON."""
    return orjson.dumps(page).replace(b'"values":[', b'"values":[[', 1)


# ---- the end of a page -----------------------------------------------------------------------------------------


def test_the_fields_around_lists_are_read_without_the_lists() -> None:
    text = orjson.dumps({"status": {"type": "stale"}, "truncates": [[]], "values": [{"a": ["]", "["]}], "next": "c"})
    assert {name: edges(text).get(name) for name in ("status", "values", "next")} == {
        "status": {"type": "stale"},
        "values": None,
        "next": "c",
    }


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"]",
        b"[",
        b'{"cursor":"a]b","values":1}',
        b'{"values":[],"cursor":"a]b"}',
        b'{"values":[],"cursor":"a"',
        b'{"values":[],"cursor":"' + b"a" * EDGE_BYTES + b'"}',
        b'{"values":[' + b"[" * 100_000,
    ],
)
def test_where_the_end_cannot_be_told_no_cursor_is(text: bytes) -> None:
    assert "cursor" not in edges(text)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), JSON)
@example({}, "]")
def test_the_end_of_a_page_is_what_the_page_says_whatever_its_documents_hold(
    documents: dict[str, Any], more: object
) -> None:
    text = orjson.dumps({"values": [documents, more], "snapshot": T0, "cursor": "p1", "hasMore": True})
    assert follow(edges(text)) == {"cursor": "p1"}


# ---- asking by it ----------------------------------------------------------------------------------------------


def patient(server: ScriptedServer, fake: FakeTiming) -> Client:
    return Client(server.url, timing=Timing(fake.monotonic_s, fake.sleep_s, fake.draw))


def test_the_next_page_is_asked_for_before_this_one_is_parsed() -> None:
    last = {"values": [], "snapshot": T0, "cursor": None, "hasMore": False}
    first = [ok(PAGE), Reply(body=cut_in_the_middle(PAGE))]
    is_next_asked = threading.Event()

    def answer(request: Request) -> Reply:
        if orjson.loads(request.body).get("cursor") is None:
            assert len(first) == 2 or is_next_asked.wait(60)
            return first.pop()
        is_next_asked.set()
        return ok(last)

    with serving(answer) as server, patient(server, FakeTiming()) as client:
        chain = Chain(client, "/pages", follow)
        chain.ask({})
        assert chain.answer() == PAGE  # asked for again, for it was none; by then the next one was under way
        assert is_next_asked.is_set()
        chain.ask({"cursor": "p1"})
        assert chain.answer() == last
        assert sorted(cursors(server.requests), key=str) == [None, None, "p1"]


def test_a_page_asked_for_by_a_wrong_guess_is_thrown_away() -> None:
    misleading = b'{"cursor":"wrong","hasMore":true,"values":[],"cursor":"right","text":"]"}'
    pages = {None: misleading, "wrong": b'"of the wrong place"', "right": b'"of the right place"'}

    def answer(request: Request) -> Reply:
        return Reply(body=pages[orjson.loads(request.body).get("cursor")])

    with serving(answer) as server, Client(server.url) as client:
        chain = Chain(client, "/pages", follow)
        chain.ask({})
        found = chain.answer()
        assert found["cursor"] == "right"
        chain.ask({"cursor": found["cursor"]})
        assert chain.answer() == "of the right place"
        assert cursors(server.requests)[0] is None
        assert sorted(cursors(server.requests)[1:]) == ["right", "wrong"]


def test_nonsense_is_asked_for_as_often_as_ever_and_then_refused() -> None:
    with serving([Reply(body=b"{")]) as server:
        timing = FakeTiming()
        with patient(server, timing) as client, pytest.raises(SourceInvalid, match="JSON"):
            chain = Chain(client, "/pages", follow)
            chain.ask({})
            chain.answer()
        assert len(server.requests) == 1 + client.limits.policy.brief_repeats
        assert timing.slept_s == [0.25, 0.5]


def test_a_page_is_parsed_although_the_request_for_the_next_one_cannot_leave_yet() -> None:
    with serving([ok(PAGE)]) as server, Client(server.url, limits=Limits(at_once=1)) as client:
        chain = Chain(client, "/pages", follow)
        chain.ask({})
        assert chain._asked
        chain._asked.answer.wait()
        with client._wire.traffic.slot():
            assert chain.answer() == PAGE
        assert chain.answer() == PAGE


def test_a_page_that_was_read_is_let_go_although_nobody_seeks_cycles() -> None:
    with serving([ok(PAGE)]) as server, Client(server.url) as client, no_cycles_sought():
        chain = Chain(client, "/pages", follow)
        chain.ask({})
        assert chain._asked
        asked = weakref.ref(chain._asked)
        assert chain.answer() == PAGE
        assert asked() is None
        chain.answer()


@pytest.mark.parametrize("way", ["data sync", "deltas"])
def test_no_more_pages_are_asked_for_than_there_are(way: str) -> None:
    assert len(read(way, CONVERSATIONS[way])[1]) == len(CONVERSATIONS[way])
