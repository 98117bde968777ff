"""The app's functions over HTTP give the recorded answers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import Clock, Deployment
from tests.deployment.app import round_2, to_fixed_1
from tests.deployment.encoding import floats
from tests.deployment_checks.client import Client

CASES = json.loads((Path(__file__).parents[1] / "recorded" / "golden-health.json").read_text())
MODULES = {"checkWorkflowMode": "api/testHelpers"}


def answers(client: Client, names: Any) -> dict[str, Any]:
    return {name: client.value(f"{MODULES.get(name, 'monitoring/dashboard')}:{name}") for name in names}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_functions_give_the_recorded_answers(case: dict[str, Any]) -> None:
    with Deployment(clock=Clock(case["now_ms"])) as deployment, Client(deployment) as client:
        deployment.load(floats(case["documents"]))
        deployment.set_env(**case["env"])
        assert answers(client, case["expected"]) == case["expected"]
        if "expected_without_artifacts" in case:
            for table, ids in case["artifact_ids"].items():
                if ids:
                    deployment.delete(table, *ids)
            assert answers(client, case["expected_without_artifacts"]) == case["expected_without_artifacts"]


def test_numbers_of_answers_are_floats_on_the_wire(deployment: Deployment, client: Client) -> None:
    deployment.insert("chatMessages", {"createdAt": float(deployment.clock.now_ms), "status": "complete"})
    body = {"path": "monitoring/dashboard:getSystemHealth", "args": {}}
    text = client.post("/api/query", json=body).text
    assert '"total":1.0' in text
    assert f'"timestamp":{deployment.clock.now_ms}.0' in text


def test_documents_without_the_fields_count_as_javascript_counts_undefined(
    deployment: Deployment, client: Client
) -> None:
    deployment.insert_many("chatMessages", [{"status": "streaming"}, {"createdAt": "soon"}])
    deployment.insert("workflowTraces", {"traceId": "t"})
    assert client.value("monitoring/dashboard:getSystemHealth")["messages"]["total"] == 0
    assert client.value("monitoring/dashboard:checkAlerts")["status"] == "OK"
    assert client.value("monitoring/dashboard:getRecentTraces")[0]["traceId"] == "t"


@pytest.mark.slow
def test_health_stops_working_past_32000_documents(deployment: Deployment, client: Client) -> None:
    now_ms = float(deployment.clock.now_ms)
    deployment.insert_many("chatMessages", [{"createdAt": now_ms, "status": "complete"}] * 32_000)
    assert client.value("monitoring/dashboard:getSystemHealth")["messages"]["total"] == 32_000
    deployment.insert("workflowTraces", {"createdAt": now_ms, "status": "COMPLETED", "startedAt": now_ms})
    assert "Too many documents read" in client.error("monitoring/dashboard:getSystemHealth")
    assert client.call("monitoring/dashboard:getRecentTraces")["status"] == "success"


def test_rounding_is_that_of_javascript_at_random_and_at_ties() -> None:
    assert [round_2(199 / 200), round_2(1 / 8), round_2(23 / 40)] == [1, 0.13, 0.57]
    assert [to_fixed_1(5 / 16 * 100), to_fixed_1(23 / 80 * 100), to_fixed_1(100.0)] == ["31.3", "28.7", "100.0"]
    random_ = random.Random(7)
    for _ in range(500):
        share = random_.randrange(1_000) / 1_000
        assert abs(round_2(share) - share) <= 0.005 + 1e-12


# ---- test helpers ------------------------------------------------------------------------------------------------


def test_helpers_leave_what_they_are_known_to_leave(deployment: Deployment, client: Client) -> None:
    helpers = "api/testHelpers"
    task = client.mutate(f"{helpers}:createTestTask", {"title": "Reasoning"})["taskId"]
    found = deployment.documents("tasks")[task]
    assert {
        "repoFullName": "test/test-repo",
        "workspacePath": "/tmp/test",
        "title": "Reasoning",
    }.items() <= found.items()
    assert (found["isScratchpad"], found["mainModel"], found["status"]) == (True, "gpt-4o", "RUNNING")
    assert deployment.documents("users")[found["userId"]]["email"] == "workflow-test@test.local"

    made = client.mutate(f"{helpers}:testPromptMessageId")
    messages = deployment.documents("chatMessages")
    reply = messages[made["assistantMessageId"]]
    assert (reply["status"], reply["content"], reply["llmModel"]) == ("pending", "", "test-model")
    assert messages[reply["promptMessageId"]]["content"] == "Test prompt for promptMessageId verification"
    assert deployment.documents("tasks")[made["taskId"]]["title"].startswith("PromptMessageId Test 1")
    assert len(deployment.documents("users")) == 1

    client.mutate(f"{helpers}:deleteTestTask", {"taskId": made["taskId"]})
    assert made["taskId"] not in deployment.documents("tasks")
    assert deployment.documents("chatMessages") == messages
    user = client.mutate(f"{helpers}:createTestUser")["userId"]
    assert deployment.documents("users")[user]["email"] == f"test-{deployment.clock.now_ms}@test.local"


def test_a_helper_writes_into_a_task_that_it_is_given(deployment: Deployment, client: Client) -> None:
    task = deployment.insert("tasks", {"title": "Fix the login"})
    client.mutate("api/testHelpers:testPromptMessageId", {"taskId": task})
    assert {message["taskId"] for message in deployment.documents("chatMessages").values()} == {task}
    assert client.value("monitoring/dashboard:getSystemHealth")["health"]["status"] == "degraded"
