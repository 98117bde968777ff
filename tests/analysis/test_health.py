"""Health of a frame: what counts, what filters leave out, what makes a status unknown, and what is tolerated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer.analysis import artifacts, health
from analyzer.analysis.policy import DEPLOYED, HOUR_MS, ROLLOUT, Policy, find
from analyzer.model import Deployment, DeploymentType, FilterName, Mark, Status
from analyzer.rules import InternalLists, load_all
from analyzer.store import Store
from tests.analysis.leftovers import Document, helper_task, make_id, message, placeholder, prompt, task, trace, user
from tests.storing import NOW_MS, put

MINUTE = 60_000
RULES = load_all()
NO_LISTS = InternalLists()


def _many(status: str, count: int, first: int = 100, **fields: Any) -> list[Document]:
    return [message(n, 1, status=status, **fields) for n in range(first, first + count)]


def _report(
    path: Path,
    *,
    at_ms: int | None = None,
    filter_name: FilterName = FilterName.EVIDENCE,
    policy: Policy = DEPLOYED,
    lists: InternalLists = NO_LISTS,
    snapshot: int | None = None,
    now_ms: int = NOW_MS,
    **how: Any,
) -> health.HealthReport:
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(snapshot), at_ms)
        artifacts.prepare(frame, RULES, lists, orphans=filter_name is FilterName.WIDE)
        return health.assess(frame, policy=policy, filter_name=filter_name, now_ms=now_ms, **how)


def _ids(report: health.HealthReport) -> list[str]:
    return [finding.id for finding in report.findings]


def test_windows_and_limits_are_inclusive_and_strict_as_the_app_has_them(tmp_path: Path) -> None:
    hour, five = NOW_MS - HOUR_MS, NOW_MS - 5 * MINUTE
    path = put(
        tmp_path,
        {
            "tasks": [task(1)],
            "chatMessages": [
                message(1, 1, createdAt=float(hour)),
                message(2, 1, createdAt=hour - 0.5),
                message(3, 1, createdAt=NOW_MS + 5000.0),  # ahead of the clock, by a client of its own
                message(4, 1, status="streaming", createdAt=float(five)),
                message(5, 1, status="streaming", createdAt=five - 0.5),
                message(6, 1, status="streaming", createdAt=1.0),
                message(7, 1, status="pending", createdAt=1.0),
            ],
            "workflowTraces": [
                trace(1, 1, status="FAILED", createdAt=float(five)),
                trace(2, 1, status="FAILED", createdAt=five - 1.0),
                trace(3, 1, status="STARTED", startedAt=float(five), createdAt=float(five)),
                trace(4, 1, status="STARTED", startedAt=five - 0.5, createdAt=float(NOW_MS)),
                trace(5, 1, status="IN_PROGRESS", startedAt=1.0, createdAt=1.0),
            ],
        },
    )
    counts = _report(path).raw.counts
    assert (counts.message_total, counts.message_completed, counts.message_streaming) == (4, 2, 2)
    assert (counts.stuck_messages, counts.stuck_workflows) == (2, 1)
    assert (counts.recent_total, counts.recent_failed) == (3, 1)
    assert (counts.workflow_total, counts.workflow_in_progress) == (4, 2)


def test_a_document_exists_from_the_millisecond_of_its_creation(tmp_path: Path) -> None:
    created = {"_creationTime": NOW_MS - 1000 + 0.75, "createdAt": float(NOW_MS - 9000)}
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": [message(1, 1, **created)]})
    assert _report(path, at_ms=NOW_MS - 1001).raw.counts.message_total == 0
    assert _report(path, at_ms=NOW_MS - 1000).raw.counts.message_total == 1


def test_a_document_without_a_usable_created_at_counts_by_its_creation_time_and_is_told(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        {
            "tasks": [task(1)],
            "chatMessages": [
                message(1, 1, createdAt="2025-12-16T12:58:00Z"),
                message(2, 1, createdAt=...),
                message(3, 1, createdAt=None),
                message(4, 1, createdAt=..., _creationTime=float(NOW_MS - 2 * HOUR_MS)),
                message(5, 1, status="streaming", createdAt="soon", _creationTime=float(NOW_MS - 6 * MINUTE)),
                message(6, 1, createdAt=..., _creationTime=...),
            ],
            "workflowTraces": [trace(1, 1, createdAt="x"), trace(2, 1, status="STARTED", startedAt="early")],
        },
    )
    report = _report(path)
    assert (report.raw.counts.message_total, report.raw.counts.stuck_messages) == (4, 1)
    assert report.raw.counts.workflow_total == 2
    details = [finding.details for finding in report.findings if finding.id == "drift-in-window"]
    assert details == [
        {"table": "chatMessages", "field": "createdAt", "documents": 4},
        {"table": "workflowTraces", "field": "createdAt", "documents": 1},
    ]
    assert [f.details for f in report.findings if f.id == "undated"] == [{"table": "chatMessages", "documents": 1}]


def test_statuses_that_no_one_knows_count_in_totals_only_and_are_told(tmp_path: Path) -> None:
    messages = [message(1, 1, status="paused"), message(2, 1, status=...), message(3, 1, status=7), message(4, 1)]
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": messages})
    report = _report(path)
    counts = report.raw.counts
    assert (counts.message_total, counts.message_completed, counts.message_statusless, counts.message_other) == (
        4,
        1,
        2,
        1,
    )
    assert report.raw.system_health["messages"]["completionRate"] == 0.25
    assert [f.details for f in report.findings if f.id == "unknown-status"] == [
        {"table": "chatMessages", "documents": 1}
    ]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real user's work, a helper's leftovers, a task by name only, an orphan, and a colleague's own task."""
    return put(
        tmp_path_factory.mktemp("mixed"),
        {
            "users": [user(1), user(2, "workflow-test@test.local"), user(3, "dev@acme.example", "Dev")],
            "tasks": [task(1), helper_task(2, 2), task(3, title="Add unit Tests for login"), task(4, 3)],
            "chatMessages": [
                *_many("complete", 8),
                prompt(1, 2),
                placeholder(2, 2, 1),
                message(3, 3, status="failed"),
                message(4, 9, status="pending"),
                message(5, 4, status="failed"),
            ],
            "workflowTraces": [trace(1, 1), trace(2, 2, status="FAILED"), trace(3, 3)],
            "toolCalls": [{**task(1), "_id": make_id("toolCalls", 1), "taskId": make_id("tasks", 2)}],
        },
    )


@pytest.mark.parametrize(
    ("filter_name", "messages", "traces", "excluded"),
    [
        (FilterName.NONE, 13, 3, {}),
        (FilterName.NAME, 12, 2, {"chatMessages": 1, "tasks": 1, "workflowTraces": 1}),
        (
            FilterName.EVIDENCE,
            11,
            2,
            {"chatMessages": 2, "tasks": 1, "toolCalls": 1, "users": 1, "workflowTraces": 1},
        ),
        (
            FilterName.WIDE,
            9,
            1,
            {"chatMessages": 4, "tasks": 2, "toolCalls": 1, "users": 1, "workflowTraces": 2},
        ),
    ],
)
def test_each_filter_leaves_out_what_it_names(
    mixed: Path, filter_name: FilterName, messages: int, traces: int, excluded: Mapping[str, int]
) -> None:
    report = _report(mixed, filter_name=filter_name)
    assert (report.raw.counts.message_total, report.raw.counts.workflow_total) == (13, 3)
    assert report.without_tests.counts.message_total == messages
    assert report.without_tests.counts.workflow_total == traces
    assert report.excluded == excluded


@pytest.mark.parametrize(
    ("filter_name", "messages"), [(FilterName.NONE, 13), (FilterName.NAME, 11), (FilterName.EVIDENCE, 10)]
)
def test_listed_people_are_left_out_under_every_filter_but_none(
    mixed: Path, filter_name: FilterName, messages: int
) -> None:
    report = _report(mixed, filter_name=filter_name, lists=InternalLists(emails=("dev@acme.example",)))
    assert report.without_tests.counts.message_total == messages
    assert report.raw.counts.message_total == 13


def test_response_times_are_the_95th_percentile_with_and_without_what_is_left_out(tmp_path: Path) -> None:
    slow = [trace(n, 1, totalDurationMs=float(n)) for n in range(1, 21)]
    ours = trace(99, 2, totalDurationMs=99_000.0)
    failed = trace(98, 1, status="FAILED", totalDurationMs=98_000.0)
    documents = {"tasks": [task(1), helper_task(2)], "workflowTraces": [*slow, ours, failed, trace(97, 1)]}
    report = _report(put(tmp_path, documents), policy=ROLLOUT)
    raw, without = report.raw.counts, report.without_tests.counts
    assert (raw.response_p95_ms, raw.response_count) == (20.0, 21)
    assert (without.response_p95_ms, without.response_count) == (19.0, 20)
    assert [finding.id for finding in report.findings] == ["targets"]


# ---- unknown -------------------------------------------------------------------------------------------------------


def test_only_leftovers_leave_nothing_to_judge(tmp_path: Path) -> None:
    report = _report(put(tmp_path, {"tasks": [helper_task(1)], "chatMessages": [prompt(1, 1), placeholder(2, 1, 1)]}))
    assert (report.raw_status, report.status) == (Status.DEGRADED, Status.UNKNOWN)
    assert [reason.id for reason in report.unknown] == ["no-data"]
    assert report.without_tests.system_health["health"]["status"] == "healthy", (
        "the function's own word, field for field"
    )


@pytest.mark.parametrize(
    ("absent", "filter_name", "raw_status", "status"),
    [
        ("chatMessages", FilterName.EVIDENCE, Status.UNKNOWN, Status.UNKNOWN),
        ("workflowTraces", FilterName.NONE, Status.UNKNOWN, Status.UNKNOWN),
        ("tasks", FilterName.EVIDENCE, Status.HEALTHY, Status.UNKNOWN),
        ("tasks", FilterName.NAME, Status.HEALTHY, Status.UNKNOWN),
        ("tasks", FilterName.NONE, Status.HEALTHY, Status.HEALTHY),
        ("users", FilterName.NAME, Status.HEALTHY, Status.HEALTHY),
        ("users", FilterName.WIDE, Status.HEALTHY, Status.UNKNOWN),
    ],
)
def test_a_table_that_was_not_collected_makes_unknown_what_needs_it(
    absent: str, filter_name: FilterName, raw_status: Status, status: Status, tmp_path: Path
) -> None:
    documents = {"tasks": [task(1)], "chatMessages": [message(1, 1)], "workflowTraces": [trace(1, 1)]}
    report = _report(put(tmp_path, documents, absent=[absent], complete=False), filter_name=filter_name)
    assert (report.raw_status, report.status) == (raw_status, status)
    if status is Status.UNKNOWN:
        assert "not-collected" in [reason.id for reason in report.unknown]
        assert absent in report.unknown[0].cause
    total = report.raw.system_health["messages"]["total"]
    assert total == (0 if absent == "chatMessages" else 1), "the numbers are shown all the same"


@pytest.mark.parametrize(("max_age_ms", "status"), [(None, "healthy"), (60_000, "healthy"), (59_999, "unknown")])
def test_a_snapshot_older_than_allowed_by_the_local_clock_is_unknown(
    max_age_ms: int | None, status: str, tmp_path: Path
) -> None:
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": [message(1, 1)]})
    report = _report(path, now_ms=NOW_MS + 60_000, max_age_ms=max_age_ms)
    assert (report.status, report.raw_status) == (status, status)
    assert report.raw.counts.message_total == 1


def test_a_window_that_lies_wholly_after_the_snapshot_is_unknown_and_part_of_one_is_told(tmp_path: Path) -> None:
    ahead = message(1, 1, createdAt=float(NOW_MS + 2 * HOUR_MS))
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": [ahead]})
    edge = _report(path, at_ms=NOW_MS + HOUR_MS)
    assert (edge.raw_status, _ids(edge)) == (Status.HEALTHY, ["clock-after-snapshot"])
    beyond = _report(path, at_ms=NOW_MS + HOUR_MS + 1)
    assert (beyond.raw_status, [reason.id for reason in beyond.unknown]) == (Status.UNKNOWN, ["gap"])


# ---- clocks and snapshots ------------------------------------------------------------------------------------------


def test_a_past_clock_says_that_statuses_are_from_later_unless_an_earlier_snapshot_saw_them(tmp_path: Path) -> None:
    early = NOW_MS - 30 * MINUTE
    before = message(1, 1, status="streaming", _creationTime=float(early - MINUTE), createdAt=float(early - MINUTE))
    put(tmp_path, {"tasks": [task(1)], "chatMessages": [before]}, at_ms=early)
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": [before | {"status": "complete"}, message(2, 1)]})
    at_first = _report(path, at_ms=early)
    assert (at_first.raw.counts.message_streaming, _ids(at_first)) == (1, [])
    between = _report(path, at_ms=NOW_MS - MINUTE)
    assert between.raw.counts.message_streaming == 1
    assert [(f.id, f.details["documents"]) for f in between.findings] == [("statuses-from-later", 1)]
    assert _report(path).raw.counts.message_completed == 2


def test_a_past_clock_on_a_single_snapshot_says_so(tmp_path: Path) -> None:
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": [message(1, 1)]})
    assert _ids(_report(path, at_ms=NOW_MS - MINUTE)) == ["statuses-from-later"]
    assert _ids(_report(path)) == []


# ---- tolerated -----------------------------------------------------------------------------------------------------


def _tolerated(
    folder: Path,
    type_: DeploymentType,
    extra: Sequence[Document] = (),
    tolerate: Sequence[DeploymentType] = (DeploymentType.DEV, DeploymentType.PREVIEW),
    **how: Any,
) -> bool:
    messages = [message(1, 1), prompt(2, 2), placeholder(3, 2, 2), *extra]
    documents = {"users": [user(1)], "tasks": [task(1), helper_task(2)], "chatMessages": messages}
    return _report(put(folder, documents, deployment=Deployment("d", type=type_)), tolerate=tolerate, **how).tolerated


@pytest.mark.parametrize("filter_name", list(FilterName))
def test_leftovers_alone_are_tolerated_on_listed_types_under_every_filter(
    filter_name: FilterName, tmp_path: Path
) -> None:
    assert _tolerated(tmp_path, DeploymentType.DEV, filter_name=filter_name)


@pytest.mark.parametrize("type_", [t for t in DeploymentType if t not in (DeploymentType.DEV, DeploymentType.PREVIEW)])
def test_production_and_whatever_counts_as_it_is_never_tolerated(type_: DeploymentType, tmp_path: Path) -> None:
    assert not _tolerated(tmp_path, type_, tolerate=tuple(DeploymentType))


def test_a_type_that_is_not_listed_is_not_tolerated(tmp_path: Path) -> None:
    assert not _tolerated(tmp_path, DeploymentType.DEV, tolerate=[DeploymentType.PREVIEW])


def test_a_real_failure_beside_leftovers_is_not_tolerated(tmp_path: Path) -> None:
    assert not _tolerated(tmp_path, DeploymentType.DEV, extra=[message(9, 1, status="failed")])


def test_failures_of_listed_people_are_no_leftovers_and_not_tolerated(tmp_path: Path) -> None:
    lists = InternalLists(emails=("ada@acme.example",))
    extra = [message(9, 1, status="failed")]
    assert not _tolerated(tmp_path, DeploymentType.DEV, extra=extra, lists=lists)


def test_a_healthy_deployment_has_nothing_to_tolerate(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        {"tasks": [task(1)], "chatMessages": [message(1, 1)]},
        deployment=Deployment("d", type=DeploymentType.DEV),
    )
    assert not _report(path, tolerate=[DeploymentType.DEV]).tolerated


def test_an_old_snapshot_is_not_tolerated(tmp_path: Path) -> None:
    assert not _tolerated(tmp_path, DeploymentType.DEV, now_ms=NOW_MS + 2, max_age_ms=1)


def test_a_persons_word_decides_what_is_left_out(mixed: Path, tmp_path: Path) -> None:
    path = tmp_path / "marked.duckdb"
    path.write_bytes(mixed.read_bytes())
    with Store.write(path) as store:
        for mark in (
            Mark(make_id("tasks", 2), "real", "we looked", "ada", NOW_MS),
            Mark(make_id("tasks", 3), "test", "we looked", "ada", NOW_MS),
        ):
            store.add_mark("happy-animal-123", mark)
    left = _report(path).without_tests.counts
    assert left.message_failed == 1, "the colleague's, no longer that of the task marked as a test"


def test_a_policy_with_another_window_looks_further_back(tmp_path: Path) -> None:
    old = message(1, 1, createdAt=float(NOW_MS - 3 * HOUR_MS), _creationTime=float(NOW_MS - 3 * HOUR_MS))
    path = put(tmp_path, {"tasks": [task(1)], "chatMessages": [old]})
    assert _report(path).raw.counts.message_total == 0
    wide = _report(path, policy=find("deployed", window_ms=4 * HOUR_MS))
    assert wide.raw.counts.message_total == 1
    assert wide.raw.system_health["window"] == "4h"
