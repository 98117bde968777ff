"""What explain says is true: checked by acting on it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analyzer import rules
from analyzer.analysis import policy as policies
from analyzer.analysis.explain import PURGE, TOLERATE, Explanation
from analyzer.flows.explaining import explain_snapshot
from analyzer.model import Deployment, DeploymentType, FilterName, Status
from analyzer.report.explain_json import explain_json
from analyzer.report.explain_text import brief, full
from analyzer.rules import InternalLists
from analyzer.store import Store
from analyzer.units import width
from tests.storing import NOW_MS, document, make_id, put

RULES = rules.load_all(())
NO_LISTS = InternalLists()
MINUTE_MS = 60_000

message = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["complete", "complete", "complete", "failed", "pending", "streaming", ...]),
        "age_min": st.sampled_from([0, 1, 4, 6, 30, 59, 61, 300]),
        "task": st.sampled_from(["real", "test", "gone"]),
    }
)
trace = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["COMPLETED", "COMPLETED", "FAILED", "STARTED", "IN_PROGRESS", "CANCELLED"]),
        "age_min": st.sampled_from([0, 1, 4, 6, 30, 59, 61, 300]),
        "duration_s": st.sampled_from([1, 4, 12, 40]),
    }
)
world = st.tuples(st.lists(message, max_size=14), st.lists(trace, max_size=8))


def documents(made: tuple[list[dict[str, Any]], list[dict[str, Any]]], without: set[str]) -> dict[str, Any]:
    """Turn drawn messages and traces into documents, leaving some ids out."""
    tasks = {"real": make_id("tasks", 1), "test": make_id("tasks", 2), "gone": make_id("tasks", 3)}
    messages = [
        at(document("chatMessages", n, status=m["status"], taskId=tasks[m["task"]], role="USER", content="x"), m)
        for n, m in enumerate(made[0], start=1)
    ]
    traces = [
        at(document("workflowTraces", n, status=t["status"], taskId=tasks["real"]), t)
        | ({"totalDurationMs": t["duration_s"] * 1000.0} if t["status"] == "COMPLETED" else {})
        for n, t in enumerate(made[1], start=1)
    ]
    helper = {"repoFullName": "test/test-repo", "workspacePath": "/tmp/test", "isScratchpad": True}
    return {
        "tasks": [document("tasks", 1, title="Fix it"), document("tasks", 2, title="Reasoning", **helper)],
        "chatMessages": [m for m in messages if m["_id"] not in without],
        "workflowTraces": [t for t in traces if t["_id"] not in without],
    }


def at(made: dict[str, Any], drawn: dict[str, Any]) -> dict[str, Any]:
    time_ms = float(NOW_MS - drawn["age_min"] * MINUTE_MS)
    return made | {"_creationTime": time_ms, "createdAt": time_ms, "startedAt": time_ms}


def explained(
    folder: Path,
    found: dict[str, Any],
    policy: str,
    at_ms: int | None = None,
    *,
    filter_name: FilterName = FilterName.EVIDENCE,
    lists: InternalLists = NO_LISTS,
    **more: Any,
) -> Explanation:
    path = folder / "store.duckdb"
    if not path.exists():
        put(folder, found, fingerprints=rules.fingerprints(RULES))
    with Store.read(path) as store:
        return explain_snapshot(
            store,
            store.snapshot(),
            at_ms=at_ms,
            policy=policies.find(policy),
            rules=RULES,
            now_ms=NOW_MS,
            filter_name=filter_name,
            lists=lists,
            **more,
        )


@pytest.mark.external
@given(made=world, policy=st.sampled_from(["deployed", "strict", "rollout"]))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
def test_what_it_says_comes_true(made: tuple[Any, Any], policy: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = explained(folder, documents(made, set()), policy)
        if found.raw_status is not Status.UNKNOWN:
            assert (found.raw_status is Status.DEGRADED) == any(not rule.ok for rule in found.rules)
        if found.raw_status is Status.HEALTHY:
            assert found.diagnosis == ()
        if found.clears_at_ms is not None:
            assert explained(folder, {}, policy, found.clears_at_ms).raw_status is Status.HEALTHY
            assert explained(folder, {}, policy, found.clears_at_ms - 1).raw_status is not Status.HEALTHY
        if found.since_ms is not None:
            assert explained(folder, {}, policy, found.since_ms).raw_status is Status.DEGRADED
        assert_is_brief(found)
        if found.recovery.removals is not None:
            assert_recovers(folder, made, policy, [id_ for _, id_ in found.recovery.removals])


def assert_is_brief(found: Explanation) -> None:
    lines = brief(found, NOW_MS).splitlines()
    assert len(lines) <= 12
    assert max(map(width, lines)) <= 80
    assert "filter evidence" in lines[0]


def assert_recovers(folder: Path, made: tuple[Any, Any], policy: str, removed: list[str]) -> None:
    (folder / "all").mkdir()
    assert explained(folder / "all", documents(made, set(removed)), policy).raw_status is Status.HEALTHY
    (folder / "fewer").mkdir()
    assert explained(folder / "fewer", documents(made, set(removed[:-1])), policy).raw_status is not Status.HEALTHY


def leftovers(count: int = 2) -> dict[str, Any]:
    """Eight completed messages of a real task, and pending ones of a helper's."""
    real = [{"status": "complete", "age_min": 30, "task": "real"}] * 8
    return documents((real + [{"status": "pending", "age_min": 10, "task": "test"}] * count, []), set())


def test_leftovers_of_tests_are_ours_and_every_way_out_is_named(tmp_path: Path) -> None:
    found = explained(tmp_path, leftovers(), "deployed")
    assert (found.raw_status, found.status) == (Status.DEGRADED, Status.HEALTHY)
    assert found.summary.startswith("Ours, not the product's")
    assert [cause.id for cause in found.diagnosis] == ["test-artifacts:owned-by-artifact"]
    assert PURGE in found.resolutions
    assert found.clears_at_ms is None  # the real messages leave the window before the leftovers do
    text = brief(found, NOW_MS)
    assert "message completion is 80.0% of 10, must be > 90.0%" in text


def test_the_first_line_tells_the_filter_however_long_the_name_of_the_deployment_is(tmp_path: Path) -> None:
    put(tmp_path, leftovers(), fingerprints=rules.fingerprints(RULES), deployment="東京" * 60)
    assert_is_brief(explained(tmp_path, {}, "deployed"))


@pytest.mark.parametrize(("kind", "is_named"), [(DeploymentType.DEV, True), (DeploymentType.PROD, False)])
def test_ignoring_is_a_way_out_only_where_the_server_says_dev_or_preview(
    tmp_path: Path, kind: DeploymentType, is_named: bool
) -> None:
    put(tmp_path, leftovers(), fingerprints=rules.fingerprints(RULES), deployment=Deployment("d", None, kind))
    found = explained(tmp_path, {}, "deployed", tolerate=[DeploymentType.DEV])
    assert (TOLERATE.format(type=kind.value) in found.resolutions) == is_named
    assert found.tolerated == is_named


def test_a_window_of_leftovers_alone_is_unknown_without_them_and_empties_instead_of_clearing(tmp_path: Path) -> None:
    pending = [{"status": "pending", "age_min": 10, "task": "test"}]
    found = explained(tmp_path, documents((pending, []), set()), "deployed")
    assert (found.raw_status, found.status) == (Status.DEGRADED, Status.UNKNOWN)
    assert found.clears_at_ms is None
    assert found.empties_at_ms == NOW_MS + 50 * MINUTE_MS + 1
    assert found.recovery.removals is None


def test_failures_are_the_products_and_name_error_model_and_workflow(tmp_path: Path) -> None:
    failed = at(document("workflowTraces", 1, status="FAILED", taskId=make_id("tasks", 1)), {"age_min": 5})
    failed |= {"errorType": "LLM_STREAM_ERROR", "model": "m-1", "workflowType": "streamChat"}
    found = explained(tmp_path, {"tasks": [document("tasks", 1)], "workflowTraces": [failed]}, "deployed")
    assert found.summary.startswith("The product's")
    (cause,) = found.diagnosis
    assert cause.id == "failures:LLM_STREAM_ERROR"
    assert "model m-1 1; workflow streamChat 1" in cause.cause


def test_text_of_documents_cannot_control_the_terminal(tmp_path: Path) -> None:
    failed = at(document("workflowTraces", 1, status="FAILED"), {"age_min": 5})
    failed |= {"errorType": "\x1b]0;owned\x07\u202e", "model": "a\nb"}
    found = explained(tmp_path, {"workflowTraces": [failed]}, "deployed", full=True)
    for text in (brief(found, NOW_MS), full(found, NOW_MS)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "a\nb" not in text


def test_the_json_has_exactly_the_fields_of_its_contract(tmp_path: Path) -> None:
    made = explain_json(explained(tmp_path, leftovers(), "deployed"))
    assert list(made)[:13] == [
        "schema", "deployment", "type", "snapshot", "at_ms", "policy", "filter", "raw_status", "status", "since_ms",
        "clears_at_ms", "summary", "symptom",
    ]  # fmt: skip
    assert set(made["rules"][0]) == {"id", "value", "limit", "operator", "n", "ok", "slack"}
    assert set(made["diagnosis"][0]) == {"id", "cause", "action", "count", "affected"}
    assert [s["filter"] for s in made["sensitivity"]] == ["none", "name", "evidence", "wide"]


def test_each_rule_alone_is_judged_only_when_everything_is_asked_for(tmp_path: Path) -> None:
    found = explained(tmp_path, leftovers(), "deployed", full=True)
    alone = {s.filter: (s.status.value, s.excluded) for s in found.sensitivity if s.filter.startswith("rule ")}
    assert alone == {
        "rule helper-task": ("degraded", 1),
        "rule name": ("degraded", 1),
        "rule owned-by-artifact": ("healthy", 2),
    }


@pytest.mark.parametrize("time_ms", [1.765e15, 9.3e18, 1e308, -1e308])
def test_a_time_that_no_clock_shows_is_judged_and_not_a_crash(tmp_path: Path, time_ms: float) -> None:
    lost = {"createdAt": time_ms, "startedAt": time_ms}
    found = {
        "chatMessages": [document("chatMessages", 1, status="streaming") | lost],
        "workflowTraces": [document("workflowTraces", 1, status="STARTED") | lost],
    }
    told = explained(tmp_path, found, "deployed")
    assert told.raw_status == (Status.DEGRADED if time_ms > 0 else Status.UNKNOWN)
    assert len(brief(told, NOW_MS).splitlines()) <= 12


def test_slow_workflows_of_the_product_are_its_own_and_named(tmp_path: Path) -> None:
    slow = [{"status": "COMPLETED", "age_min": 30, "duration_s": 40}] * 3
    found = explained(tmp_path, documents(([], slow), set()), "rollout")
    assert found.summary.startswith("The product's")
    assert [(cause.id, cause.count, cause.blame) for cause in found.diagnosis] == [("slow", 3, "product")]


def test_what_takes_no_part_in_a_broken_rule_is_no_cause(tmp_path: Path) -> None:
    """A workflow that still runs says nothing about messages that nobody owns."""
    orphans = [{"status": "pending", "age_min": 10, "task": "gone"}] * 3
    running = [{"status": "IN_PROGRESS", "age_min": 1, "duration_s": 1}]
    found = explained(tmp_path, documents((orphans, running), set()), "deployed")
    assert found.summary == "Cannot be told: documents of which nothing says whose they are make it degraded."
    assert [cause.id for cause in found.diagnosis] == ["orphans"]


@pytest.mark.parametrize("filter_name", [FilterName.NONE, FilterName.NAME])
def test_leftovers_are_ours_under_a_filter_too_that_does_not_leave_them_out(
    tmp_path: Path, filter_name: FilterName
) -> None:
    found = explained(tmp_path, leftovers(), "deployed", filter_name=filter_name)
    assert found.status is Status.DEGRADED
    assert found.summary.startswith("Ours, not the product's")


def test_what_only_a_wide_filter_leaves_out_is_not_called_ours(tmp_path: Path) -> None:
    real = [{"status": "complete", "age_min": 30, "task": "real"}] * 8
    orphans = [{"status": "pending", "age_min": 10, "task": "gone"}] * 2
    found = explained(tmp_path, documents((real + orphans, []), set()), "deployed", filter_name=FilterName.WIDE)
    assert found.status is Status.HEALTHY
    assert found.summary.startswith("Perhaps ours: without what the filter wide leaves out it is healthy")


def test_failures_of_listed_people_are_not_called_leftovers_of_tests(tmp_path: Path) -> None:
    user = document("users", 1, name="Ada", email="ada@acme.example")
    tasks = [document("tasks", n, title="Fix it", userId=make_id("users", n)) for n in (1, 2)]
    failed = at(document("chatMessages", 1, status="failed", taskId=make_id("tasks", 1)), {"age_min": 5})
    done = at(document("chatMessages", 2, status="complete", taskId=make_id("tasks", 2)), {"age_min": 5})
    found = explained(
        tmp_path,
        {"users": [user], "tasks": tasks, "chatMessages": [failed, done]},
        "deployed",
        lists=InternalLists(emails=("ada@acme.example",)),
    )
    assert (found.raw_status, found.status) == (Status.DEGRADED, Status.HEALTHY)
    assert found.summary.startswith("Ours: only documents of people and repositories that are listed")


def test_without_tasks_nobody_is_blamed_and_none_is_called_gone(tmp_path: Path) -> None:
    put(tmp_path, leftovers(), fingerprints=rules.fingerprints(RULES), absent=["tasks"])
    found = explained(tmp_path, {}, "deployed")
    assert (found.raw_status, found.status) == (Status.DEGRADED, Status.UNKNOWN)
    assert found.summary.startswith("Cannot be told: tasks was not collected")
    assert [cause.id for cause in found.diagnosis] == ["in-flight"]
