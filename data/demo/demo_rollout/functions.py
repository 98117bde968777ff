"""What the deployment's own functions answer, computed from its documents as its JavaScript does.

This is the other side of the fence: nothing here is shared with the tool that reads the recordings, so that a
recorded answer and a number computed from the export agree only if both are right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Document = Mapping[str, Any]
HOUR_MS = 3_600_000
FIVE_MINUTES_MS = 300_000
RECENT_TRACES = 20  # documents that getRecentTraces returns
FLAGS = (
    "ENABLE_MESSAGE_COMPRESSION",
    "ENABLE_PROMPT_MESSAGE_ID",
    "ENABLE_RETRY_WITH_BACKOFF",
    "ENABLE_WORKFLOW",
    "LOG_PROVIDER_ENABLED",
)


def get_system_health(messages: Iterable[Document], traces: Iterable[Document], now_ms: int) -> dict[str, Any]:
    """Answer monitoring/dashboard:getSystemHealth."""
    trace_statuses = [t.get("status") for t in traces if t["createdAt"] >= now_ms - HOUR_MS]
    message_statuses = [m.get("status") for m in messages if m["createdAt"] >= now_ms - HOUR_MS]
    workflows = {
        "total": len(trace_statuses),
        "completed": trace_statuses.count("COMPLETED"),
        "failed": trace_statuses.count("FAILED"),
        "inProgress": trace_statuses.count("STARTED") + trace_statuses.count("IN_PROGRESS"),
    }
    chat = {
        "total": len(message_statuses),
        "completed": message_statuses.count("complete"),
        "streaming": message_statuses.count("streaming"),
        "failed": message_statuses.count("failed"),
    }
    workflow_errors, message_errors = _share(workflows, "failed", 0), _share(chat, "failed", 0)
    message_completion = _share(chat, "completed", 1)
    alerts = []
    if workflow_errors >= 0.1:
        alerts.append(f"Workflow error rate: {to_fixed_1(workflow_errors * 100)}%")
    if message_errors >= 0.1:
        alerts.append(f"Message error rate: {to_fixed_1(message_errors * 100)}%")
    if workflows["inProgress"] > 10:
        alerts.append(f"{workflows['inProgress']} workflows in progress")
    is_healthy = workflow_errors < 0.1 and message_errors < 0.1 and message_completion > 0.9
    return {
        "timestamp": now_ms,
        "window": "1h",
        "workflows": workflows | _shown_rates(workflows),
        "messages": chat | _shown_rates(chat),
        "health": {"status": "healthy" if is_healthy else "degraded", "alerts": alerts},
    }


def check_alerts(messages: Iterable[Document], traces: Sequence[Document], now_ms: int) -> dict[str, Any]:
    """Answer monitoring/dashboard:checkAlerts."""
    before_ms = now_ms - FIVE_MINUTES_MS
    stuck_workflows = sum(t.get("status") == "STARTED" and t["startedAt"] < before_ms for t in traces)
    stuck_messages = sum(m.get("status") == "streaming" and m["createdAt"] < before_ms for m in messages)
    recent = [t.get("status") for t in traces if t["createdAt"] >= before_ms]
    error_rate = recent.count("FAILED") / len(recent) if recent else 0
    alerts = []
    if stuck_workflows:
        alerts.append(f"{stuck_workflows} workflow(s) stuck for >5 minutes")
    if stuck_messages:
        alerts.append(f"{stuck_messages} message(s) stuck streaming for >5 minutes")
    if error_rate > 0.2:
        alerts.append(f"High error rate (5min): {to_fixed_1(error_rate * 100)}%")
    return {
        "timestamp": now_ms,
        "alertCount": len(alerts),
        "alerts": alerts,
        "status": "ALERT" if alerts else "OK",
        "stuckWorkflows": stuck_workflows,
        "stuckMessages": stuck_messages,
    }


def get_feature_flags(environment: Mapping[str, str | None]) -> dict[str, bool]:
    """Answer monitoring/dashboard:getFeatureFlags. One flag is on unless it is exactly "false"."""
    flags = {name: environment.get(name) == "true" for name in FLAGS}
    return flags | {"ENABLE_PROMPT_MESSAGE_ID": environment.get("ENABLE_PROMPT_MESSAGE_ID") != "false"}


def check_workflow_mode(environment: Mapping[str, str | None]) -> dict[str, Any]:
    """Answer api/testHelpers:checkWorkflowMode."""
    is_on = environment.get("ENABLE_WORKFLOW") == "true"
    return {"ENABLE_WORKFLOW": is_on, "mode": "workflow" if is_on else "direct"}


def get_recent_traces(traces: Iterable[Document]) -> list[dict[str, Any]]:
    """Answer monitoring/dashboard:getRecentTraces: by index (status, createdAt), last first."""
    ordered = sorted(traces, key=lambda t: (t["status"], t["createdAt"], t["_creationTime"]), reverse=True)
    return [_recent_trace(trace) for trace in ordered[:RECENT_TRACES]]


def _recent_trace(trace: Document) -> dict[str, Any]:
    shown = {
        "id": trace["_id"],
        "traceId": trace["traceId"],
        "status": trace["status"],
        "model": trace.get("model"),
        "createdAt": trace["createdAt"],
        "durationMs": trace.get("totalDurationMs"),
    }
    return shown | {name: trace[name] for name in ("completedAt", "errorMessage") if name in trace}


def _share(counts: Mapping[str, int], key: str, if_empty: int) -> float:
    return counts[key] / counts["total"] if counts["total"] else if_empty


def _shown_rates(counts: Mapping[str, int]) -> dict[str, float]:
    return {
        "completionRate": round_2(_share(counts, "completed", 1)),
        "errorRate": round_2(_share(counts, "failed", 0)),
    }


def round_2(share: float) -> float:
    """Return JavaScript's Math.round(share * 100) / 100: half up, after a multiplication of doubles.

    >>> round_2(1 / 8), round_2(23 / 40), round_2(199 / 200)
    (0.13, 0.57, 1.0)
    """
    scaled = share * 100
    floor = math.floor(scaled)
    return (floor + (scaled - floor >= 0.5)) / 100  # the subtraction is exact; adding 0.5 would round


def to_fixed_1(number: float) -> str:
    """Return JavaScript's toFixed(1): the exact value of the double, ties up.

    >>> to_fixed_1(5 / 16 * 100), to_fixed_1(23 / 80 * 100), to_fixed_1(100.0)
    ('31.3', '28.7', '100.0')
    """
    return str(Decimal(number).quantize(Decimal("0.1"), ROUND_HALF_UP))
