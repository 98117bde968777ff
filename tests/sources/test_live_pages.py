"""The three ways of reading documents, against servers that say exactly what they are told to."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import AnalyzerError, CursorExpired, SourceError, SourceInvalid
from analyzer.sources import live_pages
from analyzer.sources.live_paged import side_by_side
from analyzer.sources.live_pages import Page, Wanted, way_of
from tests.convex.scripted import ok, serving
from tests.sources.live_pages_of import (
    CONVERSATIONS,
    DELTAS,
    PAGED,
    SYNC,
    T0,
    Answer,
    client_of,
    document,
    id_of,
    listed,
    of_function,
    read,
    reader_of,
    spoiled,
    sync_page,
    synced,
)

WAYS = sorted(CONVERSATIONS)


def ids_in(pages: Sequence[Page]) -> list[str]:
    return [change.id for page in pages for change in page.values]


def refused(way: str, answers: Sequence[Any]) -> str:
    with pytest.raises(SourceInvalid) as caught:
        read(way, answers)
    return str(caught.value)


# ---- as it should be -------------------------------------------------------------------------------------------


def test_data_sync_is_followed_until_it_is_up_to_date() -> None:
    pages, asked = read("data sync", SYNC)
    assert [body.get("cursor") for body in asked] == [None, "c1", "c2"]
    assert [(page.is_fresh, page.consistent, page.is_last) for page in pages] == [
        (True, False, False),
        (False, True, False),
        (False, True, True),
    ]
    assert [page.snapshot_ts_ns for page in pages] == [None, T0 + 1, T0 + 2]
    assert pages[0].truncates == (("", "users"),)
    assert ids_in(pages) == [id_of(1), id_of(2), id_of(3), id_of(1)]
    gone = pages[2].values[0]
    assert (gone.deleted, gone.document, gone.ts_ns) == (True, None, T0 + 2)


def test_a_snapshot_is_read_at_one_moment_and_then_the_deltas_after_it() -> None:
    pages, asked = read("deltas", DELTAS)
    assert [(body.get("snapshot"), body.get("cursor")) for body in asked] == [
        (None, None),
        (T0, "p1"),
        (T0, "p2"),
        (None, T0),
        (None, T0 + 5),
    ]
    assert {body["format"] for body in asked} == {"convex_encoded_json"}
    assert [page.snapshot_ts_ns for page in pages] == [None, None, T0, T0 + 5, T0 + 9]
    assert [page.is_fresh for page in pages] == [True, False, False, False, False]
    assert [page.is_last for page in pages] == [False, False, False, False, True]
    assert [change.ts_ns for page in pages for change in page.values] == [T0 - 9, T0 - 8, T0 - 7, T0 + 5, T0 + 6]
    assert pages[3].values[0].document == document(1)


def test_pages_of_tables_are_read_at_one_moment_and_are_whole_only_at_the_end() -> None:
    pages, asked = read("paged", PAGED)
    assert {body["ts"] for body in asked[1:]} == {"AHhqDpvCgRg="}
    assert [body["args"]["paginationOpts"]["cursor"] for body in asked[1:]] == [None, "q1", "q2"]
    assert ids_in(pages) == [id_of(1), id_of(2), id_of(3)]
    assert [page.consistent for page in pages] == [False] * 4 + [True]
    assert pages[0].is_fresh
    assert pages[-1].is_last
    assert {page.next_cursor for page in pages} == {None}


@pytest.mark.parametrize("way", ["data sync", "deltas"])
def test_reading_goes_on_from_every_cursor_as_if_it_had_never_stopped(way: str) -> None:
    whole, _ = read(way, CONVERSATIONS[way])
    for stop in range(len(whole) - 1):
        rest, _ = read(way, CONVERSATIONS[way][stop + 1 :], whole[stop].next_cursor)
        assert rest == whole[stop + 1 :]


@pytest.mark.parametrize("way", ["data sync", "deltas"])
def test_a_second_read_asks_for_what_is_new_alone(way: str) -> None:
    cursor = read(way, CONVERSATIONS[way])[0][-1].next_cursor
    nothing_new = {"data sync": sync_page("upToDate", "c3", ts=T0 + 9), "deltas": {**DELTAS[4], "values": []}}[way]
    pages, asked = read(way, [nothing_new], cursor)
    assert len(asked) == 1
    assert asked[0]["cursor"] == {"data sync": "c3", "deltas": T0 + 9}[way]
    assert [(page.is_fresh, page.is_last, list(page.values)) for page in pages] == [(False, True, [])]
    assert pages[0].snapshot_ts_ns == T0 + 9


def test_values_of_the_older_pair_are_decoded_and_int64_stays_apart_from_float64() -> None:
    value: dict[str, Any] = {
        "big": {"$integer": "/////////38="},
        "whole": 5.0,
        "bare": 7,
        "nan": {"$float": "AAAAAAAA+H8="},
        "deep": [{"n": {"$integer": "AQAAAAAAAAA="}}],
        "raw": {"$bytes": "AAEC"},
        "_reserved": "for the platform",
    }
    page = {"values": [listed(1, T0 - 1, **value)], "snapshot": T0, "cursor": None, "hasMore": False}
    found = read("deltas", [page, {**DELTAS[4], "values": []}])[0][0].values[0].document
    assert found == document(
        1,
        big=2**63 - 1,
        whole=5.0,
        bare=7.0,
        nan={"$float": "AAAAAAAA+H8="},
        deep=[{"n": 1}],
        raw={"$bytes": "AAEC"},
    )
    assert [type(found[name]) for name in ("big", "whole", "bare")] == [int, float, float]


# ---- what was not asked for ------------------------------------------------------------------------------------

USERS_WITHOUT_NAMES = Wanted(frozenset({("", "users")}), {("", "users"): frozenset({"name"})})


def test_the_filter_is_written_in_the_words_that_old_versions_know() -> None:
    assert USERS_WITHOUT_NAMES.selection() == {
        "": {"users": {"name": "excl", "_other": "incl"}, "_other": "excl"},
        "_other": "excl",
    }
    assert Wanted().selection() is None
    assert Wanted(left_out={("", "chatMessages"): frozenset({"content"})}).selection() == {
        "": {"chatMessages": {"content": "excl", "_other": "incl"}, "_other": "incl"},
        "_other": "incl",
    }


@pytest.mark.parametrize("way", WAYS)
def test_tables_and_fields_that_were_not_asked_for_end_at_the_door(way: str) -> None:
    answers = {
        "data sync": [
            sync_page(
                "upToDate",
                "c",
                synced(1, name="Ann", email="a"),
                synced(2, table="secrets"),
                synced(3, component="other"),
                synced(4, table="_scheduled_jobs"),
                truncates=[{"component": "", "table": "secrets"}],
            )
        ],
        "deltas": [
            {
                "values": [listed(1, T0 - 1, name="Ann", email="a"), listed(2, T0 - 1, "secrets")],
                "snapshot": T0,
                "cursor": None,
                "hasMore": False,
            },
            {"values": [{**listed(3, T0 + 1, "_users"), "_deleted": False}], "cursor": T0 + 1, "hasMore": False},
        ],
        "paged": [
            PAGED[0],
            of_function({"page": [document(1, name="Ann", email="a")], "isDone": True, "continueCursor": "x"}),
        ],
    }[way]
    pages, asked = read(way, answers, wanted=USERS_WITHOUT_NAMES)
    assert [change.document for page in pages for change in page.values] == [document(1, email="a")]
    assert not any(page.truncates for page in pages)
    if way != "paged":
        assert all(body["selection"] == USERS_WITHOUT_NAMES.selection() for body in asked)


def test_the_platforms_own_tables_are_never_taken_for_the_apps() -> None:
    pages, _ = read("data sync", [sync_page("upToDate", "c", synced(1), synced(2, table="_storage"))])
    assert ids_in(pages) == [id_of(1)]


# ---- cursors ---------------------------------------------------------------------------------------------------


def test_a_cursor_is_good_only_for_its_way_and_its_selection() -> None:
    pages, _ = read("data sync", SYNC)
    cursor = pages[0].next_cursor
    assert cursor is not None
    assert way_of(cursor) == "data sync"
    for way, wanted in (("deltas", None), ("data sync", USERS_WITHOUT_NAMES)):
        with pytest.raises(CursorExpired, match="has changed since the last time"):
            read(way, [SYNC[2]], cursor, wanted)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"way":"deltas"}'])
def test_a_damaged_cursor_means_to_start_over(text: str) -> None:
    with pytest.raises(CursorExpired):
        read("deltas", DELTAS, text)


# ---- bad servers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers",
    [
        [sync_page("stale", "same", ts=T0), sync_page("stale", "same", ts=T0)],
        [sync_page("snapshotting", cursor) for cursor in ("a", "b", "a")],
    ],
)
def test_a_sync_that_goes_in_circles_is_noticed(answers: list[Answer]) -> None:
    assert "it gives the same cursor again" in refused("data sync", answers)


def test_a_snapshot_that_starts_over_is_noticed_although_its_cursors_differ() -> None:
    def page(number: int, *values: Answer) -> Answer:
        return {"values": list(values), "snapshot": T0, "cursor": f"p{number}", "hasMore": True}

    users, tasks = listed(1, T0 - 1), listed(2, T0 - 1, "tasks")
    assert "a table comes again" in refused("deltas", [page(1, users), page(2, tasks), page(3, users)])
    assert "documents come again" in refused("deltas", [page(1, users), page(2, users)])


@pytest.mark.parametrize("way", WAYS)
def test_empty_pages_without_end_are_given_up(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pages, "MAX_EMPTY_PAGES", 20)
    endless = {
        "data sync": [sync_page("snapshotting", f"c{n}") for n in range(30)],
        "deltas": [{"values": [], "snapshot": T0, "cursor": f"c{n}", "hasMore": True} for n in range(30)],
        "paged": [
            PAGED[0],
            *(of_function({"page": [], "isDone": False, "continueCursor": f"c{n}"}) for n in range(30)),
        ],
    }[way]
    assert "pages in a row are empty" in refused(way, endless)


@pytest.mark.parametrize(
    ("way", "answers", "says"),
    [
        ("data sync", [sync_page("upToDate", "c", ts=1.7e18)], "exact timestamps"),
        ("data sync", [sync_page("upToDate", "c", synced(1, True))], "exact timestamps"),
        ("data sync", [sync_page("upToDate", "c", ts=2**63)], "exact timestamps"),
        ("data sync", [sync_page("stale", "c", ts=T0), sync_page("stale", "d", ts=T0 - 1)], "time going forward"),
        ("data sync", [sync_page("resting", "c")], "a status that is known"),
        ("data sync", [{}], "a status and a cursor"),
        ("data sync", [[1]], "a page"),
        ("data sync", [sync_page("upToDate", "c", {"value": {}})], "tables of documents"),
        ("data sync", [sync_page("upToDate", "c", {**synced(1), "value": {}})], "ids of documents"),
        ("data sync", [sync_page("upToDate", "c", {**synced(1), "value": None})], "whole documents"),
        ("data sync", [sync_page("upToDate", "c", {**synced(1), "deleted": None})], "whole documents"),
        ("data sync", [sync_page("upToDate", "c", truncates=[{"table": "x"}])], "tables of documents"),
        ("deltas", [DELTAS[0], {**DELTAS[1], "snapshot": T0 + 1}], "the moment that was asked for"),
        ("deltas", [{**DELTAS[0], "cursor": None}], "a cursor"),
        ("deltas", [{**DELTAS[2], "values": [listed(1, T0 + 1)]}], "documents of the moment"),
        ("deltas", [{**DELTAS[2], "hasMore": 1}], "a page"),
        ("deltas", [DELTAS[2], {**DELTAS[3], "cursor": T0 - 1}], "changes between its cursors"),
        ("deltas", [DELTAS[2], {**DELTAS[3], "cursor": T0 + 4}], "changes between its cursors"),
        ("deltas", [DELTAS[2], {"values": [], "cursor": T0, "hasMore": True}], "the same cursor again"),
        ("deltas", [{**DELTAS[2], "values": [listed(1, T0, x={"$integer": "?"})]}], "values that can be read"),
        ("paged", [PAGED[0], of_function([])], "a page"),
        ("paged", [PAGED[0], PAGED[1], PAGED[1]], "it gives the same cursor again"),
        ("paged", [PAGED[0], of_function({"page": [5], "isDone": True})], "a list of documents"),
    ],
)
def test_a_page_that_makes_no_sense_is_refused_with_what_it_lacks(way: str, answers: list[Any], says: str) -> None:
    assert says in refused(way, answers)


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("way", WAYS)
def test_a_page_spoiled_anywhere_is_read_or_refused_and_nothing_else(way: str, data: st.DataObject) -> None:
    answers = data.draw(spoiled(CONVERSATIONS[way]))
    try:
        pages, _ = read(way, answers)
    except AnalyzerError as error:
        assert isinstance(error, SourceError)
        assert str(error).isprintable()
    else:
        for change in (change for page in pages for change in page.values):
            assert type(change.ts_ns) is int
            assert change.deleted == (change.document is None)


# ---- one page ahead --------------------------------------------------------------------------------------------


def test_the_next_page_is_fetched_while_this_one_is_kept() -> None:
    fetched = threading.Event()

    def chain() -> Iterator[Page]:
        yield Page([])
        fetched.set()
        yield Page([], is_last=True)

    pages = side_by_side([chain], 1)
    next(pages)
    assert fetched.wait(timeout=20)
    assert next(pages).is_last


def test_chains_side_by_side_give_everything_once() -> None:
    chains = [
        lambda number=number: iter([Page([], next_cursor=f"{number}/{n}") for n in range(5)]) for number in range(9)
    ]
    found = [page.next_cursor for page in side_by_side(chains, 4)]
    assert sorted(str(cursor) for cursor in found) == sorted(f"{a}/{b}" for a in range(9) for b in range(5))


def test_an_error_in_any_chain_ends_all_of_them() -> None:
    def endless() -> Iterator[Page]:
        while True:
            yield Page([])

    def failing() -> Iterator[Page]:
        yield Page([])
        raise SourceInvalid("no")

    with pytest.raises(SourceInvalid, match="no"):
        for _ in side_by_side([endless, failing, endless], 3):
            pass


def test_nothing_is_fetched_for_a_reader_that_has_left() -> None:
    with serving([ok(answer) for answer in SYNC]) as server, client_of(server) as client:
        reader = reader_of("data sync", client)
        pages = side_by_side([lambda: reader.pages(None)], 1)
        next(pages)
        assert isinstance(pages, Generator)
        pages.close()
    assert len(server.requests) <= 3
