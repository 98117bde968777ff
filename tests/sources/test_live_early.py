"""What is asked about a moment before the last page of a snapshot is here is what would be asked behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from analyzer.convex.beside import Beside
from analyzer.convex.functions import now_ns
from analyzer.model import SourceInfo
from analyzer.sources.live import LiveSource
from tests.collect.test_live import gather, held, message
from tests.collect.test_live import truth as stored_truth
from tests.deployment import Deployment
from tests.sources.live_truth import Folded, reading, restrict, truth

SNAPSHOT, DELTAS = "/api/list_snapshot", "/api/document_deltas"
SIZE, TOTAL = "_system/cli/tableSize", "_system/frontend/tableSize:sizeOfAllTables"
MESSAGES, TASKS = 9, 7
PAGES = MESSAGES + TASKS + 2  # of one document each, and an empty one behind each table


@contextmanager
def one_by_one() -> Iterator[Deployment]:
    """Give a deployment of two tables, read in pages of one document."""
    with Deployment() as d:
        restrict(d, "deltas")
        d.settings.snapshot_rows = 1
        d.insert_many("chatMessages", [message(d, "complete")] * MESSAGES)
        d.insert_many("tasks", [{"title": f"task {n}"} for n in range(TASKS)])
        d.clock.advance_ms(10)
        yield d


def until(holds: Callable[[], Any]) -> None:
    pause = Event()
    for _ in range(12_000):
        if holds():
            return
        pause.wait(0.005)
    raise AssertionError("it never came to that")


def knows_how_many(source: LiveSource) -> bool:
    """Tell whether it was told how many documents there are."""
    return bool(source._early and source._early._documents and source._early._documents.is_over())


def read_two(d: Deployment, source: LiveSource) -> tuple[Beside[Folded], Callable[[], None]]:
    """Read two pages, and only then be told how many documents there are; the rest comes with the returned call.

    So it is the third page at which the reader knows that the end is near.
    """
    total, third = d.faults.hold(function=TOTAL), d.faults.hold(path=SNAPSHOT, skip=2)
    taken = []

    def read() -> Folded:
        folded = Folded()
        for page in source.changes():
            folded.apply(page)
            taken.append(page)
        return folded

    reading_ = Beside(read)
    until(lambda: len(taken) == 2)
    total.open()
    until(lambda: knows_how_many(source))
    return reading_, third.open


def foresee(d: Deployment, source: LiveSource) -> tuple[Beside[Folded], Callable[[], None]]:
    """Read until the last page, which is held back; the rest comes with the call that is returned."""
    last = d.faults.hold(path=SNAPSHOT, skip=PAGES - 1)
    reading_, go_on = read_two(d, source)
    go_on()
    assert last.reached.wait(60)
    return reading_, last.open


def messages_by(info: SourceInfo) -> int:
    """Return how many messages the app's own function saw."""
    (health,) = (answer.value for answer in info.answers if answer.function.endswith(":getSystemHealth"))
    return int(health["messages"]["total"])


def test_everything_is_asked_about_the_moment_before_the_last_page_and_not_again() -> None:
    with one_by_one() as d, reading(d) as source:
        reading_, go_on = foresee(d, source)
        until(lambda: len(d.called(SIZE)) == 2)
        go_on()
        folded = reading_.result()
        assert folded.snapshot_ts_ns is not None
        info, tables, counts = source.info, source.tables(), source.counts(folded.snapshot_ts_ns)
        assert (len(d.called(SIZE)), len(d.called(DELTAS)), len(d.called(SNAPSHOT))) == (2, 1, PAGES)
        assert folded.documents == truth(d, folded.snapshot_ts_ns)
    assert messages_by(info) == MESSAGES
    assert (info.source_time_ns, [table.name for table in tables]) == (folded.snapshot_ts_ns, ["chatMessages", "tasks"])
    assert counts == {("", "chatMessages"): MESSAGES, ("", "tasks"): TASKS}
    assert d.most_at_once <= 4


def test_another_moment_than_the_foreseen_one_is_asked_about_anew() -> None:
    with one_by_one() as d, reading(d) as source:
        reading_, go_on = foresee(d, source)
        until(lambda: len(d.called(SIZE)) == 2)
        go_on()
        reading_.result()
        d.clock.advance_ms(10)
        d.insert("tasks", {"title": "later"})
        assert source.counts(now_ns(source.connection.client))["", "tasks"] == TASKS + 1


def test_what_is_written_before_the_deltas_are_asked_for_is_in_them_and_what_comes_later_is_not() -> None:
    with one_by_one() as d, reading(d) as source:
        last = d.faults.hold(path=SNAPSHOT, skip=PAGES - 1)
        reading_, go_on = read_two(d, source)
        d.insert("chatMessages", message(d, "failed"))
        go_on()
        assert last.reached.wait(60)
        until(lambda: len(d.called(SIZE)) == 2)
        d.clock.advance_ms(10)
        d.insert("chatMessages", message(d, "failed"))
        last.open()
        folded = reading_.result()
        assert folded.snapshot_ts_ns is not None
        assert (
            source.counts(folded.snapshot_ts_ns)["", "chatMessages"]
            == len(folded.documents["", "chatMessages"])
            == MESSAGES + 1
        )
        assert messages_by(source.info) == MESSAGES + 1
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


def test_deltas_that_do_not_end_there_leave_everything_to_the_moment_at_which_they_do() -> None:
    with one_by_one() as d, reading(d) as source:
        d.settings.delta_rows = 2
        last = d.faults.hold(path=SNAPSHOT, skip=PAGES - 1)
        reading_, go_on = read_two(d, source)
        for _ in range(6):
            d.insert("chatMessages", message(d, "failed"))
        go_on()
        assert last.reached.wait(60)
        until(lambda: len(d.called(DELTAS)) == 1)
        last.open()
        folded = reading_.result()
        assert d.called(SIZE) == []
        assert folded.snapshot_ts_ns is not None
        assert source.counts(folded.snapshot_ts_ns)["", "chatMessages"] == MESSAGES + 6
        assert source.info.source_time_ns == folded.snapshot_ts_ns
        assert messages_by(source.info) == MESSAGES + 6
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


def test_pages_never_wait_for_what_is_asked_beside_them() -> None:
    with one_by_one() as d, reading(d) as source:
        beside = d.faults.hold(path="/api/query_at_ts", times=None)
        reading_, go_on = read_two(d, source)
        try:
            go_on()
            until(reading_.is_over)
            assert beside.reached.is_set()
        finally:
            d.faults.clear()
        assert source.counts(reading_.result().snapshot_ts_ns or 0) == {
            ("", "chatMessages"): MESSAGES,
            ("", "tasks"): TASKS,
        }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.faults.refuse(403, "OperationNotPermitted", function=TOTAL, times=None),
        lambda d: d.faults.answer(200, b'{"status":"success","value":"many"}', function=TOTAL, times=None),
        lambda d: d.insert_many("entries", [{"n": 1.0}], component="waitlist"),
    ],
)
def test_where_nobody_tells_how_many_documents_there_are_the_deltas_come_last(
    spoil: Callable[[Deployment], Any],
) -> None:
    with one_by_one() as d, reading(d) as source:
        spoil(d)
        reading_, go_on = read_two(d, source)
        go_on()
        folded = reading_.result()
        pages = [noted.path for noted in d.requests if noted.path in (SNAPSHOT, DELTAS)]
        assert pages == [SNAPSHOT] * (len(pages) - 1) + [DELTAS]
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


def test_a_table_replaced_while_the_snapshot_was_read_is_noticed_and_everything_read_again(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment() as d:
        restrict(d, "deltas")
        d.settings.snapshot_rows = 1
        d.insert_many("chatMessages", [message(d, "complete")] * PAGES)
        d.clock.advance_ms(10)
        gate = d.faults.hold(path=SNAPSHOT, skip=6)
        collecting = Beside(lambda: gather(d, store))
        assert gate.reached.wait(60)
        until(lambda: d.called(TOTAL))
        d.replace_table("chatMessages", [message(d, "failed")] * 3)
        d.clock.advance_ms(10)
        gate.open()
        found = collecting.result()
        assert any("everything was read again" in warning for warning in found.snapshot.warnings)
        assert held(store, 1) == stored_truth(d)
