"""The queries of comparisons by themselves: columns as their headers say, the same rows again, and empty windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer import rules, sql
from analyzer.analysis import artifacts, compare
from analyzer.analysis.windows import Windows
from analyzer.model import FilterName
from analyzer.store import Frame, Store
from tests import storing
from tests.analysis.test_compare import MINUTE, T0, WINDOWS, message, task, trace
from tests.storing import make_id

NAMES = [name for name in sql.names() if name.startswith("compare/")]
BOUNDS = {
    "base_from_ms": WINDOWS.base_from_ms,
    "base_to_ms": WINDOWS.base_to_ms,
    "after_from_ms": WINDOWS.after_from_ms,
    "after_to_ms": WINDOWS.after_to_ms,
}
PARAMS: dict[str, dict[str, Any]] = {
    "compare/document": BOUNDS
    | {
        "running_ms": 15 * MINUTE,
        "stuck_ms": 5 * MINUTE,
        "flip_ms": [T0],
        "priced_models": ["a"],
        "input_prices": [2.5],
        "output_prices": [10.0],
    },
    "compare/left_out_counts": BOUNDS,
    "compare/order_statistics": {"side": "after", "measure": "duration_ms", "ranks": [1, 2, 9]},
    "compare/buckets": {"first_ms": T0 - 5 * MINUTE, "step_ms": MINUTE, "buckets": 10},
    "compare/function_latency": BOUNDS | {"settle_ms": 10 * MINUTE, "from_log": True},
    "compare/latency_statistics": {"side": "after", "ranks": [1]},
    "compare/groups": {"table_name": "chatMessages", "by_failure": True, "most_ids": 1},
    "compare/smoke_task": {"id": make_id("tasks", 1)},
}


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frame]:
    documents = {
        "tasks": [task(1), task(2, isScratchpad=True)],
        "chatMessages": [
            message(1, T0 - MINUTE, llmModel="a"),
            message(2, T0, "failed", llmModel="a"),
            message(3, T0, "failed", task=2),
            message(4, T0, role="USER", task=9),
        ],
        "workflowTraces": [trace(1, T0, totalDurationMs=9.0), trace(2, T0, totalDurationMs=3.0)],
    }
    path: Path = storing.put(tmp_path_factory.mktemp("compare"), documents)
    with Store.read(path) as store:
        found = store.frame(store.snapshot())
        artifacts.prepare(found, rules.load_all(), orphans=True)
        compare.tally(found, WINDOWS, FilterName.NONE)
        found.materialise("function_latency", "compare/function_latency", **PARAMS["compare/function_latency"])
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_a_query_returns_the_columns_of_its_header(frame: Frame, name: str) -> None:
    result = frame._run(name, PARAMS.get(name, {}))
    found = [(column[0], str(column[1])) for column in result.description or ()]
    assert found == [(column.name, column.type) for column in sql.load(name).returns]


@pytest.mark.parametrize("name", NAMES)
def test_a_query_gives_the_same_rows_in_the_same_order_again(frame: Frame, name: str) -> None:
    params = PARAMS.get(name, {})
    assert frame.rows(name, **params) == frame.rows(name, **params)


def test_ranks_beyond_the_values_give_no_row(frame: Frame) -> None:
    assert frame.rows("compare/order_statistics", side="after", measure="duration_ms", ranks=[1, 2, 9]) == [
        (1, 3.0),
        (2, 9.0),
    ]


def test_groups_name_at_most_as_many_documents_as_asked(frame: Frame) -> None:
    rows = frame.records("compare/groups", table_name="chatMessages", by_failure=True, most_ids=1)
    classes = {(r["group_name"], r["side"]): (r["n"], r["k"], r["ids"]) for r in rows if r["dimension"] == "task_class"}
    assert classes == {
        ("gone", "after"): (1, 0, []),
        ("repository", "after"): (1, 1, [make_id("chatMessages", 2)]),
        ("repository", "baseline"): (1, 0, []),
        ("scratchpad", "after"): (1, 1, [make_id("chatMessages", 3)]),
    }


def test_a_smoke_task_that_never_was_is_no_row(frame: Frame) -> None:
    assert frame.rows("compare/smoke_task", id="nobody") == []
    gone = frame.records("compare/smoke_task", id=make_id("tasks", 9))
    assert [(row["exists_now"], row["message_count"], row["reply_count"]) for row in gone] == [(False, 1, 0)]


def test_windows_without_documents_have_no_rows(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {})
    with Store.read(path) as store:
        found = store.frame(store.snapshot())
        artifacts.prepare(found, rules.load_all())
        tally = compare.tally(found, Windows(0, 1, 1, 2), FilterName.EVIDENCE)
        assert found.rows("compare/first_document") == [(None,)]
    assert (tally.outcomes, tally.tasks, tally.values) == ({}, {}, {})
