"""Two windows counted from documents in a real store: who belongs to which, how they ended, and why a rate moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import rules
from analyzer.analysis import artifacts, compare, decompose
from analyzer.analysis.compare import Outcomes, Tally
from analyzer.analysis.decompose import Group
from analyzer.analysis.windows import Windows
from analyzer.model import FilterName
from analyzer.store import Frame, Store
from tests import storing
from tests.storing import document, make_id

T0 = storing.NOW_MS - 3_600_000
WINDOWS = Windows(T0 - 86_400_000, T0, T0, T0 + 3_600_000)
MINUTE = 60_000


def message(number: int, at_ms: int, status: str | None = "complete", task: int = 1, **fields: Any) -> dict[str, Any]:
    status_field: Any = ... if status is None else status
    found = {
        "taskId": make_id("tasks", task),
        "role": "ASSISTANT",
        "status": status_field,
        "createdAt": float(at_ms),
        "_creationTime": float(at_ms),
        "content": "x",
    }
    return document("chatMessages", number, **(found | fields))


def trace(number: int, at_ms: int, status: str = "COMPLETED", task: int = 1, **fields: Any) -> dict[str, Any]:
    times = {"createdAt": float(at_ms), "startedAt": float(at_ms), "_creationTime": float(at_ms)}
    return document("workflowTraces", number, taskId=make_id("tasks", task), status=status, **(times | fields))


def task(number: int, **fields: Any) -> dict[str, Any]:
    old = {"createdAt": float(T0 - 86_400_000), "_creationTime": float(T0 - 86_400_000)}
    named = {"title": "Fix the login", "status": "RUNNING", "userId": make_id("users", 1)}
    return document("tasks", number, **(old | named | fields))


@contextmanager
def frame_of(folder: Path, **tables: list[dict[str, Any]]) -> Iterator[Frame]:
    path = storing.put(folder, {"tasks": [task(1), task(2)]} | tables)
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        artifacts.prepare(frame, rules.load_all(), orphans=True)
        yield frame


def counted(folder: Path, filter_name: FilterName = FilterName.EVIDENCE, **tables: list[dict[str, Any]]) -> Tally:
    with frame_of(folder, **tables) as frame:
        return compare.tally(frame, WINDOWS, filter_name)


def test_the_millisecond_of_the_change_belongs_to_the_look_and_both_ends_of_it_count(tmp_path: Path) -> None:
    times = (WINDOWS.base_from_ms - 1, WINDOWS.base_from_ms, T0 - 1, T0, WINDOWS.after_to_ms)
    found = counted(tmp_path, chatMessages=[message(i, at) for i, at in enumerate(times)])
    assert found.outcome("baseline", "chatMessages").settled == 2
    assert found.outcome("after", "chatMessages").settled == 2


def test_young_documents_in_flight_are_running_and_old_ones_have_not_completed(tmp_path: Path) -> None:
    now = storing.NOW_MS
    found = counted(
        tmp_path,
        chatMessages=[
            message(1, now - MINUTE, "streaming"),
            message(2, now - 6 * MINUTE, "streaming"),
            message(3, now - 20 * MINUTE, "pending"),
            message(4, now - 20 * MINUTE, "streaming"),
            message(5, now - 20 * MINUTE, "failed"),
            message(6, now - 20 * MINUTE),
            message(7, now - 20 * MINUTE, None),
        ],
    )
    expected = Outcomes(settled=4, running=2, unknown=1, failed=1, completed=1, stuck=2)
    assert found.outcome("after", "chatMessages") == expected


def test_a_baseline_of_nothing_is_nothing(tmp_path: Path) -> None:
    found = counted(tmp_path, chatMessages=[message(1, T0)])
    assert found.outcome("baseline", "chatMessages") == Outcomes()
    assert "baseline" not in found.tasks


def test_a_table_that_was_not_collected_is_missing_and_not_empty(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"chatMessages": [message(1, T0)]}, absent=["workflowTraces"])
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        artifacts.prepare(frame, rules.load_all())
        assert list(compare.tally(frame, WINDOWS, FilterName.EVIDENCE).missing_tables) == ["workflowTraces"]


def test_leftovers_of_tests_are_left_out_and_accounted_for(tmp_path: Path) -> None:
    helper = task(3, title="x", repoFullName="test/test-repo", workspacePath="/tmp/test", isScratchpad=True)
    messages = [message(1, T0), message(2, T0, "failed", task=3)]
    found = counted(tmp_path, tasks=[task(1), helper], chatMessages=messages)
    assert found.outcome("after", "chatMessages") == Outcomes(settled=1, completed=1)
    assert found.excluded == {"chatMessages": 1}


@pytest.mark.parametrize("first", FilterName)
@pytest.mark.parametrize("named", [0, 1, 2])
@pytest.mark.parametrize("orphaned", [0, 1, 2])
def test_a_tally_under_another_filter_is_what_counting_again_would_say(
    tmp_path: Path, first: FilterName, named: int, orphaned: int
) -> None:
    helper = task(3, title="x", repoFullName="test/test-repo", workspacePath="/tmp/test", isScratchpad=True)
    messages = [message(1, T0), message(2, T0, "failed", task=3)]
    messages += [message(10 + n, T0, task=4) for n in range(named)]  # as many as others leave out, and not the same
    messages += [message(20 + n, T0 - 1, "failed", task=9) for n in range(orphaned)]
    tables = {"tasks": [task(1), helper, task(4, title="Test the login")], "chatMessages": messages}
    with frame_of(tmp_path, **tables) as frame:
        known = {first: compare.tally(frame, WINDOWS, first)}
        for name in FilterName:
            again = compare.tally_again(frame, WINDOWS, name, known, prices=compare.NO_PRICE)
            assert again == compare.tally(frame, WINDOWS, name)
            known[name] = again


def test_a_task_is_incomplete_with_one_bad_document_and_running_without_any(tmp_path: Path) -> None:
    now = storing.NOW_MS
    found = counted(
        tmp_path,
        chatMessages=[
            message(1, T0, task=1),
            message(2, T0, "failed", task=1),
            message(3, T0, task=2),
            message(4, now - MINUTE, "pending", task=2),
        ],
    )
    assert (found.tasks["after"].settled, found.tasks["after"].incomplete, found.tasks["after"].running) == (1, 1, 1)


def test_documents_that_fail_task_by_task_have_a_large_design_effect(tmp_path: Path) -> None:
    tasks = [task(number) for number in range(20)]
    together = [
        message(number * 10 + i, T0, "failed" if number < 4 else "complete", task=number)
        for number in range(20)
        for i in range(10)
    ]
    found = counted(tmp_path, tasks=tasks, chatMessages=together)
    assert found.tasks["after"].design_effect == pytest.approx(10.0, rel=0.1)


def test_quantiles_are_values_that_were_seen_with_exact_bounds(tmp_path: Path) -> None:
    traces = [trace(i, T0 + i, totalDurationMs=float(i)) for i in range(1, 101)]
    found = counted(tmp_path, workflowTraces=traces)
    median = found.values["after", "duration_median_ms"]
    assert (median.n, median.value, median.interval) == (100, 50.0, (40.0, 61.0))
    assert found.values["after", "duration_p95_ms"].value == 95.0
    assert found.values["after", "tokens_per_workflow"].value is None


def test_tokens_are_those_of_the_message_that_a_completed_workflow_wrote(tmp_path: Path) -> None:
    found = counted(
        tmp_path,
        chatMessages=[message(1, T0, totalTokens=700.0), message(2, T0, totalTokens=9.0)],
        workflowTraces=[
            trace(1, T0, messageId=make_id("chatMessages", 1), retryCount=2.0),
            trace(2, T0, "FAILED", messageId=make_id("chatMessages", 2), retryCount=0.0),
        ],
    )
    assert (found.values["after", "tokens_per_workflow"].n, found.values["after", "tokens_per_workflow"].value) == (
        1,
        700,
    )
    outcome = found.outcome("after", "workflowTraces")
    assert (outcome.counted, outcome.retried) == (2, 1)


def test_the_model_that_broke_is_the_first_suspect_with_its_documents(tmp_path: Path) -> None:
    before = [message(i, T0 - MINUTE, llmModel="abc"[i % 3]) for i in range(300)]
    after = [
        message(1000 + i, T0 + i, "failed" if i % 3 == 1 and i < 60 else "complete", llmModel="abc"[i % 3])
        for i in range(300)
    ]
    with frame_of(tmp_path, chatMessages=before + after) as frame:
        compare.tally(frame, WINDOWS, FilterName.EVIDENCE)
        parts = decompose.decompose(frame)
    first = parts[0]
    assert (first.dimension, first.group, first.after_k, first.after_n) == ("model", "b", 20, 100)
    assert first.ids[0] == make_id("chatMessages", 1001)
    assert first.p_adjusted is not None
    assert first.p_adjusted < 1e-4
    others = [part for part in parts if part.dimension == "model" and part.group != "b"]
    assert all(part.p_adjusted == 1.0 for part in others if part.metric == "message_error_rate")


def test_flags_part_the_time_into_named_periods(tmp_path: Path) -> None:
    with frame_of(tmp_path, chatMessages=[message(1, T0 - 1), message(2, T0), message(3, T0 + 9, "failed")]) as frame:
        compare.tally(frame, WINDOWS, FilterName.EVIDENCE, [T0, T0 + 5])
        parts = decompose.decompose(frame, ("before", "after A", "after A, B"))
    groups = {p.group: (p.baseline_n, p.after_n, p.after_k) for p in parts if p.dimension == "flags"}
    assert groups == {"before": (1, 0, 0), "after A": (0, 1, 0), "after A, B": (0, 1, 1)}


counts = st.integers(0, 50).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=80)
@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=8))
def test_mix_and_rate_sum_to_the_change(groups: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    made = [Group(str(i), *base, *after) for i, (base, after) in enumerate(groups)]
    n_base, n_after = sum(g.n_base for g in made), sum(g.n_after for g in made)
    made = [g for g in made if g.n_base or g.n_after]
    parts = decompose.split("message_error_rate", "model", made)
    if not n_base or not n_after:
        assert parts == []
        return
    change = sum(g.k_after for g in made) / n_after - sum(g.k_base for g in made) / n_base
    assert sum(part.mix + part.rate for part in parts) == pytest.approx(change, abs=1e-9)


def test_a_shift_to_a_worse_group_is_mix_and_a_worse_group_is_rate() -> None:
    shifted = decompose.split("m", "model", [Group("good", 0, 90, 0, 50), Group("bad", 5, 10, 25, 50)])
    assert sum(part.rate for part in shifted) == pytest.approx(0)
    worse = decompose.split("m", "model", [Group("good", 0, 50, 0, 50), Group("bad", 5, 50, 25, 50)])
    assert sum(part.mix for part in worse) == pytest.approx(0)


def test_a_group_that_holds_everything_is_no_suspect() -> None:
    (part,) = decompose.split("m", "model", [Group("all", 0, 50, 25, 50)])
    assert part.p is None
