"""The whole story in order: a week of work, the rollout, the tests, a bad evening, the next morning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import functions, schedule, texts
from .deployment import Deployment, at
from .helpers import Helpers, run_around_the_flips, run_last_week
from .traffic import Task, Traffic

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@dataclass(frozen=True, slots=True)
class Story:
    """A deployment with its past, and what the log has to name."""

    deployment: Deployment
    smoke_task: str


def tell(seed: int) -> Story:
    """Make the deployment and everything that happens in it."""
    deployment = Deployment(seed)
    traffic = Traffic(deployment)
    helpers = Helpers(deployment)
    run_last_week(helpers, traffic)
    login_tests = traffic.open_task(at(15, 10, 12), "Add unit Tests for login", watched=True)
    billing = traffic.open_task(at(12, 9, 30), "Refactor the billing service", watched=True)
    flaky = traffic.open_task(at(15, 15, 40), "Fix flaky test in CI", watched=True)
    dark_mode = traffic.open_task(at(14, 10, 5), "Prototype dark mode", watched=True)
    gateway = traffic.open_task(at(16, 12, 2), "Spike: websocket gateway", watched=True)
    traffic.run(
        {
            "16/6/2": login_tests,
            "16/6/5": login_tests,
            "16/6/3": billing,
            "16/6/7": flaky,
            "14/11/0": dark_mode,
            "14/12/0": dark_mode,
            "16/12/1": gateway,
            "16/12/4": gateway,
        }
    )
    smoke = run_around_the_flips(helpers, traffic, billing, flaky)
    deployment.delete("tasks", dark_mode.id, at(15, 9, 30))
    deployment.delete("tasks", gateway.id, at(16, 15, 10))
    _drift(deployment, traffic, flaky)
    _surroundings(deployment, traffic)
    return Story(deployment, smoke)


def answers(story: Story, at_ms: int) -> dict[str, Any]:
    """Return what each function answers at a moment, by the name of its file in a recording."""
    tables = story.deployment.as_of(at_ms)
    messages, traces = tables["", "chatMessages"], tables["", "workflowTraces"]
    environment = schedule.environment(at_ms)
    return {
        "api.testHelpers.checkWorkflowMode": functions.check_workflow_mode(environment),
        "monitoring.dashboard.checkAlerts": functions.check_alerts(messages, traces, at_ms),
        "monitoring.dashboard.getFeatureFlags": functions.get_feature_flags(environment),
        "monitoring.dashboard.getRecentTraces": functions.get_recent_traces(traces),
        "monitoring.dashboard.getSystemHealth": functions.get_system_health(messages, traces, at_ms),
    }


def table(story: Story) -> str:
    """Return what the deployment said at each step, as a Markdown table."""
    lines = ["| recording | local time | reported | messages | completed | rate | alerts |", "|" + "---|" * 7]
    for step in schedule.STEPS:
        said = answers(story, step.at_ms)
        health, alerts = said["monitoring.dashboard.getSystemHealth"], said["monitoring.dashboard.checkAlerts"]
        chat = health["messages"]
        rate = chat["completed"] / chat["total"]
        cells = (step.name, _local(step), health["health"]["status"], chat["total"], chat["completed"])
        lines.append(f"| {' | '.join(map(str, cells))} | {rate:.3f} | {alerts['alertCount']} |")
    return "\n".join(lines)


def _local(step: schedule.Step) -> str:
    minute_of_day = (step.at_ms // 1000 - 6 * 3600) % 86_400
    return f"{minute_of_day // 3600:02}:{minute_of_day // 60 % 60:02}:{minute_of_day % 60:02}"


def _drift(deployment: Deployment, traffic: Traffic, flaky: Task) -> None:
    """Write what no version of the app was meant to write."""
    imported = at(16, 14, 30)
    deployment.insert(
        "tasks",
        imported,
        title="Imported from the old tracker",
        status="STOPPED",
        repoFullName=texts.REPOSITORIES[0],
        userId=traffic.people[4],
        createdAt="2025-12-16T20:30:00.000Z",  # text where a number belongs
        updatedAt=float(imported),
    )
    appended = at(16, 12, 20)
    note: Mapping[str, Any] = {"role": "SYSTEM", "content": "Checks have passed.", "sequence": float(flaky.sequence)}
    deployment.insert("chatMessages", appended, taskId=flaky.id, createdAt=float(appended), **note)  # no status
    withdrawn = at(17, 6, 20)
    gone: Mapping[str, Any] = {"role": "USER", "content": "Never mind.", "sequence": 9.0, "status": "withdrawn"}
    deployment.insert("chatMessages", withdrawn, taskId=flaky.id, createdAt=float(withdrawn), **gone)


def _surroundings(deployment: Deployment, traffic: Traffic) -> None:
    """Fill the tables that stand around the conversations."""
    rng, insert = traffic.rng, deployment.insert
    tasks = traffic.tasks
    for person in traffic.people:
        seen_ms = at(16, 0) + rng.randint(0, 30 * 3_600_000)
        insert("presence", seen_ms, taskId=rng.choice(tasks).id, userId=person, lastSeenAt=float(seen_ms))
        limit = {"name": "sendMessage", "key": person, "value": float(rng.randint(1, 20)), "ts": float(seen_ms)}
        insert("rateLimits", seen_ms, component="rateLimiter", **limit)
    for task in rng.sample(tasks, 30):
        insert("memories", task.last_ms, taskId=task.id, content=texts.question(rng), createdAt=float(task.last_ms))
    for number in range(3):
        when = at(13 + number, 10)
        file = deployment.store_file(when, PNG + b"%d" % number, "image/png", ".png")
        insert("virtualFiles", when, taskId=rng.choice(tasks).id, path=f"shots/{number}.png", storageId=file)
    answered = [
        (id_, versions[-1][1]) for id_, versions in deployment.history["", "chatMessages"].items() if versions[-1][1]
    ]
    for id_, message in rng.sample(answered, 14):
        when = int(message["_creationTime"]) + 90_000
        insert("pullRequestSnapshots", when, messageId=id_, filesChanged=float(rng.randint(1, 12)), status="CREATED")
