"""Which documents are artifacts, and at which tier: recorded cases, half-deleted chains and decoys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import storing
from tests.analysis.leftovers import (
    Document,
    found_in,
    helper_task,
    helper_user,
    make_id,
    message,
    placeholder,
    prompt,
    task,
    tiers_in,
    trace,
    user,
)

CASES = json.loads((Path(__file__).parents[1] / "recorded" / "golden-health.json").read_text(encoding="utf-8"))
WITH_ARTIFACTS = [case for case in CASES if "artifact_ids" in case]
STRONG = ("certain", "likely")


# ---- the recorded cases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", WITH_ARTIFACTS, ids=lambda case: case["name"])
def test_certain_and_likely_are_exactly_the_recorded_artifacts(case: dict[str, Any], tmp_path: Path) -> None:
    path = storing.put(tmp_path, case["documents"], at_ms=case["now_ms"])
    found: dict[str, list[str]] = {}
    for artifact in found_in(path).values():
        if artifact.tier in STRONG:
            found.setdefault(artifact.table, []).append(artifact.id)
    assert {table: sorted(ids) for table, ids in found.items()} == {
        table: sorted(ids) for table, ids in case["artifact_ids"].items() if ids
    }


def test_nothing_in_the_other_recorded_cases_is_certain_or_likely(tmp_path: Path) -> None:
    together: dict[str, dict[str, Document]] = {}
    for case in CASES:
        if "artifact_ids" not in case:
            for table, documents in case["documents"].items():
                together.setdefault(table, {}).update({d["_id"]: d for d in documents})
    documents = {table: list(found.values()) for table, found in together.items()}
    assert sum(map(len, documents.values())) > 1000
    path = storing.put(tmp_path, documents, at_ms=max(case["now_ms"] for case in CASES))
    assert [id_ for id_, tier in tiers_in(path).items() if tier in STRONG] == []


# ---- one deployment full of leftovers and of what only looks like them -----------------------------------------

MS = "1765889820000"
PEOPLE = {
    "real": user(1),
    "helper": helper_user(2),
    "helper with a number": user(3, f"test-{MS}@test.local", "Test User"),
    "suite": user(4, f"test-{MS}@example.com", "Test User"),
    "few digits": user(5, "test-123@test.local", "Test User"),
    "many digits": user(6, f"test-{MS}0@test.local", "Test User"),
    "longer domain": user(7, "workflow-test@test.local.evil.com", "Workflow Test User"),
    "upper case": user(8, "Workflow-Test@test.local", "Workflow Test User"),
    "look-alike": user(9, "wоrkflow-test@test.local", "Workflow Test User"),
    "wide digits": user(10, "test-１２３４５６７８９０１２３@test.local", "Test User"),
    "trailing line": user(11, "workflow-test@test.local\n", "Workflow Test User"),
    "other name": user(12, f"test-{MS}@example.com", "Ada"),
    "name alone": user(13, "ada@acme.example", "Test User"),
    "mistyped email": user(14, 5),
    "no email": user(15, ...),
    "email in a list": user(16, ["workflow-test@test.local"]),
    "any character for the dot": user(17, f"test-{MS}@testXlocal", "Test User"),
}
TASKS = {
    "real": task(1),
    "helper": helper_task(2),
    "titled test": task(3, title="Fix flaky test in CI"),
    "titled in the middle": task(4, title="Load tEsTing"),
    "no word of it": task(5, title="Greatest? No: gratest hits"),
    "look-alike title": task(6, title="Fix flaky tеst"),
    "scratchpad as text": helper_task(7, 1, isScratchpad="true"),
    "scratchpad missing": helper_task(8, 1, isScratchpad=...),
    "scratchpad as number": helper_task(9, 1, isScratchpad=1),
    "other workspace": helper_task(10, 1, workspacePath="/tmp/test2"),
    "helper's owner is gone": helper_task(11, 99),
    "of the helper user": task(12, 2),
    "of the suite user": task(13, 4),
    "suite by owner": task(14, 4, repoFullName="test/repo"),
    "suite by title": task(15, repoFullName="test/repo", title="E2E login flow"),
    "suite by number": task(16, repoFullName="test/perf", title="Perf Test Task 12"),
    "suite repo alone": task(17, repoFullName="test/repo", title="Login"),
    "suite title alone": task(18, title="E2E login flow"),
    "suite title with more": task(19, repoFullName="test/perf", title="Perf Test Task 12b"),
    "owner mistyped": task(20, userId=2),
    "owner in the title": task(21, title=make_id("users", 2)),
    "mentions the helper": task(22, metadataJson=json.dumps({"userId": make_id("users", 2)})),
    "title mistyped": task(23, title=["test"]),
}
MESSAGES = {
    "real": message(1, 1),
    "of the helper task": message(2, 2),
    "of the titled task": message(3, 3),
    "prompt in a real task": prompt(4, 1),
    "reply in a real task": placeholder(5, 1, 4, status="complete", content="hi"),
    "placeholder of a gone prompt": placeholder(6, 77, 9_999),
    "prompt of a gone task": prompt(7, 77),
    "model alone": message(8, 1, llmModel="test-model"),
    "model mistyped": placeholder(9, 1, 4, llmModel=5),
    "model look-alike": placeholder(10, 1, 4, llmModel="tеst-model"),
    "model upper case": prompt(11, 1, llmModel="Test-Model"),
    "text alone": message(12, 1, content="Test prompt for promptMessageId verification"),
    "text with a space": prompt(13, 1, content="Test prompt for promptMessageId verification "),
    "real reply to a prompt": message(14, 1, promptMessageId=make_id("chatMessages", 4)),
    "pending with text": placeholder(15, 1, 9_999, content="x"),
    "pending without role": placeholder(16, 1, 9_999, role=...),
    "pending with null text": placeholder(17, 1, 9_999, content=None),
    "pending with missing text": placeholder(18, 1, 9_999, content=...),
    "pending with mistyped text": placeholder(19, 1, 9_999, content=5),
    "pending of a user": placeholder(20, 1, 9_999, role="USER"),
    "task as number": message(21, 12),
    "task null": message(22, None),
    "task missing": message(23, ...),
    "task in a list": message(24, [make_id("tasks", 2)]),
    "task in metadata": message(25, 1, metadataJson=json.dumps({"taskId": make_id("tasks", 2)})),
    "stacked on the helper task": message(26, 1, stackedTaskId=make_id("tasks", 2)),
    "task is the helper user": message(27, make_id("users", 2)),
    "task upper case": message(28, make_id("tasks", 2).upper()),
    "orphan": message(29, 78),
    "orphan by an empty id": message(30, ""),
    "orphan with the model": message(31, 78, llmModel="test-model"),
    "reply mistyped": placeholder(
        32, 1, 4, status="complete", content="hi", promptMessageId=[make_id("chatMessages", 4)]
    ),
}
MESSAGES["task as number"]["taskId"] = 12
OTHERS = {
    "trace of the helper task": ("workflowTraces", trace(1, 2)),
    "trace of a real task": ("workflowTraces", trace(2, 1)),
    "trace naming a helper message": ("workflowTraces", trace(3, 1, messageId=make_id("chatMessages", 4))),
    "orphan trace": ("workflowTraces", trace(4, 78)),
    "tool call of the helper task": ("toolCalls", storing.document("toolCalls", 1, taskId=make_id("tasks", 2))),
    "tool call of the helper message": (
        "toolCalls",
        storing.document("toolCalls", 2, taskId=make_id("tasks", 1), messageId=make_id("chatMessages", 4)),
    ),
    "agent tool of the helper message": (
        "agentTools",
        storing.document("agentTools", 1, taskId=make_id("tasks", 1), messageId=make_id("chatMessages", 4)),
    ),
    "agent tool of a message of the helper task": (
        "agentTools",
        storing.document("agentTools", 2, messageId=make_id("chatMessages", 2)),
    ),
    "metrics stronger by message than by task": (
        "streamingMetrics",
        storing.document("streamingMetrics", 1, taskId=make_id("tasks", 3), messageId=make_id("chatMessages", 4)),
    ),
    "snapshot of a likely message": (
        "pullRequestSnapshots",
        storing.document("pullRequestSnapshots", 1, messageId=make_id("chatMessages", 6)),
    ),
    "snapshot of an orphan": (
        "pullRequestSnapshots",
        storing.document("pullRequestSnapshots", 2, messageId=make_id("chatMessages", 29)),
    ),
    "todo of the helper user": ("todos", storing.document("todos", 1, userId=make_id("users", 2))),
    "todo with a mistyped task": ("todos", storing.document("todos", 2, taskId={"id": make_id("tasks", 2)})),
    "table nobody knows": ("invoices", storing.document("invoices", 1, taskId=make_id("tasks", 2))),
    "task of a component": ("billing/tasks", helper_task(901)),
    "user of a component": ("billing/users", helper_user(902)),
    "message of a component": ("billing/chatMessages", prompt(903, 2)),
    "todo of a component": ("billing/todos", storing.document("todos", 904, taskId=make_id("tasks", 2))),
}
EXPECTED = {
    "certain": {
        "users: helper", "users: helper with a number",
        "tasks: helper", "tasks: helper's owner is gone", "tasks: of the helper user",
        "messages: of the helper task", "messages: prompt in a real task", "messages: reply in a real task",
        "messages: prompt of a gone task",
        "trace of the helper task", "tool call of the helper task", "agent tool of the helper message",
        "agent tool of a message of the helper task", "metrics stronger by message than by task",
    },
    "likely": {
        "users: suite",
        "tasks: of the suite user", "tasks: suite by owner", "tasks: suite by title", "tasks: suite by number",
        "messages: placeholder of a gone prompt", "messages: pending with null text",
        "messages: pending with missing text", "snapshot of a likely message",
    },
    "suspect": {
        "tasks: titled test", "tasks: titled in the middle", "tasks: scratchpad as text", "tasks: scratchpad missing",
        "tasks: scratchpad as number", "tasks: other workspace", "tasks: suite repo alone",
        "tasks: suite title with more", "tasks: no word of it",
        "messages: of the titled task", "messages: model alone", "messages: text with a space",
        "messages: pending with text", "messages: pending without role", "messages: pending with mistyped text",
        "messages: pending of a user", "messages: orphan with the model", "messages: reply mistyped",
    },
    "orphan": {
        "messages: task is the helper user", "messages: task upper case", "messages: orphan",
        "messages: orphan by an empty id", "orphan trace", "snapshot of an orphan",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents: dict[str, list[Document]] = {
        "users": list(PEOPLE.values()),
        "tasks": list(TASKS.values()),
        "chatMessages": list(MESSAGES.values()),
    }
    for table, document in OTHERS.values():
        documents.setdefault(table, []).append(document)
    return storing.put(tmp_path_factory.mktemp("world"), documents)


@pytest.fixture(scope="module")
def judged(world: Path) -> dict[str, str]:
    return tiers_in(world)


def everything() -> list[tuple[str, str]]:
    """Return every document of the world as (what it is, id)."""
    named = [(f"users: {name}", d["_id"]) for name, d in PEOPLE.items()]
    named += [(f"tasks: {name}", d["_id"]) for name, d in TASKS.items()]
    named += [(f"messages: {name}", d["_id"]) for name, d in MESSAGES.items()]
    return named + [(name, d["_id"]) for name, (_, d) in OTHERS.items()]


@pytest.mark.parametrize(("name", "document_id"), everything(), ids=lambda value: value if " " in value else "")
def test_a_document_has_the_tier_that_its_evidence_earns(name: str, document_id: str, judged: dict[str, str]) -> None:
    wanted = next((tier for tier, names in EXPECTED.items() if name in names), None)
    assert judged.get(document_id) == wanted


def test_every_expectation_speaks_of_a_document() -> None:
    assert set().union(*EXPECTED.values()) <= {name for name, _ in everything()}


def test_orphans_are_left_out_unless_asked_for_and_nothing_else_changes(world: Path, judged: dict[str, str]) -> None:
    assert tiers_in(world, orphans=False) == {id_: tier for id_, tier in judged.items() if tier != "orphan"}


def test_an_artifact_names_its_rules_strongest_first_and_the_document_it_was_reached_through(world: Path) -> None:
    found = found_in(world)
    reply = found[MESSAGES["reply in a real task"]["_id"]]
    assert (reply.rules, reply.via) == (("helper-message", "helper-model"), MESSAGES["prompt in a real task"]["_id"])
    owned = found[MESSAGES["of the helper task"]["_id"]]
    assert (owned.rules, owned.via) == (("owned-by-artifact",), TASKS["helper"]["_id"])
    helper = found[TASKS["helper"]["_id"]]
    assert (helper.rules, helper.via) == (("helper-task", "owned-by-artifact", "name"), None)
    metrics = found[OTHERS["metrics stronger by message than by task"][1]["_id"]]
    assert (metrics.rules, metrics.via) == (("owned-by-artifact",), MESSAGES["prompt in a real task"]["_id"])
    orphan = found[MESSAGES["orphan"]["_id"]]
    assert (orphan.rules, orphan.via) == (("orphan",), make_id("tasks", 78))


def test_the_list_is_sorted_by_tier_table_and_id(world: Path) -> None:
    found = list(found_in(world).values())
    order = ("certain", "likely", "suspect", "orphan")
    keys = [(order.index(a.tier.value), a.component, a.table, a.id) for a in found]
    assert keys == sorted(keys)
    assert next(a.label for a in found if a.table == "users") == "workflow-test@test.local"


def test_before_the_clock_nothing_is_there_to_judge(world: Path) -> None:
    assert tiers_in(world, at_ms=storing.NOW_MS - 3_600_000) == {}
