"""Why health says what it says: symptom, since when, until when, whose fault, and what would change it.

Explains raw health, the status that the deployment itself would report. Modelled on the health report of
Elasticsearch: symptom, impacts, diagnosis with cause and action, and rules with their slack.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analyzer.analysis import health, prospects
from analyzer.analysis.artifacts import tasks_are_known
from analyzer.analysis.diagnosis import BadDocument, Cause, FlagChange, diagnose, pulling
from analyzer.analysis.doubts import last_clock_ms
from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import STUCK_MS, Policy, RuleResult, Unknown
from analyzer.analysis.sensitivity import Sensitivity, sensitivity
from analyzer.analysis.timeline import History, Moved, Span, Timeline
from analyzer.analysis.whose import whose
from analyzer.model import Deployment, FilterName, Finding, Snapshot, Status
from analyzer.pauses import no_cycles_sought
from analyzer.stats import Interval, wilson_interval
from analyzer.store import Frame

LOOKBACK_MS = 7 * 24 * 3_600_000  # how far back "since" is looked for
SHORTEST_BLOCK_MS, LONGEST_BLOCK_MS = 60_000, 3_600_000  # of the time that is looked back on
PURGE, FILTER, TOLERATE = (
    "analyzer purge plan -o plan.json",
    "analyzer health --filter evidence",
    '[health] tolerate = ["{type}"] in analyzer.toml',
)
# The events that a rate counts, and what they are counted among.
_EVENTS: Mapping[str, Callable[[Counts], tuple[int, int]]] = {
    "workflow_error_rate": lambda c: (c.workflow_failed, c.workflow_total),
    "message_error_rate": lambda c: (c.message_failed, c.message_total),
    "workflow_completion_rate": lambda c: (c.workflow_completed, c.workflow_total),
    "message_completion_rate": lambda c: (c.message_completed, c.message_total),
}
_AREAS = {
    "message_completion_rate": ("Answers that users wait for do not finish", ("chat",)),
    "message_error_rate": ("Users see messages fail", ("chat",)),
    "workflow_error_rate": ("Workflows fail, and with them what they were to do", ("workflows",)),
    "workflow_completion_rate": ("Workflows do not come to an end", ("workflows",)),
    "stuck_messages": ("Users watch answers that never finish", ("chat",)),
    "stuck_workflows": ("Tasks wait for workflows that never went on", ("workflows",)),
    "response_p95_ms": ("Users wait longer for answers", ("chat", "workflows")),
}


@dataclass(frozen=True, slots=True)
class Certainty:
    """How sure the symptom is, given how few documents there are."""

    interval: Interval | None  # 95 % Wilson interval of the symptom's rate; None where it is no rate or has no n
    conclusive: bool | None  # whether the interval lies wholly beyond the limit; None without an interval


@dataclass(frozen=True, slots=True)
class Recovery:
    """The smallest changes that would make raw health healthy."""

    removals: tuple[tuple[str, str], ...] | None  # (table, id); None where removal leaves nothing to judge
    removals_that_are_tests: int  # how many of the removals are leftovers of tests
    completions: int | None  # documents that would have to complete; None where that is not enough


@dataclass(frozen=True, slots=True)
class Impact:
    """What the symptom means for people."""

    severity: str  # none, low, high
    description: str
    areas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that `explain` says. `status` is without tests, `raw_status` with them."""

    deployment: Deployment
    snapshot: Snapshot
    at_ms: int
    policy: Policy
    filter: FilterName
    raw_status: Status
    status: Status
    tolerated: bool
    since_ms: int | None
    clears_at_ms: int | None
    empties_at_ms: int | None
    summary: str
    symptom: RuleResult | None  # the rule that fails by most of its limit; None unless degraded
    rules: tuple[RuleResult, ...]  # every rule, on raw counts
    certainty: Certainty
    recovery: Recovery
    impacts: tuple[Impact, ...]
    diagnosis: tuple[Cause, ...]  # empty unless raw is degraded
    sensitivity: tuple[Sensitivity, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[Unknown, ...]
    resolutions: tuple[str, ...]  # settings or commands that would resolve a status that only tests caused
    report: health.HealthReport


@no_cycles_sought()  # a hundred thousand rows are kept, and walked over
def explain(
    frame: Frame,
    report: health.HealthReport,
    *,
    flag_changes: Sequence[FlagChange] = (),
    full: bool = False,
) -> Explanation:
    """Explain a health report of a prepared frame.

    report        of the same frame, see `health.assess`; artifacts must be prepared with orphans
    flag_changes  of the deployment, oldest first
    full          also judge with each artifact rule alone
    """
    policy, raw = report.policy, report.raw
    timeline = _timeline(frame, policy, frame.at_ms, frame.at_ms)
    is_degraded = raw.judgement.status is Status.DEGRADED
    bad = _bad_documents(frame, policy) if is_degraded else []
    slow = _slow_traces(frame, policy) if is_degraded else []
    everything_bad = [*bad, *(document for document, _ in slow)]
    causes = diagnose(pulling(everything_bad, raw.judgement.failing), flag_changes)
    sensitive = sensitivity(frame, report, each_rule=full)
    symptom = _symptom(raw.judgement.failing) if is_degraded else None
    last_ms = last_clock_ms(frame.snapshot, policy.window_ms)
    clears = prospects.clears_at_ms(timeline, policy, until_ms=last_ms) if is_degraded else None
    return Explanation(
        deployment=frame.snapshot.deployment,
        snapshot=frame.snapshot,
        at_ms=frame.at_ms,
        policy=policy,
        filter=report.filter,
        raw_status=raw.judgement.status,
        status=report.status,
        tolerated=report.tolerated,
        since_ms=prospects.since_ms(_history(frame, policy, timeline), policy) if is_degraded else None,
        clears_at_ms=clears,
        empties_at_ms=prospects.empties_at_ms(timeline, policy) if is_degraded and clears is None else None,
        summary=whose(report, everything_bad, next(s for s in sensitive if s.filter == FilterName.EVIDENCE)),
        symptom=symptom,
        rules=raw.judgement.rules,
        certainty=_certainty(symptom, raw.counts),
        recovery=_recovery(raw.counts, policy, bad, slow, timeline) if is_degraded else NO_RECOVERY,
        impacts=_impacts(raw.judgement.failing, report),
        diagnosis=causes,
        sensitivity=sensitive,
        findings=report.findings,
        unknown=report.unknown,
        resolutions=_resolutions(report, causes),
        report=report,
    )


NO_RECOVERY = Recovery(None, 0, None)


def _rows(frame: Frame, query: str, policy: Policy, **params: Any) -> list[tuple[Any, ...]]:
    return frame.rows(query, window_ms=policy.window_ms, stuck_ms=STUCK_MS, **params)


def _bad_documents(frame: Frame, policy: Policy) -> list[BadDocument]:
    """Return what pulls health down; stuck documents outside the window only where a rule limits them."""
    limited = {rule.id for rule in policy.rules}
    counts_stuck = {prospects.MESSAGES: "stuck_messages" in limited, prospects.TRACES: "stuck_workflows" in limited}
    found = (BadDocument(*row) for row in _rows(frame, "explain/bad_documents", policy))
    kept = [document for document in found if document.is_in_window or counts_stuck[document.table_name]]
    if tasks_are_known(frame):
        return kept
    return [replace(document, task_exists=True) for document in kept]  # none is known to be gone


def _timeline(frame: Frame, policy: Policy, from_ms: int, until_ms: int) -> Timeline:
    spans = _rows(frame, "explain/spans", policy, from_ms=from_ms, until_ms=until_ms)
    return Timeline((Span(*row) for row in spans), until_ms)


def _history(frame: Frame, policy: Policy, now: Timeline) -> History:
    block_ms = min(max(policy.window_ms // 8, SHORTEST_BLOCK_MS), LONGEST_BLOCK_MS)
    from_ms = frame.at_ms - LOOKBACK_MS
    moved = [Moved(*row) for row in _rows(frame, "explain/moves", policy, from_ms=from_ms, block_ms=block_ms)]
    return History(now, moved, block_ms, from_ms, functools.partial(_timeline, frame, policy))


def _symptom(failing: Sequence[RuleResult]) -> RuleResult:
    """Return the rule that is broken by the largest part of its limit."""
    return min(failing, key=lambda rule: (rule.slack or 0.0) / (rule.limit or 1.0))


def _certainty(symptom: RuleResult | None, counts: Counts) -> Certainty:
    if symptom is None or symptom.id not in _EVENTS:
        return Certainty(None, None)
    events, n = _EVENTS[symptom.id](counts)
    if n == 0:
        return Certainty(None, None)
    interval = wilson_interval(events, n)
    beyond = interval.low > symptom.limit if symptom.operator in ("<", "<=") else interval.high < symptom.limit
    return Certainty(interval, beyond)


def _slow_traces(frame: Frame, policy: Policy) -> list[tuple[BadDocument, float]]:
    """Return completed traces beyond the limit of a response time, with what they took in milliseconds."""
    limits = [rule.limit for rule in policy.rules if rule.id == "response_p95_ms"]
    if not limits:
        return []
    are_known, found = tasks_are_known(frame), []
    for id_, took_ms, tier, fired, task_id, task_exists, model, workflow_type, judged_at_ms in frame.rows(
        "explain/slow_traces", window_ms=policy.window_ms, limit_ms=limits[0]
    ):
        document = BadDocument(
            table_name=prospects.TRACES,
            id=id_,
            status="COMPLETED",
            is_in_window=True,
            is_stuck=False,
            tier=tier,
            rules=fired,
            task_id=task_id,
            task_exists=task_exists or not are_known,
            error_type=None,
            model=model,
            workflow_type=workflow_type,
            judged_at_ms=judged_at_ms,
        )
        found.append((document, took_ms))
    return found


def _recovery(
    counts: Counts,
    policy: Policy,
    bad: Sequence[BadDocument],
    slow: Sequence[tuple[BadDocument, float]],
    timeline: Timeline,
) -> Recovery:
    candidates = [prospects.Candidate(b.table_name, b.id, _kind(b), b.is_test) for b in bad]
    candidates += [prospects.Candidate(b.table_name, b.id, "slow", b.is_test, took_ms) for b, took_ms in slow]
    removed = prospects.removals(counts, policy, candidates, timeline.now().durations_ms)
    return Recovery(
        None if removed is None else tuple((c.table, c.id) for c in removed),
        sum(c.is_test for c in removed or ()),
        prospects.completions(counts, policy, candidates),
    )


def _kind(document: BadDocument) -> str:
    if document.is_stuck:
        return "stuck_inside" if document.is_in_window else "stuck_outside"
    return "failed" if document.is_failed else "unfinished"


def _impacts(failing: Sequence[RuleResult], report: health.HealthReport) -> tuple[Impact, ...]:
    """Say what each broken rule means for people; leftovers of tests mean nothing to them."""
    if report.raw.judgement.status is not Status.DEGRADED:
        return ()
    still = {rule.id for rule in report.without_tests.judgement.failing}
    return tuple(
        Impact("high", *_AREAS[rule.id])
        if rule.id in still
        else Impact("none", "No user is affected: only leftovers of tests break this rule", _AREAS[rule.id][1])
        for rule in failing
    )


def _resolutions(report: health.HealthReport, causes: Sequence[Cause]) -> tuple[str, ...]:
    """Return the ways out of a status that tests had a part in: clean up, filter, ignore where that is allowed."""
    if not any(cause.blame == "test" for cause in causes):
        return ()
    ways = [PURGE, FILTER]
    kind = report.snapshot.deployment.type
    if kind in health.SERVER_CONFIRMED_TYPES and report.without_tests.judgement.status is not Status.DEGRADED:
        ways.append(TOLERATE.format(type=kind.value))
    return tuple(ways)
