"""The deployed app's monitoring functions, computed from counts: the same fields, numbers and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.analysis.metrics import METRICS, Counts, rate
from analyzer.analysis.policy import DEPLOYED, judge
from analyzer.analysis.rounding import shown_rate, to_fixed_1
from analyzer.model import Status
from analyzer.units import duration

RECENT_ERROR_LIMIT = 0.2  # of traces in the last five minutes; an alert strictly above it
MANY_IN_PROGRESS = 10  # traces; an alert strictly above it
FLAGS_ON_IF_TRUE = (
    "ENABLE_MESSAGE_COMPRESSION",
    "ENABLE_RETRY_WITH_BACKOFF",
    "ENABLE_WORKFLOW",
    "LOG_PROVIDER_ENABLED",
)
FLAG_ON_UNLESS_FALSE = "ENABLE_PROMPT_MESSAGE_ID"


def system_health(counts: Counts, at_ms: int, window_ms: int = DEPLOYED.window_ms) -> dict[str, Any]:
    """Return what getSystemHealth answers for these counts.

    at_ms      the clock, milliseconds since the epoch
    window_ms  the function itself knows one hour only
    returns    rates rounded as the app shows them; its status is decided on unrounded ones
    """
    shown = {name: shown_rate(METRICS[name].value(counts) or 0.0) for name in _RATES}
    return {
        "timestamp": at_ms,
        "window": duration(window_ms),
        "workflows": {
            "total": counts.workflow_total,
            "completed": counts.workflow_completed,
            "failed": counts.workflow_failed,
            "inProgress": counts.workflow_in_progress,
            "completionRate": shown["workflow_completion_rate"],
            "errorRate": shown["workflow_error_rate"],
        },
        "messages": {
            "total": counts.message_total,
            "completed": counts.message_completed,
            "streaming": counts.message_streaming,
            "failed": counts.message_failed,
            "completionRate": shown["message_completion_rate"],
            "errorRate": shown["message_error_rate"],
        },
        "health": {"status": _status(counts), "alerts": _health_alerts(counts)},
    }


_RATES = ("workflow_completion_rate", "workflow_error_rate", "message_completion_rate", "message_error_rate")


def _status(counts: Counts) -> str:
    """Return the function's own word: it calls a deployment without documents healthy."""
    return Status.HEALTHY.value if not judge(counts, DEPLOYED).failing else Status.DEGRADED.value


def _health_alerts(counts: Counts) -> list[str]:
    rules = {rule.id: rule for rule in judge(counts, DEPLOYED).failing}
    alerts = []
    for rule_id, words in (
        ("workflow_error_rate", "Workflow error rate"),
        ("message_error_rate", "Message error rate"),
    ):
        if rule_id in rules:
            alerts.append(f"{words}: {to_fixed_1((rules[rule_id].value or 0.0) * 100)}%")
    if counts.workflow_in_progress > MANY_IN_PROGRESS:
        alerts.append(f"{counts.workflow_in_progress} workflows in progress")
    return alerts


def alerts(counts: Counts, at_ms: int) -> dict[str, Any]:
    """Return what checkAlerts answers for these counts at a clock."""
    texts = []
    if counts.stuck_workflows:
        texts.append(f"{counts.stuck_workflows} workflow(s) stuck for >5 minutes")
    if counts.stuck_messages:
        texts.append(f"{counts.stuck_messages} message(s) stuck streaming for >5 minutes")
    recent = rate(counts.recent_failed, counts.recent_total, empty=0.0)
    if recent > RECENT_ERROR_LIMIT:
        texts.append(f"High error rate (5min): {to_fixed_1(recent * 100)}%")
    return {
        "timestamp": at_ms,
        "alertCount": len(texts),
        "alerts": texts,
        "status": "ALERT" if texts else "OK",
        "stuckWorkflows": counts.stuck_workflows,
        "stuckMessages": counts.stuck_messages,
    }


def feature_flags(values: Mapping[str, str | None]) -> dict[str, bool]:
    """Return what getFeatureFlags answers for the texts of the environment variables; None or missing is not set."""
    flags = {name: values.get(name) == "true" for name in FLAGS_ON_IF_TRUE}
    flags[FLAG_ON_UNLESS_FALSE] = values.get(FLAG_ON_UNLESS_FALSE) != "false"
    return dict(sorted(flags.items()))


def workflow_mode(values: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what checkWorkflowMode answers for the texts of the environment variables."""
    is_on = feature_flags(values)["ENABLE_WORKFLOW"]
    return {"ENABLE_WORKFLOW": is_on, "mode": "workflow" if is_on else "direct"}
