"""Documents of an invented app in use, the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

from tests.deployment.deployment import Deployment

HOUR_MS = 3_600_000
MODELS = ("anthropic/claude-sonnet-4", "openai/gpt-4o", "google/gemini-2.5-pro")
WORDS = [
    "fix",
    "add",
    "refactor",
    "review",
    "login",
    "billing",
    "search",
    "export",
    "cache",
    "retry",
    "unit",
    "tests",
    "queue",
    "worker",
    "page",
    "form",
]
TABLES = ("users", "tasks", "chatMessages", "workflowTraces", "toolCalls", "todos")
BATCH = 5_000


def fill(deployment: Deployment, documents: int, seed: int = 0, hours: float = 48.0) -> None:
    """Add about so many documents, made over the last hours before now."""
    random_ = random.Random(f"{seed}/sample")
    for table in TABLES:
        deployment.create_table(table)
    if documents <= 0:
        return
    now_ms = float(deployment.clock.now_ms)
    users = max(1, documents // 200)
    tasks = max(1, documents // 20)
    people = _add(deployment, "users", [_user(n, now_ms - hours * HOUR_MS) for n in range(users)])
    times = sorted(now_ms - random_.random() * hours * HOUR_MS for _ in range(tasks))
    found = _add(deployment, "tasks", [_task(random_, random_.choice(people), at_ms) for at_ms in times])
    rest = documents - users - tasks
    shares = {"chatMessages": 0.6, "workflowTraces": 0.25, "toolCalls": 0.1, "todos": 0.05}
    makers = {"chatMessages": _message, "workflowTraces": _trace, "toolCalls": _tool_call, "todos": _todo}
    for table, share in shares.items():
        rows = []
        for number in range(int(rest * share)):
            place = random_.randrange(tasks)
            at_ms = times[place] + random_.random() * (now_ms - times[place])
            rows.append(makers[table](random_, found[place], float(int(at_ms)), number))
        _add(deployment, table, rows)


def _add(deployment: Deployment, table: str, rows: list[dict[str, Any]]) -> list[str]:
    """Insert in batches, as an app writes in many transactions; creation time is that of the row."""
    added: list[str] = []
    for start in range(0, len(rows), BATCH):
        batch = [{"_creationTime": row["createdAt"]} | row for row in rows[start : start + BATCH]]
        added += deployment.insert_many(table, batch)
    return added


def _user(number: int, at_ms: float) -> dict[str, Any]:
    name = f"Person {number}"
    return {"name": name, "email": f"person{number}@example.org", "createdAt": at_ms + number, "emailVerified": True}


def _task(random_: random.Random, owner: str, at_ms: float) -> dict[str, Any]:
    title = " ".join(random_.sample(WORDS, 3)).capitalize()
    times = {"createdAt": float(int(at_ms)), "updatedAt": float(int(at_ms))}
    where = {"repoFullName": "acme/widgets", "repoUrl": "https://git.example.com/acme/widgets", "isScratchpad": False}
    own = {"title": title, "status": "RUNNING", "userId": owner, "mainModel": random_.choice(MODELS)}
    return own | times | where | {"workspacePath": "/workspace", "initStatus": "ACTIVE"}


def _message(random_: random.Random, task: str, at_ms: float, number: int) -> dict[str, Any]:
    is_answer = number % 2 == 1
    status = "complete" if not is_answer or random_.random() < 0.97 else "failed"
    text = " ".join(random_.choices(WORDS, k=random_.randrange(8, 60)))
    message = {
        "taskId": task,
        "role": "ASSISTANT" if is_answer else "USER",
        "content": text,
        "status": status,
        "sequence": float(number % 40),
        "createdAt": at_ms,
        "llmModel": random_.choice(MODELS),
    }
    return message | ({"promptTokens": 120.0, "completionTokens": float(len(text))} if is_answer else {})


def _trace(random_: random.Random, task: str, at_ms: float, number: int) -> dict[str, Any]:
    took_ms = float(int(random_.lognormvariate(8.2, 0.5)))
    is_failed = random_.random() < 0.02
    trace = {
        "taskId": task,
        "traceId": f"trace_{number}",
        "workflowType": "streamChatWithTools",
        "status": "FAILED" if is_failed else "COMPLETED",
        "startedAt": at_ms,
        "completedAt": at_ms + took_ms,
        "totalDurationMs": took_ms,
        "model": random_.choice(MODELS),
        "createdAt": at_ms,
        "updatedAt": at_ms + took_ms,
    }
    return trace | ({"errorType": "StreamClosed", "errorMessage": "stream closed"} if is_failed else {})


def _tool_call(random_: random.Random, task: str, at_ms: float, number: int) -> dict[str, Any]:
    return {"taskId": task, "tool": random_.choice(("read", "write", "run")), "ok": True, "createdAt": at_ms}


def _todo(random_: random.Random, task: str, at_ms: float, number: int) -> dict[str, Any]:
    return {"taskId": task, "content": random_.choice(WORDS), "status": "PENDING", "createdAt": at_ms}
