"""The app's own functions, computed over the documents as its JavaScript does; shares nothing with the tool."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.deployment import encoding
from tests.deployment.functions import Call, Registry

HOUR_MS, FIVE_MINUTES_MS = 3_600_000, 300_000
RECENT_TRACES = 20
ON_IF_TRUE = ("ENABLE_WORKFLOW", "ENABLE_RETRY_WITH_BACKOFF", "ENABLE_MESSAGE_COMPRESSION", "LOG_PROVIDER_ENABLED")
ON_UNLESS_FALSE = "ENABLE_PROMPT_MESSAGE_ID"


def _scan(call: Call, table: str) -> list[dict[str, Any]]:
    """Read a whole table, as the app does; it stops working where the platform's limit is."""
    return [revision.document for revision in call.tx.scan(call.component, table)]


def _number(document: dict[str, Any], field: str) -> float:
    """Return a number; NaN, with which no comparison holds, where JavaScript has undefined."""
    value = document.get(field)
    return value if isinstance(value, float | int) and not isinstance(value, bool) else math.nan


def get_system_health(call: Call, args: dict[str, Any]) -> Any:
    since_ms = call.now_ms - HOUR_MS
    traces = [t.get("status") for t in _scan(call, "workflowTraces") if _number(t, "createdAt") >= since_ms]
    messages = [m.get("status") for m in _scan(call, "chatMessages") if _number(m, "createdAt") >= since_ms]
    in_progress = traces.count("STARTED") + traces.count("IN_PROGRESS")
    workflow_errors = _share(traces, "FAILED", 0.0)
    message_errors, completion = _share(messages, "failed", 0.0), _share(messages, "complete", 1.0)
    alerts = []
    if workflow_errors >= 0.1:
        alerts.append(f"Workflow error rate: {to_fixed_1(workflow_errors * 100)}%")
    if message_errors >= 0.1:
        alerts.append(f"Message error rate: {to_fixed_1(message_errors * 100)}%")
    if in_progress > 10:
        alerts.append(f"{in_progress} workflows in progress")
    is_healthy = workflow_errors < 0.1 and message_errors < 0.1 and completion > 0.9
    return {
        "timestamp": call.now_ms,
        "window": "1h",
        "workflows": {
            "total": float(len(traces)),
            "completed": float(traces.count("COMPLETED")),
            "failed": float(traces.count("FAILED")),
            "inProgress": float(in_progress),
            "completionRate": round_2(_share(traces, "COMPLETED", 1.0)),
            "errorRate": round_2(workflow_errors),
        },
        "messages": {
            "total": float(len(messages)),
            "completed": float(messages.count("complete")),
            "streaming": float(messages.count("streaming")),
            "failed": float(messages.count("failed")),
            "completionRate": round_2(completion),
            "errorRate": round_2(message_errors),
        },
        "health": {"status": "healthy" if is_healthy else "degraded", "alerts": alerts},
    }


def check_alerts(call: Call, args: dict[str, Any]) -> Any:
    before_ms = call.now_ms - FIVE_MINUTES_MS
    traces, messages = _scan(call, "workflowTraces"), _scan(call, "chatMessages")
    stuck_workflows = sum(t.get("status") == "STARTED" and _number(t, "startedAt") < before_ms for t in traces)
    stuck_messages = sum(m.get("status") == "streaming" and _number(m, "createdAt") < before_ms for m in messages)
    error_rate = _share([t.get("status") for t in traces if _number(t, "createdAt") >= before_ms], "FAILED", 0.0)
    alerts = []
    if stuck_workflows > 0:
        alerts.append(f"{stuck_workflows} workflow(s) stuck for >5 minutes")
    if stuck_messages > 0:
        alerts.append(f"{stuck_messages} message(s) stuck streaming for >5 minutes")
    if error_rate > 0.2:
        alerts.append(f"High error rate (5min): {to_fixed_1(error_rate * 100)}%")
    for alert in alerts:
        call.log(f"ALERT {alert}", "WARN")
    return {
        "timestamp": call.now_ms,
        "alertCount": float(len(alerts)),
        "alerts": alerts,
        "status": "ALERT" if alerts else "OK",
        "stuckWorkflows": float(stuck_workflows),
        "stuckMessages": float(stuck_messages),
    }


def get_feature_flags(call: Call, args: dict[str, Any]) -> Any:
    flags = {name: call.env(name) == "true" for name in ON_IF_TRUE}
    return flags | {ON_UNLESS_FALSE: call.env(ON_UNLESS_FALSE) != "false"}


def check_workflow_mode(call: Call, args: dict[str, Any]) -> Any:
    is_on = call.env("ENABLE_WORKFLOW") == "true"
    return {"ENABLE_WORKFLOW": is_on, "mode": "workflow" if is_on else "direct"}


def get_recent_traces(call: Call, args: dict[str, Any]) -> Any:
    """Read the end of the index (status, createdAt): not the newest, but the last by name of status."""
    tablet = call.tx.tablet(call.component, "workflowTraces")
    traces = [(r, r.document) for r in (tablet.by_creation(call.tx.ts) if tablet else ())]
    traces.sort(
        key=lambda pair: (
            encoding.sort_key(pair[1].get("status")),
            encoding.sort_key(pair[1].get("createdAt")),
            pair[0].creation_ms,
        ),
        reverse=True,
    )
    for revision, _ in traces[:RECENT_TRACES]:
        call.tx.count_read(revision)
    return [_recent(trace) for _, trace in traces[:RECENT_TRACES]]


def _recent(trace: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of a trace; what is undefined in JavaScript is absent, and what it makes null is null."""
    shown = {"id": trace["_id"], "durationMs": trace.get("totalDurationMs")}
    fields = ("traceId", "status", "model", "createdAt", "completedAt", "errorMessage")
    return shown | {name: trace[name] for name in fields if name in trace}


def _share(statuses: list[Any], wanted: str, if_empty: float) -> float:
    return statuses.count(wanted) / len(statuses) if statuses else if_empty


def round_2(share: float) -> float:
    """Return JavaScript's Math.round(share * 100) / 100."""
    scaled = share * 100
    floor = math.floor(scaled)
    return (floor if scaled - floor < 0.5 else floor + 1) / 100


def to_fixed_1(number: float) -> str:
    """Return JavaScript's number.toFixed(1)."""
    return str(Decimal(number).quantize(Decimal("0.1"), ROUND_HALF_UP))


def install(registry: Registry) -> None:
    dashboard = "monitoring/dashboard"
    registry.query(f"{dashboard}:getSystemHealth", {})(get_system_health)
    registry.query(f"{dashboard}:checkAlerts", {})(check_alerts)
    registry.query(f"{dashboard}:getFeatureFlags", {})(get_feature_flags)
    registry.query(f"{dashboard}:getRecentTraces", {})(get_recent_traces)
    registry.query("api/testHelpers:checkWorkflowMode", {})(check_workflow_mode)
