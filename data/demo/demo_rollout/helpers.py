"""What the app's own test helpers and test suites leave behind, as they leave it."""

from __future__ import annotations

from . import texts
from .deployment import Deployment, Document, at
from .traffic import STREAMING, Task, Traffic

PROMPT = "Test prompt for promptMessageId verification"
SMOKE_TITLE = "final-verification-test"


class Helpers:
    """Runs api/testHelpers and the end-to-end suite against a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._owner: str | None = None

    def create_test_task(self, at_ms: int, title: str | None = None) -> str:
        """Add a task of the helper's user, which is made when it is first needed; return the task's id."""
        insert = self.deployment.insert
        if self._owner is None:
            email = "workflow-test@test.local"
            self._owner = insert("users", at_ms, name="Workflow Test User", email=email, createdAt=float(at_ms))
        return insert(
            "tasks",
            at_ms,
            title=title or f"Test Task {at_ms}",
            status="RUNNING",
            repoFullName="test/test-repo",
            repoUrl="https://git.example.com/test/test-repo",
            isScratchpad=True,
            mainModel="gpt-4o",
            workspacePath="/tmp/test",
            initStatus="ACTIVE",
            userId=self._owner,
            createdAt=float(at_ms),
            updatedAt=float(at_ms),
        )

    def test_prompt_message_id(self, at_ms: int, task: str | None = None) -> str:
        """Write a prompt and a reply that stays pending, into a new task or one that is given; return the task."""
        task = task or self.create_test_task(at_ms, f"PromptMessageId Test {at_ms}")
        fields: Document = {"taskId": task, "llmModel": "test-model", "createdAt": float(at_ms)}
        prompt = self.deployment.insert(
            "chatMessages", at_ms, **fields, role="USER", content=PROMPT, status="complete", sequence=0.0
        )
        reply: Document = {
            "role": "ASSISTANT",
            "content": "",
            "status": "pending",
            "metadataJson": STREAMING,
            "sequence": 1.0,
        }
        self.deployment.insert("chatMessages", at_ms, **fields, **reply, promptMessageId=prompt)
        return task

    def create_test_user(self, at_ms: int) -> str:
        """Add a user."""
        email = f"test-{at_ms}@test.local"
        return self.deployment.insert("users", at_ms, name="Test User", email=email, createdAt=float(at_ms))

    def delete_test_task(self, at_ms: int, task: str) -> None:
        """Delete the task and nothing that refers to it."""
        self.deployment.delete("tasks", task, at_ms)

    def streaming_test(self, at_ms: int) -> str:
        """Start a reply from the command line and close the window: it streams for ever. Return the task."""
        task = self.create_test_task(at_ms, "CLI Streaming Test")
        fields: Document = {"taskId": task, "llmModel": "gpt-4o", "createdAt": float(at_ms)}
        insert = self.deployment.insert
        insert("chatMessages", at_ms, **fields, role="USER", content="Count to 100.", status="complete", sequence=0.0)
        reply = {"role": "ASSISTANT", "content": "1 2 3 4 5", "status": "streaming", "metadataJson": STREAMING}
        insert("chatMessages", at_ms, **fields, **reply, sequence=1.0)
        return task

    def smoke_test(self, at_ms: int, traffic: Traffic) -> str:
        """Ask one real question in a test task, through the whole workflow; return the task."""
        id_ = self.create_test_task(at_ms, SMOKE_TITLE)
        task = Task(id_, self._owner or "", texts.MODELS[0], at_ms)
        answer = traffic.turn(task, at_ms, task.model, duration_ms=9_400)
        self.deployment.insert(
            "workflows",
            at_ms + 300,
            component="workflow",
            name="workflows/chat:streamChat",
            args={"taskId": id_, "messageId": answer},
            generationNumber=0.0,
        )
        return id_

    def suite(self, at_ms: int) -> None:
        """Run the end-to-end and performance suites."""
        insert = self.deployment.insert
        titles = ("Test: streaming reconnect", "E2E checkout flow", "Perf Test Task 1", "Perf Test Task 2")
        for place, title in enumerate(titles):
            now_ms = at_ms + place * 7_000
            email = f"test-{now_ms}@example.com"
            owner = insert("users", now_ms, name="Test User", email=email, createdAt=float(now_ms))
            task = insert(
                "tasks",
                now_ms,
                title=title,
                status="COMPLETED",
                repoFullName="test/perf" if title.startswith("Perf") else "test/repo",
                repoUrl="https://git.example.com/test/repo",
                isScratchpad=False,
                mainModel="gpt-4o",
                workspacePath="/workspace",
                initStatus="ACTIVE",
                userId=owner,
                createdAt=float(now_ms),
                updatedAt=float(now_ms),
            )
            fields: Document = {"taskId": task, "llmModel": "gpt-4o", "status": "complete", "createdAt": float(now_ms)}
            insert("chatMessages", now_ms, **fields, role="USER", content="ping", sequence=0.0)
            insert("chatMessages", now_ms, **fields, role="ASSISTANT", content="pong", sequence=1.0)


def run_around_the_flips(helpers: Helpers, traffic: Traffic, billing: Task, flaky: Task) -> str:
    """Verify the flags by hand, clean up by hand, and leave the rest; return the id of the smoke test's task."""
    deployment = helpers.deployment
    deployment.is_testing = True
    first = helpers.create_test_task(at(16, 6, 55, 12))
    helpers.test_prompt_message_id(at(16, 6, 55, 40))
    unseen = helpers.test_prompt_message_id(at(16, 6, 56, 5))
    helpers.delete_test_task(at(16, 6, 56, 20), unseen)  # between two recordings: nobody ever saw this task
    helpers.test_prompt_message_id(at(16, 6, 57, 45), billing.id)  # into the task of a real user
    seen = helpers.test_prompt_message_id(at(16, 6, 57, 50))
    helpers.create_test_user(at(16, 6, 57, 55))
    helpers.streaming_test(at(16, 6, 58))
    helpers.test_prompt_message_id(at(16, 6, 58, 8), flaky.id)
    smoke = helpers.smoke_test(at(16, 6, 58, 12), traffic)
    now_ms = at(16, 6, 58, 2)
    deployment.insert("presence", now_ms, taskId=seen, userId=traffic.people[0], lastSeenAt=float(now_ms))
    deployment.insert("todos", now_ms, taskId=seen, content="Look at the reply", status="PENDING", sequence=0.0)
    helpers.delete_test_task(at(16, 7, 3), first)
    helpers.delete_test_task(at(16, 7, 3, 20), seen)  # its messages, its todo and its presence stay
    deployment.is_testing = False
    return smoke


def run_last_week(helpers: Helpers, traffic: Traffic) -> None:
    """Leave what earlier test sessions left."""
    older = traffic.open_task(at(15, 16, 30), "Try other models", watched=True)
    traffic.turn(older, at(15, 16, 31), ("test-model", "gateway"))  # a person who chose a model of that name
    deployment = helpers.deployment
    deployment.is_testing = True
    helpers.test_prompt_message_id(at(12, 11, 20))
    helpers.test_prompt_message_id(at(12, 11, 24))
    helpers.suite(at(15, 16, 10))
    when = at(15, 16, 40)
    reply: Document = {"role": "ASSISTANT", "content": "", "status": "pending", "sequence": 2.0}
    fields: Document = {"taskId": older.id, "llmModel": "test-model", "createdAt": float(when)}
    deployment.insert("chatMessages", when, **fields, **reply)  # an older helper, which set no promptMessageId
    deployment.is_testing = False
