"""Makes an export of any size: seeded, with valid ids, realistic text, unknown fields, clashing values, leftovers."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from analyzer.convex import ids

NUMBERS = {"users": 10_001, "tasks": 10_002, "chatMessages": 10_003, "workflowTraces": 10_004}
START_MS = 1_765_889_880_000.0
SPAN_MS = 30 * 86_400_000  # documents are spread over thirty days
WORDS = (
    "the",
    "build",
    "fails",
    "because",
    "a",
    "worker",
    "never",
    "gets",
    "its",
    "token",
    "so",
    "retry",
    "with",
    "backoff",
    "and",
    "log",
    "why",
    "it",
    "stopped",
)


def export(path: Path, messages: int, *, seed: int = 1, changed_share: float = 0.0) -> Path:
    """Write an export with this many messages, a quarter as many traces, and a task for every twenty.

    changed_share  0..1: how many of the messages differ from those written with 0
    """
    tasks = max(1, messages // 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        listed = b"".join(orjson.dumps({"name": n, "id": i}) + b"\n" for n, i in NUMBERS.items())
        archive.writestr("README.md", "an export")
        archive.writestr("_tables/documents.jsonl", listed)
        made = {
            "users": _users(seed),
            "tasks": _tasks(tasks, seed),
            "workflowTraces": _traces(messages // 4, tasks, seed),
            "chatMessages": _messages(messages, tasks, seed, changed_share),
        }
        for table, documents in made.items():
            with archive.open(f"{table}/documents.jsonl", "w", force_zip64=True) as entry:
                for document in documents:
                    entry.write(orjson.dumps(document) + b"\n")
            archive.writestr(f"{table}/generated_schema.jsonl", '"uniform"\n')
    return path


def id_of(table: str, number: int) -> str:
    """Return the n-th id of a table."""
    return ids.encode(NUMBERS[table], random.Random(f"{table}/{number}").randbytes(16))


def _times(chance: random.Random) -> dict[str, float]:
    at_ms = START_MS - chance.random() * SPAN_MS
    return {"_creationTime": at_ms, "createdAt": float(int(at_ms))}


def _users(seed: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"{seed}/users")
    for n in range(100):
        yield _times(chance) | {"_id": id_of("users", n), "email": f"u{n}@example.com", "name": f"User {n}"}


def _tasks(count: int, seed: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"{seed}/tasks")
    for n in range(count):
        task = _times(chance) | {
            "_id": id_of("tasks", n),
            "title": f"Task {n}",
            "status": "RUNNING",
            "repoFullName": "acme/widgets",
            "userId": id_of("users", n % 100),
            "isScratchpad": False,
            "workspacePath": "/workspace",
        }
        if n % 50 == 0:  # what a helper leaves
            task |= {"repoFullName": "test/test-repo", "workspacePath": "/tmp/test", "isScratchpad": True}
        yield task


def _traces(count: int, tasks: int, seed: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"{seed}/traces")
    for n in range(count):
        times = _times(chance)
        yield times | {
            "_id": id_of("workflowTraces", n),
            "taskId": id_of("tasks", chance.randrange(tasks)),
            "traceId": f"trace_{n}",
            "workflowType": "streamChatWithTools",
            "status": chance.choices(["COMPLETED", "FAILED", "STARTED"], [96, 3, 1])[0],
            "startedAt": times["createdAt"],
            "totalDurationMs": float(chance.randrange(500, 20_000)),
            "model": "acme/model-4",
        }


def _messages(count: int, tasks: int, seed: int, changed_share: float) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"{seed}/messages")
    task_ids = [id_of("tasks", n) for n in range(tasks)]
    changed_every = round(1 / changed_share) if changed_share else 0
    for n in range(count):
        message: dict[str, Any] = _times(chance) | {
            "_id": id_of("chatMessages", n),
            "taskId": task_ids[chance.randrange(tasks)],
            "role": "USER" if n % 2 else "ASSISTANT",
            "status": chance.choices(["complete", "failed", "pending"], [96, 2, 2])[0],
            "content": " ".join(chance.choices(WORDS, k=chance.randrange(20, 140))),
            "llmModel": "acme/model-4",
            "sequence": float(n % 30),
        }
        if n % 9 == 0:
            message["clientHints"] = {"tab": n % 7, "viewport": [1280, 800]}
        if n % 1000 == 0:
            message["createdAt"] = "n/a"
        if changed_every and n % changed_every == 0:
            message["status"] = "complete" if message["status"] != "complete" else "failed"
        yield message
