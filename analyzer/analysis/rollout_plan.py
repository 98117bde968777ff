"""What a rollout is judged by, frozen before anybody looks: metrics, roles, margins, looks, and how alpha is spent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from analyzer.analysis.verdict import Direction, Role, Unit
from analyzer.stats import alpha_shares

HOUR_MS = 3_600_000
CHECKPOINTS_MS = (HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS)
ALPHA = 0.05
MARGIN = 0.05  # points of share
VALUE_MARGIN = 0.25  # share of the baseline's value
MIN_N = 30
BASELINE_MS = 7 * 24 * HOUR_MS
FUNCTIONS = "functions"  # in place of a table: what was seen of the app's functions


@dataclass(frozen=True, slots=True)
class MetricKind:
    """A metric that can be compared."""

    id: str
    title: str
    unit: Unit
    direction: Direction
    role: Role  # unless a plan says otherwise
    table: str  # whose documents it counts, or FUNCTIONS


KINDS: Mapping[str, MetricKind] = {
    kind.id: kind
    for kind in (
        MetricKind(
            "workflow_error_rate", "Workflow error rate", "share", "higher_is_worse", "guardrail", "workflowTraces"
        ),
        MetricKind("message_error_rate", "Message error rate", "share", "higher_is_worse", "guardrail", "chatMessages"),
        MetricKind(
            "workflow_completion_rate", "Workflow completion", "share", "lower_is_worse", "guardrail", "workflowTraces"
        ),
        MetricKind(
            "message_completion_rate", "Message completion", "share", "lower_is_worse", "guardrail", "chatMessages"
        ),
        MetricKind("task_completion_rate", "Completion per task", "share", "lower_is_worse", "guardrail", "tasks"),
        MetricKind("stuck_workflows", "Stuck workflows", "share", "higher_is_worse", "guardrail", "workflowTraces"),
        MetricKind("stuck_messages", "Stuck messages", "share", "higher_is_worse", "guardrail", "chatMessages"),
        MetricKind("workflow_retry_rate", "Workflows retried", "share", "higher_is_worse", "signal", "workflowTraces"),
        MetricKind("duration_median_ms", "Duration, median", "ms", "higher_is_worse", "signal", "workflowTraces"),
        MetricKind("duration_p95_ms", "Duration, p95", "ms", "higher_is_worse", "signal", "workflowTraces"),
        MetricKind(
            "tokens_per_workflow",
            "Tokens per completed workflow, median",
            "tokens",
            "higher_is_worse",
            "signal",
            "workflowTraces",
        ),
        MetricKind(
            "cost_per_workflow",
            "Estimated cost per completed workflow",
            "usd",
            "higher_is_worse",
            "signal",
            "workflowTraces",
        ),
        MetricKind("function_error_rate", "Function error rate", "share", "higher_is_worse", "signal", FUNCTIONS),
        MetricKind("function_latency_p95_ms", "Function latency, p95", "ms", "higher_is_worse", "signal", FUNCTIONS),
    )
}


@dataclass(frozen=True, slots=True)
class PlannedMetric:
    """One metric of a plan."""

    id: str
    role: Role
    margin: float  # points of share; for other units a share of the baseline's value
    min_n: int  # fewest documents after the change for a PASS


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout is judged by. Two plans with the same hash are the same plan."""

    flags: tuple[str, ...]
    metrics: tuple[PlannedMetric, ...]
    checkpoints_ms: tuple[int, ...]  # after the change, earliest first
    alpha: float  # of all looks together
    baseline_ms: int  # longest baseline
    smoke_tests: tuple[str, ...] = ()  # ids of tasks
    rollback: tuple[str, ...] = ()  # command lines, in the order in which to run them

    @property
    def shares(self) -> tuple[float, ...]:
        """Return the alpha of each look."""
        return alpha_shares(len(self.checkpoints_ms), self.alpha)

    @property
    def hash(self) -> str:
        """Return SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(plan_json(self).encode()).hexdigest()

    def metric(self, metric_id: str) -> PlannedMetric:
        """Return one metric of the plan."""
        return next(metric for metric in self.metrics if metric.id == metric_id)


def make_plan(
    *,
    flags: Sequence[str] = (),
    checkpoints_ms: Sequence[int] = (),
    margin: float = MARGIN,
    min_n: int = MIN_N,
    alpha: float = ALPHA,
    roles: Mapping[str, Role] | None = None,
    smoke_tests: Sequence[str] = (),
    rollback: Sequence[str] = (),
) -> Plan:
    """Return a plan with every metric; what is not said takes its default.

    roles  metric id -> role, for those that are not to have their usual one
    """
    metrics = tuple(
        PlannedMetric(
            kind.id, (roles or {}).get(kind.id, kind.role), margin if kind.unit == "share" else VALUE_MARGIN, min_n
        )
        for kind in KINDS.values()
    )
    return Plan(
        flags=tuple(dict.fromkeys(flags)),
        metrics=metrics,
        checkpoints_ms=tuple(sorted(set(checkpoints_ms))) or CHECKPOINTS_MS,
        alpha=alpha,
        baseline_ms=BASELINE_MS,
        smoke_tests=tuple(smoke_tests),
        rollback=tuple(rollback),
    )


def plan_json(plan: Plan) -> str:
    """Return the canonical JSON of a plan: keys sorted, no blanks."""
    return json.dumps(asdict(plan), sort_keys=True, separators=(",", ":"))


def plan_from_json(text: str) -> Plan:
    """Read what `plan_json` wrote."""
    found: dict[str, Any] = json.loads(text)
    lists = {key: tuple(value) for key, value in found.items() if isinstance(value, list) and key != "metrics"}
    return Plan(**{**found, **lists, "metrics": tuple(PlannedMetric(**metric) for metric in found["metrics"])})


def differences(old: Plan, new: Plan) -> tuple[str, ...]:
    """Name the fields in which two plans differ."""
    names = ("flags", "metrics", "checkpoints_ms", "alpha", "baseline_ms", "smoke_tests", "rollback")
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def with_metrics_of(plan: Plan, frozen: Plan) -> Plan:
    """Return a plan without the metrics that a frozen one could not name yet: they came with a later version."""
    known = {metric.id for metric in frozen.metrics}
    return replace(plan, metrics=tuple(metric for metric in plan.metrics if metric.id in known))


def without_roles(plan: Plan, metric_ids: Sequence[str]) -> Plan:
    """Return a plan in which some metrics are measured but decide nothing."""
    return replace(plan, metrics=tuple(replace(m, role="dry-run") if m.id in metric_ids else m for m in plan.metrics))
