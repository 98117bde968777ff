"""Each health query: given rows, expected rows; empty, NULL and boundary included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer.analysis import artifacts, health
from analyzer.analysis.policy import HOUR_MS, STUCK_MS
from analyzer.model import FilterName
from analyzer.rules import load_all
from analyzer.store import Store
from analyzer.store.frame import Frame
from tests.analysis.leftovers import Document, helper_task, make_id, message, task, trace
from tests.storing import NOW_MS, put
from tests.support import golden_cases

WINDOWS = {"window_ms": HOUR_MS, "stuck_ms": STUCK_MS}
Rows = list[tuple[Any, ...]]
Open = Callable[..., Frame]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Return a function that stores documents and opens a prepared frame over them."""
    stores = []

    def open_frame(
        documents: Mapping[str, Sequence[Document]] | None = None,
        *,
        at_ms: int | None = None,
        filter_name: FilterName = FilterName.EVIDENCE,
        **how: Any,
    ) -> Frame:
        store = Store.read(put(tmp_path, documents or {}, **how))
        stores.append(store)
        frame = store.frame(store.snapshot(), at_ms)
        artifacts.prepare(frame, load_all(), orphans=filter_name is FilterName.WIDE)
        health.leave_out(frame, filter_name)
        return frame

    yield open_frame
    for store in stores:
        store.__exit__()


@pytest.mark.parametrize(
    "name", ["health/counts", "health/counts_left_out", "health/excluded", "health/recent_traces", "health/series"]
)
def test_an_empty_store_gives_no_rows(name: str, opened: Open) -> None:
    params = {
        "health/counts": WINDOWS,
        "health/counts_left_out": WINDOWS,
        "health/recent_traces": {"limit": 5},
        "health/series": WINDOWS | {"first_ms": 0, "step_ms": 1, "ticks": 9, "counted_ns": -1},
    }
    assert opened().rows(name, **params.get(name, {})) == []


def test_counts_are_by_table_measure_and_status(opened: Open) -> None:
    frame = opened(
        {
            "chatMessages": [
                message(1, 1),
                message(2, 1, status=...),
                message(3, 1, status="streaming", createdAt=1.0),
                message(4, 1, createdAt=...),
                message(5, 1, createdAt=..., _creationTime=...),
            ],
            "workflowTraces": [trace(1, 1, status="FAILED"), trace(2, 1, status="STARTED", startedAt=1.0)],
        }
    )
    assert frame.rows("health/counts", **WINDOWS) == [
        ("chatMessages", "redated", "complete", 1),
        ("chatMessages", "stuck", "streaming", 1),
        ("chatMessages", "undated", "complete", 1),
        ("chatMessages", "window", "complete", 2),
        ("chatMessages", "window", None, 1),
        ("workflowTraces", "recent", "FAILED", 1),
        ("workflowTraces", "recent", "STARTED", 1),
        ("workflowTraces", "stuck", "STARTED", 1),
        ("workflowTraces", "window", "FAILED", 1),
        ("workflowTraces", "window", "STARTED", 1),
    ]


def test_what_is_left_out_counts_by_the_same_measures(opened: Open) -> None:
    documents = {
        "tasks": [task(1), helper_task(2)],
        "chatMessages": [message(1, 1), message(2, 2, createdAt=...), message(3, 2, status="streaming", createdAt=1.0)],
        "workflowTraces": [trace(1, 2, status="STARTED", startedAt=1.0, createdAt=1.0), trace(2, 2), trace(3, 1)],
    }
    frame = opened(documents)
    assert frame.rows("health/counts_left_out", **WINDOWS) == [
        ("chatMessages", "redated", "complete", 1),
        ("chatMessages", "stuck", "streaming", 1),
        ("chatMessages", "window", "complete", 1),
        ("workflowTraces", "recent", "COMPLETED", 1),
        ("workflowTraces", "stuck", "STARTED", 1),
        ("workflowTraces", "window", "COMPLETED", 1),
    ]
    assert frame.rows("health/excluded") == [("chatMessages", 2), ("tasks", 1), ("workflowTraces", 2)]


def test_left_out_by_name_is_case_sensitive_and_takes_what_refers_to_the_task(opened: Open) -> None:
    documents = {
        "tasks": [task(1, title="a Test"), task(2, title="a test"), task(3, title=...)],
        "chatMessages": [message(1, 1), message(2, 2), message(3, 3)],
        "workflowTraces": [trace(1, 1), trace(2, 2)],
    }
    left = opened(documents, filter_name=FilterName.NAME).rows(
        "health/left_out", tiers=[], by_name=True, internal=False
    )
    assert [row[:2] for row in left] == [
        ("chatMessages", make_id("chatMessages", 1)),
        ("tasks", make_id("tasks", 1)),
        ("workflowTraces", make_id("workflowTraces", 1)),
    ]


def test_a_component_of_the_same_table_name_is_no_part_of_health(opened: Open) -> None:
    frame = opened({"tasks": [helper_task(1)], "billing/chatMessages": [message(1, 1)], "chatMessages": []})
    assert frame.rows("health/counts", **WINDOWS) == []
    assert frame.rows("health/excluded") == [("tasks", 1)]


def test_spans_of_a_series_begin_with_the_document_and_end_with_the_window(opened: Open) -> None:
    created = {"_creationTime": NOW_MS - 150.5, "createdAt": NOW_MS - 200.5}
    frame = opened({"chatMessages": [message(1, 1, **created)], "workflowTraces": [trace(1, 1, **created)]})
    windows = {"window_ms": 250, "stuck_ms": 100}
    rows = frame.rows("health/series", first_ms=NOW_MS - 300, step_ms=10, ticks=40, counted_ns=-1, **windows)
    assert rows == [
        ("chatMessages", "window", "complete", 15, 1),  # from -150 (floor of the creation)
        ("chatMessages", "window", "complete", 35, -1),  # until 49.5 (createdAt + window)
        ("workflowTraces", "recent", "COMPLETED", 15, 1),
        ("workflowTraces", "recent", "COMPLETED", 20, -1),
        ("workflowTraces", "window", "COMPLETED", 15, 1),
        ("workflowTraces", "window", "COMPLETED", 35, -1),
    ]


def test_a_stuck_span_begins_a_millisecond_past_the_limit_and_never_ends(opened: Open) -> None:
    born = {"createdAt": NOW_MS - 200.0, "_creationTime": NOW_MS - 200.0}
    waiting, pending = message(1, 1, status="streaming", **born), message(2, 1, status="pending", **born)
    frame = opened({"chatMessages": [waiting, pending]})
    at = {"step_ms": 1, "ticks": 300, "window_ms": 50, "stuck_ms": 100, "counted_ns": -1}
    assert frame.rows("health/series", first_ms=NOW_MS - 200, **at) == [
        ("chatMessages", "stuck", "streaming", 101, 1),
        ("chatMessages", "window", "pending", 0, 1),
        ("chatMessages", "window", "pending", 51, -1),
        ("chatMessages", "window", "streaming", 0, 1),
        ("chatMessages", "window", "streaming", 51, -1),
    ]


def test_a_replaced_revision_counts_until_the_snapshot_that_saw_it_replaced(tmp_path: Path, opened: Open) -> None:
    born = {"_creationTime": NOW_MS - 90.0, "createdAt": NOW_MS - 90.0}
    put(
        tmp_path,
        {"chatMessages": [message(1, 1, status="streaming", **born), message(2, 1, **born)]},
        at_ms=NOW_MS - 50,
    )
    frame = opened({"chatMessages": [message(1, 1, **born)]})
    at = {"step_ms": 10, "ticks": 20, "window_ms": 10_000, "stuck_ms": 30, "counted_ns": -1}
    assert frame.rows("health/series", first_ms=NOW_MS - 100, **at) == [
        ("chatMessages", "stuck", "streaming", 5, 1),
        ("chatMessages", "stuck", "streaming", 10, -1),
        ("chatMessages", "window", "complete", 1, 1),
        ("chatMessages", "window", "streaming", 1, 1),
        ("chatMessages", "window", "streaming", 10, -1),
    ]


def test_spans_of_what_is_left_out_stay_within_their_ticks(opened: Open) -> None:
    born = {"_creationTime": NOW_MS - 90.0, "createdAt": NOW_MS - 90.0}
    documents = {"tasks": [helper_task(1)], "chatMessages": [message(1, 1, status="pending", **born)]}
    frame = opened(documents)
    grid = {"first_ms": NOW_MS - 100, "step_ms": 10, "window_ms": 50, "stuck_ms": 20}
    for from_tick, until_tick, expected in ((0, 9, (1, 7)), (3, 4, (3, 5)), (7, 9, ())):
        rows = frame.rows("health/series_left_out", **grid, from_tick=from_tick, until_tick=until_tick)
        changes = zip(expected, (1, -1), strict=False)
        assert rows == [("chatMessages", "window", "pending", *change) for change in changes]


def test_responses_are_nearest_ranks_of_completed_traces_by_tick(opened: Open) -> None:
    at = {"_creationTime": float(NOW_MS), "createdAt": float(NOW_MS)}
    traces = [trace(n, 1, totalDurationMs=float(10 * n), **at) for n in (1, 2, 3)]
    ours = trace(9, 2, totalDurationMs=900.0, **at)
    running = trace(8, 1, status="STARTED", totalDurationMs=1.0, **at)
    frame = opened({"tasks": [task(1), helper_task(2)], "workflowTraces": [*traces, ours, running, trace(7, 1, **at)]})
    span = {"first_ms": NOW_MS - 1, "step_ms": 1, "from_tick": 0, "until_tick": 3, "window_ms": 1}
    assert frame.rows("health/responses", **span, percent=50) == [
        (1, False, 20.0, 4),
        (1, True, 20.0, 3),
        (2, False, 20.0, 4),
        (2, True, 20.0, 3),
    ]
    assert frame.rows("health/responses", **span, percent=95)[:2] == [(1, False, 900.0, 4), (1, True, 30.0, 3)]


@pytest.mark.parametrize("name", ["recent_traces_order_and_limit", "all_trace_statuses", "random_seed_20251216_n150"])
def test_recent_traces_are_those_that_the_function_lists(name: str, opened: Open) -> None:
    case = golden_cases()[name]
    frame = opened(case["documents"], at_ms=case["now_ms"], keep_text=True)
    found = frame.records("health/recent_traces", limit=20)
    expected = [
        {
            "id": row["id"],
            "trace_id": row["traceId"],
            "status": row["status"],
            "model": row["model"],
            "created_at_ms": row["createdAt"],
            "completed_at_ms": row.get("completedAt"),
            "duration_ms": row["durationMs"],
            "error_message": row.get("errorMessage"),
        }
        for row in case["expected"]["getRecentTraces"]
    ]
    assert found == expected


def test_documents_first_seen_after_the_clock_are_those_of_later_snapshots(tmp_path: Path, opened: Open) -> None:
    early = NOW_MS - 1000
    old = message(1, 1, status="streaming", _creationTime=early - 1.0, createdAt=1.0)
    put(tmp_path, {"chatMessages": [old]}, at_ms=early)
    documents = {"chatMessages": [old, message(2, 1, _creationTime=early - 1.0)], "workflowTraces": [trace(1, 1)]}
    frame = opened(documents, at_ms=NOW_MS)
    assert frame.rows("health/from_later", window_ms=HOUR_MS) == [(0,)]
    with Store.read(tmp_path / "store.duckdb") as store:
        earlier = store.frame(store.snapshot(), early)
        assert earlier.rows("health/from_later", window_ms=HOUR_MS) == [(2,)]
        assert earlier.rows("health/from_later", window_ms=1) == [(0,)]
