"""Documents as the app, its test helpers and its users write them, for tests of artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analyzer import rules
from analyzer.analysis import artifacts as finding
from analyzer.analysis.artifacts import Artifact
from analyzer.model import Mark
from analyzer.rules import InternalLists
from analyzer.store import Store
from tests import storing

PROMPT = "Test prompt for promptMessageId verification"
Document = dict[str, Any]
make_id = storing.make_id


def user(n: int, email: Any = "ada@acme.example", name: Any = "Ada", **fields: Any) -> Document:
    return storing.document("users", n, email=email, name=name, **fields)


def helper_user(n: int, **fields: Any) -> Document:
    return user(n, "workflow-test@test.local", "Workflow Test User", **fields)


def task(n: int, owner: Any = 1, **fields: Any) -> Document:
    """A real user's task."""
    real = {"title": f"Refactor module {n}", "repoFullName": "acme/widgets", "workspacePath": "/workspace"}
    owned = {"userId": make_id("users", owner), "isScratchpad": False, "status": "RUNNING"}
    return storing.document("tasks", n, **(real | owned | fields))


def helper_task(n: int, owner: Any = 2, **fields: Any) -> Document:
    left = {"repoFullName": "test/test-repo", "workspacePath": "/tmp/test", "isScratchpad": True, "mainModel": "gpt-4o"}
    return task(n, owner, **(left | {"title": "Reasoning"} | fields))


def message(n: int, of: Any, **fields: Any) -> Document:
    """A real message of a task, given by number or, as any other value, by what stands in taskId."""
    real = {"role": "ASSISTANT", "status": "complete", "llmModel": "claude", "content": f"answer {n}"}
    return storing.document("chatMessages", n, taskId=task_id(of), **(real | fields))


def prompt(n: int, of: Any, **fields: Any) -> Document:
    return message(n, of, **({"role": "USER", "llmModel": "test-model", "content": PROMPT} | fields))


def placeholder(n: int, of: Any, to: int, **fields: Any) -> Document:
    left = {"llmModel": "test-model", "status": "pending", "content": "", "metadataJson": '{"isStreaming":true}'}
    return message(n, of, **(left | {"promptMessageId": make_id("chatMessages", to)} | fields))


def trace(n: int, of: Any, **fields: Any) -> Document:
    return storing.document("workflowTraces", n, taskId=task_id(of), **({"status": "COMPLETED"} | fields))


def task_id(of: Any) -> Any:
    return make_id("tasks", of) if type(of) is int else of


def found_in(
    path: Path,
    *,
    lists: InternalLists = finding.NO_LISTS,
    own: Sequence[Path] = (),
    at_ms: int | None = None,
    selector: int | None = None,
    orphans: bool = True,
) -> dict[str, Artifact]:
    """Return the artifacts of a store by id."""
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(selector), at_ms)
        finding.prepare(frame, rules.load_all(own), lists, orphans=orphans)
        return {artifact.id: artifact for artifact in finding.list_artifacts(frame)}


def tiers_in(path: Path, **how: Any) -> dict[str, str]:
    """Return the tier of each artifact by id."""
    return {id_: artifact.tier.value for id_, artifact in found_in(path, **how).items()}


def say(path: Path, document: Document | str, verdict: Any) -> None:
    """Mark a document."""
    document_id = document if isinstance(document, str) else document["_id"]
    with Store.write(path) as store:
        store.add_mark("happy-animal-123", Mark(document_id, verdict, "as we know", "Ada", storing.NOW_MS))
