"""A series is what `health --at` shows at each of its ticks, also where several snapshots saw documents change."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer.analysis import artifacts, health
from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import DEPLOYED, ROLLOUT, Policy
from analyzer.analysis.series import Grid, Series, _stretches, grid, series
from analyzer.errors import UsageError
from analyzer.model import FilterName
from analyzer.rules import load_all
from analyzer.store import Store
from tests.storing import NOW_MS, document, make_id, put

MINUTE = 60_000
HOUR = 60 * MINUTE
EXTREMES = (-1e300, 1e300, -1.0, 0.0)  # a broken client can write any number
MESSAGE_STATUSES = ("complete", "complete", "complete", "streaming", "pending", "failed", "paused", ...)
TRACE_STATUSES = ("COMPLETED", "COMPLETED", "STARTED", "IN_PROGRESS", "FAILED", "CANCELLED", ...)


def _history(seed: int) -> list[tuple[int, dict[str, list[dict[str, Any]]]]]:
    """Return (clock, documents) of three exports of a deployment, between which documents come, change and go."""
    chance = random.Random(seed)
    tasks = [document("tasks", n, title=f"Task {n}", userId=make_id("users", 1)) for n in range(3)]
    tasks[0] |= {"repoFullName": "test/test-repo", "workspacePath": "/tmp/test", "isScratchpad": True}
    for task in tasks:
        task["_creationTime"] = task["createdAt"] = float(NOW_MS - 9 * HOUR)
    born = {n: NOW_MS - chance.randrange(0, 8 * HOUR) for n in range(90)}
    born |= {n: born_ms - born_ms % MINUTE for n, born_ms in born.items() if n % 9 == 0}
    history = []
    for at_ms in (NOW_MS - 4 * HOUR, NOW_MS - 90 * MINUTE, NOW_MS):
        messages: list[dict[str, Any]] = []
        traces: list[dict[str, Any]] = []
        for n, born_ms in born.items():
            if born_ms > at_ms or chance.random() < 0.1:  # not yet there, or deleted before this export
                continue
            table, statuses = ("chatMessages", MESSAGE_STATUSES) if n % 2 else ("workflowTraces", TRACE_STATUSES)
            minute_ms = born_ms - born_ms % MINUTE
            created = chance.choice(
                [float(born_ms), born_ms - 700.0, born_ms + 0.5, minute_ms - 0.5, "soon", ..., *EXTREMES]
            )
            found = document(
                table,
                n,
                _creationTime=born_ms + chance.choice([0.0, 0.25, 0.999]),
                createdAt=created,
                taskId=tasks[n % 3]["_id"],
                status=chance.choice(statuses),
                startedAt=chance.choice([float(born_ms), born_ms - 6.0 * MINUTE, ..., *EXTREMES]),
                totalDurationMs=chance.choice([float(chance.randrange(20_000)), ...]),
            )
            (messages if n % 2 else traces).append(found)
        history.append((at_ms, {"tasks": tasks, "chatMessages": messages, "workflowTraces": traces}))
    return history


def _store(folder: Path, seed: int) -> Path:
    history = _history(seed)
    for at_ms, documents in (history[2], history[0], history[1]):  # they need not arrive in order
        path = put(folder, documents, at_ms=at_ms)
    return path


def _series(store: Store, clocks: Grid, filter_name: FilterName, policy: Policy = DEPLOYED) -> Series:
    return series(store, store.snapshot(), clocks, policy=policy, filter_name=filter_name, rules=load_all())


def _bare(counts: Counts) -> Counts:
    """Leave out what a series does not tell."""
    return counts._replace(message_redated=0, workflow_redated=0, message_undated=0, workflow_undated=0)


@pytest.mark.external
@pytest.mark.parametrize(("seed", "past_minute_ms"), [(1, 7), (2, 0), (3, 0), (4, 0)])
def test_each_tick_counts_what_a_frame_at_its_clock_counts(seed: int, past_minute_ms: int, tmp_path: Path) -> None:
    with Store.read(_store(tmp_path, seed)) as store:
        snapshot = store.snapshot()
        clocks = grid(NOW_MS - 9 * HOUR + past_minute_ms, NOW_MS + 2 * HOUR, 19 * MINUTE)
        found = _series(store, clocks, FilterName.NONE)
        assert len(found.ticks) == 35
        assert max(tick.raw.counts.message_total for tick in found.ticks) > 5
        assert max(tick.raw.counts.stuck_workflows for tick in found.ticks) > 1
        for tick in found.ticks:
            assert tick.raw.counts == _bare(health.count(store.frame(snapshot, tick.at_ms), DEPLOYED)), tick.at_ms
            assert tick.without_tests.counts == tick.raw.counts


@pytest.mark.external
@pytest.mark.parametrize(
    ("seed", "filter_name", "policy"),
    [(4, FilterName.EVIDENCE, ROLLOUT), (5, FilterName.WIDE, DEPLOYED), (6, FilterName.NAME, DEPLOYED)],
)
def test_each_tick_judges_as_health_at_its_clock_does(
    seed: int, filter_name: FilterName, policy: Policy, tmp_path: Path
) -> None:
    rules = load_all()
    with Store.read(_store(tmp_path, seed)) as store:
        snapshot = store.snapshot()
        clocks = grid(NOW_MS - 5 * HOUR, NOW_MS + 70 * MINUTE, 70 * MINUTE)
        for tick in _series(store, clocks, filter_name, policy).ticks:
            frame = store.frame(snapshot, tick.at_ms)
            artifacts.prepare(frame, rules, orphans=filter_name is FilterName.WIDE)
            report = health.assess(frame, policy=policy, filter_name=filter_name, now_ms=NOW_MS)
            for shown, expected in ((tick.raw, report.raw), (tick.without_tests, report.without_tests)):
                assert shown.counts == _bare(expected.counts), tick.at_ms
                assert shown.judgement == expected.judgement
                assert shown.system_health == expected.system_health
                assert shown.alerts == expected.alerts


@pytest.mark.parametrize("shift_ms", [-1.0, -0.5, 0.0, 0.25, 0.999, 1.0])
def test_what_happens_around_a_whole_minute_is_counted_by_minutes_as_by_documents(
    shift_ms: float, tmp_path: Path
) -> None:
    at_ms = NOW_MS - 10 * MINUTE + shift_ms
    streaming = document("chatMessages", 1, _creationTime=at_ms, createdAt=at_ms, status="streaming")
    started = document("workflowTraces", 2, _creationTime=at_ms, createdAt=at_ms, startedAt=at_ms, status="STARTED")
    failed = document("workflowTraces", 3, _creationTime=at_ms, createdAt=..., status="FAILED")
    policy = replace(DEPLOYED, window_ms=2 * MINUTE)
    with Store.read(put(tmp_path, {"chatMessages": [streaming], "workflowTraces": [started, failed]})) as store:
        found = _series(store, grid(NOW_MS - 20 * MINUTE, NOW_MS, MINUTE), FilterName.NONE, policy)
        ticks = {tick.at_ms: tick.raw.counts for tick in found.ticks}
        for clock_ms, counts in ticks.items():
            assert counts == _bare(health.count(store.frame(store.snapshot(), clock_ms), policy)), clock_ms
    assert sum(counts.message_total for counts in ticks.values()) == 3 - (shift_ms not in (0.0, 0.25, 0.999))


def test_clocks_on_whole_minutes_are_told_from_what_collects_counted_and_others_from_the_documents(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, {"chatMessages": [document("chatMessages", n, status="complete") for n in range(3)]})
    whole = grid(NOW_MS - HOUR, NOW_MS, 10 * MINUTE)

    def totals(clocks: Grid, window_ms: int = HOUR) -> list[int]:
        with Store.read(path) as store:
            found = _series(store, clocks, FilterName.NONE, replace(DEPLOYED, window_ms=window_ms))
        return [tick.raw.counts.message_total for tick in found.ticks]

    expected = [0, 0, 0, 0, 0, 0, 3]
    assert totals(whole) == expected
    with Store.write(path) as store:
        store._duck.execute("update counted_minute set document_count = 5")
    assert totals(whole) == [0, 0, 0, 0, 0, 0, 5]
    assert totals(replace(whole, first_ms=whole.first_ms + 1)) == expected
    assert totals(replace(whole, step_ms=whole.step_ms + 1)) == expected
    assert totals(whole, HOUR + 1) == expected
    with Store.write(path) as store:
        store._duck.execute("delete from counted_minute")
    assert totals(whole) == expected


def test_a_series_of_months_and_one_with_many_ticks_leave_out_what_tests_left(tmp_path: Path) -> None:
    helper = document(
        "tasks", 1, repoFullName="test/test-repo", workspacePath="/tmp/test", isScratchpad=True, title="Test"
    )
    ours = document("chatMessages", 1, taskId=helper["_id"], status="complete")
    with Store.read(put(tmp_path, {"tasks": [helper], "chatMessages": [ours]})) as store:
        for clocks in (grid(NOW_MS - 90 * 24 * HOUR, NOW_MS, HOUR), grid(NOW_MS - 2 * HOUR, NOW_MS, MINUTE)):
            last = _series(store, clocks, FilterName.EVIDENCE).ticks[-1]
            assert (last.raw.counts.message_total, last.without_tests.counts.message_total) == (1, 0)


def test_a_stretch_ends_where_a_snapshot_saw_something_new_and_before_the_first_nothing_is_known(
    tmp_path: Path,
) -> None:
    documents = {"chatMessages": [document("chatMessages", 1)]}
    clocks = grid(NOW_MS - 3 * HOUR, NOW_MS + HOUR, HOUR)
    with Store.read(put(tmp_path, documents, at_ms=NOW_MS - 2 * HOUR)) as store:
        assert list(_stretches(store, store.snapshot(), clocks)) == [(0, 4)]
    with Store.read(put(tmp_path, documents, at_ms=NOW_MS)) as store:
        oldest, newest = store.snapshots()
        assert list(_stretches(store, oldest, clocks)) == [(0, 4)]
        assert list(_stretches(store, newest, clocks)) == [(0, 2), (3, 4)]


def test_a_grid_ends_at_its_last_whole_step() -> None:
    assert list(grid(1_000, 4_500, 1_000).clocks) == [1_000, 2_000, 3_000, 4_000]
    assert list(grid(1_000, 1_000, HOUR).clocks) == [1_000]


@pytest.mark.parametrize(("since_ms", "until_ms"), [(2, 1), (0, 10**9)])
def test_a_grid_that_runs_backwards_or_has_too_many_ticks_is_refused(since_ms: int, until_ms: int) -> None:
    with pytest.raises(UsageError):
        grid(since_ms, until_ms, 1)
