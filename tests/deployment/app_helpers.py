"""The app's test helpers: they leave behind what the tool is there to find."""

from __future__ import annotations

from typing import Any

from tests.deployment.errors import FunctionError
from tests.deployment.functions import Call, Registry

EMAIL = "workflow-test@test.local"
PROMPT = "Test prompt for promptMessageId verification"
STREAMING = '{"isStreaming":true,"parts":[]}'


def create_test_task(call: Call, args: dict[str, Any]) -> Any:
    title = args.get("title") or f"Test Task {call.now_ms:.0f}"
    return {"taskId": _task(call, title), "title": title}


def _task(call: Call, title: str) -> str:
    """Add a running task of the helpers' user, who is made when first needed."""
    now_ms = call.now_ms
    owner = next((r.id for r in call.tx.scan(call.component, "users") if r.document.get("email") == EMAIL), None)
    if owner is None:
        owner = _user(call, EMAIL, "Workflow Test User")
    task = {
        "title": title,
        "status": "RUNNING",
        "repoFullName": "test/test-repo",
        "repoUrl": "https://github.com/test/test-repo",
        "isScratchpad": True,
        "mainModel": "gpt-4o",
        "workspacePath": "/tmp/test",
        "initStatus": "ACTIVE",
        "hasBeenInitialized": True,
        "workspaceCleanedUp": False,
        "baseBranch": "main",
        "baseCommitSha": "",
        "shadowBranch": "",
        "userId": owner,
        "createdAt": now_ms,
        "updatedAt": now_ms,
    }
    return call.tx.insert(call.component, "tasks", task)


def _user(call: Call, email: str, name: str) -> str:
    times = {"createdAt": call.now_ms, "updatedAt": call.now_ms}
    return call.tx.insert(call.component, "users", {"email": email, "name": name, "emailVerified": True} | times)


def test_prompt_message_id(call: Call, args: dict[str, Any]) -> Any:
    """Add a prompt that is complete, and an answer that stays pending for ever."""
    task = args.get("taskId") or _task(call, f"PromptMessageId Test {call.now_ms:.0f}")
    common = {"taskId": task, "llmModel": "test-model", "createdAt": call.now_ms}
    prompt = call.tx.insert(
        call.component,
        "chatMessages",
        common | {"role": "USER", "content": PROMPT, "status": "complete", "sequence": 0.0},
    )
    answer = call.tx.insert(
        call.component,
        "chatMessages",
        common
        | {"role": "ASSISTANT", "content": "", "status": "pending", "sequence": 1.0}
        | {"promptMessageId": prompt, "metadataJson": STREAMING},
    )
    return {"taskId": task, "promptMessageId": prompt, "assistantMessageId": answer, "success": True}


def create_test_user(call: Call, args: dict[str, Any]) -> Any:
    return {"userId": _user(call, f"test-{call.now_ms:.0f}@test.local", "Test User")}


def delete_test_task(call: Call, args: dict[str, Any]) -> Any:
    """Delete the task alone: its messages stay."""
    if call.tx.get(call.component, args["taskId"]) is None:
        raise FunctionError("Task not found")
    call.tx.delete(call.component, args["taskId"])
    return {"success": True}


def install(registry: Registry) -> None:
    path = "api/testHelpers"
    registry.mutation(f"{path}:createTestTask", {"title": "string?"})(create_test_task)
    registry.mutation(f"{path}:testPromptMessageId", {"taskId": "string?"})(test_prompt_message_id)
    registry.mutation(f"{path}:createTestUser", {})(create_test_user)
    registry.mutation(f"{path}:deleteTestTask", {"taskId": "string"})(delete_test_task)
