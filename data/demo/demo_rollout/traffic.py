"""Real people at work: tasks, turns of conversation, and what the assistant does in them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from . import schedule, texts
from .deployment import Deployment, Document, at

Outcome = Literal["complete", "failed", "cancelled", "stuck"]
RARE_FAILURE = 0.008  # share of turns that fail on an ordinary day
RARE_CANCEL = 0.01
NEW_TASK = 0.14  # share of turns that open a task
OLD_PATH_UNTIL = at(12, 0)  # until then some messages were appended by a function that set no status
OLD_PATH_SHARE = 0.04
NEW_FIELD_FROM = at(16, 16)  # a deploy gives tasks a priority
SWEEP = at(16, 19, 30)  # a job closes what hangs
HANGING_TURN = "16/18/5"
STREAMING = '{"isStreaming":true,"parts":[]}'


@dataclass
class Task:
    """A task that people still write in."""

    id: str
    owner: str
    model: tuple[str, str]
    last_ms: int
    sequence: int = 0
    last_outcome: Outcome = "complete"
    is_watched: bool = False  # part of the story: its end is told elsewhere


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer."""

    task: Task
    start_ms: int
    end_ms: int
    model: tuple[str, str]  # model, provider
    outcome: Outcome
    has_status: bool  # False on the old path

    @property
    def is_failure(self) -> bool:
        """Whether it ends, or would end, in an error."""
        return self.outcome in ("failed", "stuck")


class Traffic:
    """Writes what real users do into a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.rng = random.Random(f"{deployment.seed}/traffic")
        self.people = [
            deployment.insert("users", created, name=name, email=_email(name), createdAt=float(created))
            for name in texts.PEOPLE
            for created in [at(1, 8) + self.rng.randint(0, 6 * 86_400_000)]
        ]
        self.tasks: list[Task] = []
        self._titles = list(texts.DECOY_TITLES)

    def open_task(self, at_ms: int, title: str | None = None, *, watched: bool = False) -> Task:
        """Add a task of somebody."""
        rng = self.rng
        model = rng.choices(texts.MODELS, texts.MODEL_WEIGHTS)[0]
        is_scratchpad, repository = rng.random() < 0.1, rng.choice(texts.REPOSITORIES)
        owner = rng.choice(self.people)
        id_ = self.deployment.insert(
            "tasks",
            at_ms,
            title=title or self._title(),
            status="RUNNING",
            repoFullName=repository,
            repoUrl=f"https://git.example.com/{repository}",
            isScratchpad=is_scratchpad,
            mainModel=model[0],
            workspacePath="/workspace",
            initStatus="ACTIVE",
            userId=owner,
            createdAt=float(at_ms),
            updatedAt=float(at_ms),
            **({"priority": "normal"} if at_ms >= NEW_FIELD_FROM else {}),
        )
        task = Task(id_, owner, model, at_ms, is_watched=watched)
        if not watched:
            self.tasks.append(task)
        return task

    def _title(self) -> str:
        return self._titles.pop(0) if self._titles and self.rng.random() < 0.07 else texts.title(self.rng)

    def run(self, slots: dict[str, Task]) -> None:
        """Write every turn of the schedule. `slots` gives some of them to a task of the story."""
        for start_ms, slot in schedule.turns(random.Random(f"{self.deployment.seed}/schedule")):
            task = slots.get(slot) or self._task_for(start_ms)
            self.turn(task, start_ms, *self._model_and_outcome(task, start_ms, slot))
        for task in self.tasks:
            self._end(task)

    def _task_for(self, start_ms: int) -> Task:
        fresh = [task for task in self.tasks if task.last_ms > start_ms - 86_400_000]
        if not fresh or self.rng.random() < NEW_TASK:
            return self.open_task(start_ms - 4_000)
        return self.rng.choice(fresh[-14:])

    def _model_and_outcome(self, task: Task, start_ms: int, slot: str) -> tuple[tuple[str, str], Outcome]:
        draw = self.rng.random()
        if schedule.BURST[0] <= start_ms <= schedule.BURST[1]:
            if slot == HANGING_TURN:
                return texts.FAILING_MODEL, "stuck"
            if int(slot.split("/")[2]) % 3:
                return texts.FAILING_MODEL, "failed"
            return texts.MODELS[0], "complete"
        if draw > RARE_FAILURE + RARE_CANCEL or schedule.is_perfect(start_ms) or not schedule.is_office_hour(start_ms):
            return task.model, "complete"
        return task.model, "failed" if draw < RARE_FAILURE else "cancelled"

    def turn(
        self,
        task: Task,
        start_ms: int,
        model: tuple[str, str],
        outcome: Outcome = "complete",
        duration_ms: int | None = None,
    ) -> str:
        """Write a question, its answer as it grows, and the run behind it; return the id of the answer."""
        rng = self.rng
        duration_ms = duration_ms or int(min(70_000, max(3_000, rng.lognormvariate(9.6, 0.6))))
        end_ms = SWEEP if outcome == "stuck" else start_ms + duration_ms
        is_old = start_ms < OLD_PATH_UNTIL and schedule.is_office_hour(start_ms) and rng.random() < OLD_PATH_SHARE
        turn = Turn(task, start_ms, end_ms, model, outcome, has_status=not is_old)
        answer = self._messages(turn)
        trace_id = self._trace(turn, answer)
        self._work(turn, answer, trace_id)
        task.last_ms, task.sequence, task.last_outcome = end_ms, task.sequence + 2, outcome
        return answer

    def _messages(self, turn: Turn) -> str:
        rng, deployment, start_ms = self.rng, self.deployment, turn.start_ms
        common = {"taskId": turn.task.id, "llmModel": turn.model[0]}
        question = deployment.insert(
            "chatMessages",
            start_ms,
            **common,
            **({"status": "complete"} if turn.has_status else {}),
            role="USER",
            content=texts.question(rng),
            sequence=float(turn.task.sequence),
            createdAt=float(start_ms),
        )
        asked = {"promptMessageId": question} if schedule.is_on("ENABLE_PROMPT_MESSAGE_ID", start_ms) else {}
        answer = deployment.insert(
            "chatMessages",
            start_ms + 250,
            **common,
            **asked,
            **({"status": "pending"} if turn.has_status else {}),
            role="ASSISTANT",
            content="",
            metadataJson=STREAMING,
            sequence=float(turn.task.sequence + 1),
            createdAt=float(start_ms + 250),
        )
        if turn.has_status:
            deployment.patch("chatMessages", answer, start_ms + 1_200, status="streaming")
        status = {"status": "failed" if turn.is_failure else "complete"} if turn.has_status else {}
        said = {"finishReason": "error"} if turn.is_failure else self._said(turn)
        deployment.patch("chatMessages", answer, turn.end_ms, metadataJson=None, **status, **said)
        return answer

    def _said(self, turn: Turn) -> dict[str, str | float]:
        rng = self.rng
        is_compressed = schedule.is_on("ENABLE_MESSAGE_COMPRESSION", turn.start_ms)
        asked = float(rng.randint(900, 9_000)) // (1.4 if is_compressed else 1.0)
        said = float(rng.randint(60, 900))
        return {
            "content": texts.answer(rng),
            "finishReason": "stop" if turn.outcome == "complete" else "cancelled",
            "inputTokens": asked,
            "outputTokens": said,
            "totalTokens": asked + said,
        }

    def _trace(self, turn: Turn, answer: str) -> str:
        rng, deployment = self.rng, self.deployment
        started_ms = float(turn.start_ms + 200)
        trace_id = f"trace_{len(deployment.history['', 'workflowTraces']) + 1}"
        trace = deployment.insert(
            "workflowTraces",
            started_ms,
            taskId=turn.task.id,
            traceId=trace_id,
            messageId=answer,
            workflowType="streamChat" if rng.random() < 0.15 else "streamChatWithTools",
            status="STARTED",
            startedAt=started_ms,
            model=turn.model[0],
            provider=turn.model[1],
            retryCount=0.0,
            createdAt=started_ms,
            updatedAt=started_ms,
        )
        if turn.outcome != "stuck":
            deployment.patch("workflowTraces", trace, started_ms + 700, status="IN_PROGRESS")
        end_ms = float(turn.end_ms)
        ended = {"completedAt": end_ms, "updatedAt": end_ms, "totalDurationMs": end_ms - started_ms}
        deployment.patch("workflowTraces", trace, end_ms, **ended, **self._ending(turn))
        return trace_id

    def _ending(self, turn: Turn) -> dict[str, str | float]:
        has_retry = schedule.is_on("ENABLE_RETRY_WITH_BACKOFF", turn.start_ms)
        if not turn.is_failure:
            retries = 1.0 if has_retry and self.rng.random() < 0.03 else 0.0
            return {"status": "COMPLETED" if turn.outcome == "complete" else "CANCELLED", "retryCount": retries}
        usual = list(texts.ERRORS)[: 2 if turn.model == texts.FAILING_MODEL else None]
        error = "LLM_STREAM_ERROR" if turn.outcome == "stuck" else self.rng.choice(usual)
        return {
            "status": "FAILED",
            "errorType": error,
            "errorMessage": texts.ERRORS[error],
            "retryCount": 3.0 if has_retry else 0.0,
        }

    def _work(self, turn: Turn, answer: str, trace_id: str) -> None:
        """Write what the assistant did on the way."""
        rng, insert, task = self.rng, self.deployment.insert, turn.task.id
        middle_ms = (turn.start_ms + turn.end_ms) // 2
        if schedule.is_on("ENABLE_WORKFLOW", turn.start_ms):
            for name, when in zip(texts.STEPS, (turn.start_ms + 400, turn.start_ms + 800), strict=True):
                insert("workflowSteps", when, taskId=task, traceId=trace_id, name=name, createdAt=float(when))
        if rng.random() < 0.2:
            tool: Document = {
                "toolName": rng.choice(texts.TOOLS),
                "args": {"path": texts.path(rng)},
                "status": "COMPLETED",
            }
            insert("toolCalls", middle_ms, taskId=task, messageId=answer, createdAt=float(middle_ms), **tool)
        if rng.random() < 0.12:
            change = {"path": texts.path(rng), "operation": rng.choice(("CREATE", "UPDATE", "DELETE"))}
            insert("fileChanges", middle_ms, taskId=task, createdAt=float(middle_ms), **change)
        if rng.random() < 0.08:
            insert("todos", middle_ms, taskId=task, content=texts.title(rng), status="PENDING", sequence=0.0)

    def _end(self, task: Task) -> None:
        """Close a task that was left alone for a while."""
        rng = self.rng
        closed_ms = task.last_ms + rng.randint(600_000, 5 * 3_600_000)
        if closed_ms > schedule.END or rng.random() < 0.15:
            return
        changes: dict[str, str] = {"status": rng.choices(("COMPLETED", "STOPPED", "ARCHIVED"), (6, 3, 1))[0]}
        if task.last_outcome in ("failed", "stuck"):
            changes = {
                "status": "FAILED",
                "errorCode": "LLM_STREAM_ERROR",
                "errorMessage": texts.ERRORS["LLM_STREAM_ERROR"],
                "errorSource": "llm",
                "failedStep": "callModel",
            }
        self.deployment.patch("tasks", task.id, closed_ms, updatedAt=float(closed_ms), **changes)


def _email(name: str) -> str:
    ascii_name = name.encode("ascii", "ignore").decode("ascii").lower()
    return f"{ascii_name.replace(' ', '.')}@example.com"
