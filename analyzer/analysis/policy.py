"""From counts to a verdict. The only place that computes a status: health and explain both ask here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from analyzer.analysis.metrics import METRICS, Counts
from analyzer.errors import ConfigError, UsageError
from analyzer.model import Status
from analyzer.units import MS_OF_UNIT

HOUR_MS = MS_OF_UNIT["h"]
STUCK_MS = 5 * MS_OF_UNIT["m"]  # age from which a document in flight is stuck, and the window of recent errors
RESPONSE_PERCENT = 95  # a response time is this percentile of the durations of completed traces

Operator = Literal["<", "<=", ">", ">="]
_COMPARE: Mapping[Operator, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Rule(NamedTuple):
    """Healthy only while `metric operator limit` holds. A target is shown as met or not, and changes no status."""

    id: str  # also the metric's id
    operator: Operator
    limit: float
    target_operator: Operator | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Window and thresholds that turn counts into health."""

    name: str
    meaning: str  # one clause
    window_ms: int
    rules: tuple[Rule, ...]

    @property
    def needs_response(self) -> bool:
        """Whether a rule asks for response times, which take a pass of their own."""
        return any(rule.id == "response_p95_ms" for rule in self.rules)


DEPLOYED = Policy(
    "deployed",
    "the deployment's own thresholds",
    HOUR_MS,
    (
        Rule("workflow_error_rate", "<", 0.1),
        Rule("message_error_rate", "<", 0.1),
        Rule("message_completion_rate", ">", 0.9),
    ),
)
STRICT = Policy(
    "strict",
    "any completion below 100% is degraded",
    HOUR_MS,
    (Rule("workflow_completion_rate", ">=", 1.0), Rule("message_completion_rate", ">=", 1.0)),
)
ROLLOUT = Policy(
    "rollout",
    "the alert limits of a rollout, with its targets",
    HOUR_MS,
    (
        Rule("workflow_error_rate", "<=", 0.05, "<", 0.01),
        Rule("message_error_rate", "<=", 0.05, "<", 0.01),
        Rule("workflow_completion_rate", ">=", 0.95, ">", 0.99),
        Rule("message_completion_rate", ">=", 0.95, ">", 0.99),
        Rule("stuck_workflows", "<=", 3, "<=", 0),
        Rule("stuck_messages", "<=", 3, "<=", 0),
        Rule("response_p95_ms", "<=", 10_000, "<", 5_000),
    ),
)
BUILT_IN: Mapping[str, Policy] = {policy.name: policy for policy in (DEPLOYED, STRICT, ROLLOUT)}

_OWN_RULES: Mapping[str, tuple[Operator, tuple[str, ...]]] = {
    "max_error_rate": ("<=", ("workflow_error_rate", "message_error_rate")),
    "min_completion_rate": (">=", ("workflow_completion_rate", "message_completion_rate")),
    "max_stuck": ("<=", ("stuck_workflows", "stuck_messages")),
    "max_response": ("<=", ("response_p95_ms",)),
}


def find(
    name: str, own: Mapping[str, Mapping[str, int | float]] | None = None, *, window_ms: int | None = None
) -> Policy:
    """Return a policy by name.

    own        the user's policies: window (ms), max_error_rate, min_completion_rate (shares), max_stuck,
               max_response (ms)
    window_ms  replaces the policy's window, > 0
    raises     UsageError for an unknown name, ConfigError for a policy of the user's without any limit
    """
    own = own or {}
    if name in BUILT_IN:
        policy = BUILT_IN[name]
    elif name in own:
        policy = _own(name, own[name])
    else:
        raise UsageError(f"there is no policy {name!r}", hint=f"valid: {', '.join((*BUILT_IN, *own))}")
    if window_ms is None or window_ms == policy.window_ms:
        return policy
    return Policy(policy.name, policy.meaning, window_ms, policy.rules)


def _own(name: str, values: Mapping[str, int | float]) -> Policy:
    rules = [
        Rule(metric, comparison, values[key])
        for key, (comparison, metrics) in _OWN_RULES.items()
        if key in values
        for metric in metrics
    ]
    if not rules:
        raise ConfigError(
            f"policy {name} has no limit, so that everything would be healthy", hint=f"valid: {', '.join(_OWN_RULES)}"
        )
    return Policy(name, "your own thresholds", int(values.get("window", HOUR_MS)), tuple(rules))


class RuleResult(NamedTuple):
    """One rule applied to counts."""

    id: str
    value: float | None  # None where there was nothing to take it from
    limit: float
    operator: Operator
    n: int  # documents it was taken from
    ok: bool  # a rule without a value passes: the counts it lacks are another rule's or an unknown
    slack: float | None  # distance to the limit, negative beyond it, in the metric's unit
    unit: str
    target: float | None = None
    target_operator: Operator | None = None
    target_met: bool | None = None  # None without target or value


class Unknown(NamedTuple):
    """Why a status cannot be told."""

    id: Literal["no-data", "not-collected", "stale", "gap"]
    what: str  # one clause
    cause: str
    action: str


NOTHING_TO_JUDGE = Unknown(
    "no-data",
    "whether the deployment is healthy",
    "no message and no trace is left to judge",
    "widen --window, move --at, or collect again when there is traffic",
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with everything it rests on."""

    status: Status
    rules: tuple[RuleResult, ...]  # every rule of the policy, in its order
    unknown: tuple[Unknown, ...] = ()  # not empty exactly when the status is unknown

    @property
    def failing(self) -> tuple[RuleResult, ...]:
        """The rules that are not kept."""
        return tuple(rule for rule in self.rules if not rule.ok)


def judge(counts: Counts, policy: Policy, unknown: Sequence[Unknown] = ()) -> Judgement:
    """Turn counts into a status.

    unknown  reasons found elsewhere why the counts may miss documents; any makes the status unknown
    returns  unknown where something is missing or nothing is left to judge, degraded where a rule fails, else healthy
    """
    rules = tuple(_apply(rule, counts) for rule in policy.rules)
    reasons = (*unknown, *(() if judged_documents(counts, policy) else (NOTHING_TO_JUDGE,)))
    status = Status.HEALTHY if all(rule.ok for rule in rules) else Status.DEGRADED
    return Judgement(Status.UNKNOWN if reasons else status, rules, reasons)


def status_of(counts: Counts, policy: Policy) -> Status:
    """Return the status of `judge` alone, for those who ask at every one of many clocks."""
    if not judged_documents(counts, policy):
        return Status.UNKNOWN
    is_kept = all(_is_kept(rule, METRICS[rule.id].value(counts)) for rule in policy.rules)
    return Status.HEALTHY if is_kept else Status.DEGRADED


def _is_kept(rule: Rule, value: float | None) -> bool:
    return value is None or _COMPARE[rule.operator](value, rule.limit)


def judged_documents(counts: Counts, policy: Policy) -> int:
    """Return how many documents there are to judge: in the window, and stuck ones where a rule limits them."""
    limited = {rule.id for rule in policy.rules}
    stuck_messages = counts.stuck_messages if "stuck_messages" in limited else 0
    stuck_workflows = counts.stuck_workflows if "stuck_workflows" in limited else 0
    return counts.message_total + counts.workflow_total + stuck_messages + stuck_workflows


def _apply(rule: Rule, counts: Counts) -> RuleResult:
    metric = METRICS[rule.id]
    value = metric.value(counts)
    ok, slack, met = _is_kept(rule, value), None, None
    if value is not None:
        slack = rule.limit - value if rule.operator in ("<", "<=") else value - rule.limit
        if rule.target is not None and rule.target_operator is not None:
            met = _COMPARE[rule.target_operator](value, rule.target)
    return RuleResult(
        rule.id,
        value,
        rule.limit,
        rule.operator,
        metric.n(counts),
        ok,
        slack,
        metric.unit,
        rule.target,
        rule.target_operator,
        met,
    )


def percentile(ascending: Sequence[float], percent: int) -> float | None:
    """Return the observed value at a percentile (nearest rank), None for no values.

    percent  1..100; the rank is ceil(n * percent / 100), computed in integers
    """
    if not ascending:
        return None
    return ascending[(len(ascending) * percent + 99) // 100 - 1]
