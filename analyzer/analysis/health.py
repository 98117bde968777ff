"""Health of a frame: raw from every document, and without those that tests left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.analysis import app_functions
from analyzer.analysis.doubts import (
    JUDGED_TABLES,
    Gap,
    doubts,
    findings,
    gaps,
    needed_tables,
    stale,
    table_coverage,
    unjudged_rules,
)
from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import RESPONSE_PERCENT, STUCK_MS, Judgement, Policy, Unknown, judge
from analyzer.model import FILTER_TIERS, DeploymentType, FilterName, Finding, Snapshot, Status, TableCoverage
from analyzer.store import Frame

if TYPE_CHECKING:
    from analyzer.analysis.artifacts import Unjudged
    from analyzer.analysis.reported import Reported

SERVER_CONFIRMED_TYPES = frozenset({DeploymentType.DEV, DeploymentType.PREVIEW})
_FIELDS: Mapping[tuple[str, str], Mapping[str | None, str]] = {  # (table, measure) -> status -> field of Counts
    ("chatMessages", "window"): {
        "complete": "message_completed",
        "streaming": "message_streaming",
        "failed": "message_failed",
        "pending": "message_pending",
        None: "message_statusless",
    },
    ("workflowTraces", "window"): {
        "COMPLETED": "workflow_completed",
        "FAILED": "workflow_failed",
        "STARTED": "workflow_in_progress",
        "IN_PROGRESS": "workflow_in_progress",
        "CANCELLED": "workflow_cancelled",
    },
    ("workflowTraces", "recent"): {"FAILED": "recent_failed"},
}
_TOTALS: Mapping[tuple[str, str], tuple[str, ...]] = {  # counted whatever the status
    ("chatMessages", "window"): ("message_total",),
    ("chatMessages", "stuck"): ("stuck_messages",),
    ("chatMessages", "redated"): ("message_redated",),
    ("chatMessages", "undated"): ("message_undated",),
    ("workflowTraces", "window"): ("workflow_total",),
    ("workflowTraces", "recent"): ("recent_total",),
    ("workflowTraces", "stuck"): ("stuck_workflows",),
    ("workflowTraces", "redated"): ("workflow_redated",),
    ("workflowTraces", "undated"): ("workflow_undated",),
}
_OTHER = {("chatMessages", "window"): "message_other", ("workflowTraces", "window"): "workflow_other"}


@dataclass(frozen=True, slots=True)
class Side:
    """Health from one set of documents."""

    counts: Counts
    judgement: Judgement
    at_ms: int
    window_ms: int

    @property
    def system_health(self) -> Mapping[str, Any]:
        """What getSystemHealth would answer."""
        return app_functions.system_health(self.counts, self.at_ms, self.window_ms)

    @property
    def alerts(self) -> Mapping[str, Any]:
        """What checkAlerts would answer."""
        return app_functions.alerts(self.counts, self.at_ms)


@dataclass(frozen=True, slots=True)
class Counted:
    """The same documents counted twice."""

    raw: Counts
    without_tests: Counts
    excluded: Mapping[str, int]  # documents that the filter leaves out, of any age, by table


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Three witnesses of the same documents, and what they are worth."""

    snapshot: Snapshot
    at_ms: int
    policy: Policy
    filter: FilterName
    reported: Reported | None
    raw: Side
    without_tests: Side
    excluded: Mapping[str, int]  # documents that the filter leaves out, of any age, by table
    coverage: Mapping[str, TableCoverage]  # of the tables that health and the filter need
    tolerated: bool  # raw is degraded by test leftovers only, on a type for which that is accepted
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The policy's verdict without tests."""
        return self.without_tests.judgement.status

    @property
    def raw_status(self) -> Status:
        """The policy's verdict on every document."""
        return self.raw.judgement.status

    @property
    def unknown(self) -> tuple[Unknown, ...]:
        """Why either status cannot be told, each reason once."""
        return tuple(dict.fromkeys((*self.raw.judgement.unknown, *self.without_tests.judgement.unknown)))


def assess(
    frame: Frame,
    *,
    policy: Policy,
    filter_name: FilterName,
    now_ms: int,
    reported: Reported | None = None,
    unjudged: Sequence[Unjudged] = (),
    max_age_ms: int | None = None,
    tolerate: Sequence[DeploymentType] = (),
    raw: Counts | None = None,
) -> HealthReport:
    """Judge a frame with and without the documents that tests left behind.

    frame       prepared by `artifacts.prepare`, with orphans for the filter `wide`
    now_ms      the local clock, milliseconds since the epoch; only compared with when the snapshot was taken
    reported    see `reported.reported`
    unjudged    see `artifacts.unjudged`; only a finding: what these rules select may be left in
    max_age_ms  an older snapshot makes the status unknown
    tolerate    deployment types on which degraded by test leftovers alone is accepted
    raw         counts of every document of the same frame under the same policy, where they are known already
    """
    snapshot, at_ms = frame.snapshot, frame.at_ms
    old, lost = stale(snapshot, now_ms, max_age_ms), gaps(frame)
    raw = raw or count(frame, policy)
    tolerated = not old and _is_tolerated(frame, policy, raw, tolerate, lost)
    counted = count_both(frame, policy, filter_name, raw=raw)
    tables = needed_tables(filter_name)
    without_tests = side(
        counted.without_tests, at_ms, policy, (*old, *doubts(snapshot, at_ms, policy.window_ms, tables, lost))
    )
    return HealthReport(
        snapshot=snapshot,
        at_ms=at_ms,
        policy=policy,
        filter=filter_name,
        reported=reported,
        raw=side(counted.raw, at_ms, policy, (*old, *doubts(snapshot, at_ms, policy.window_ms, JUDGED_TABLES, lost))),
        without_tests=without_tests,
        excluded=counted.excluded,
        coverage=table_coverage(snapshot, tables),
        tolerated=tolerated,
        findings=(
            *(reported.findings if reported else ()),
            *findings(frame, policy, raw, without_tests.judgement, lost),
            *unjudged_rules(unjudged),
        ),
    )


def side(counts: Counts, at_ms: int, policy: Policy, unknown: Sequence[Unknown] = ()) -> Side:
    """Judge counts at a clock."""
    return Side(counts, judge(counts, policy, unknown), at_ms, policy.window_ms)


def count(frame: Frame, policy: Policy) -> Counts:
    """Count every message and trace of a frame, prepared or not; response times are left out."""
    return tally(frame.rows("health/counts", window_ms=policy.window_ms, stuck_ms=STUCK_MS))


def count_both(
    frame: Frame, policy: Policy, filter_name: FilterName, *, raw: Counts | None = None, internal: bool = True
) -> Counted:
    """Count a prepared frame with and without what a filter leaves out; makes the temporary table `left_out`.

    raw       what `count` returned for the same frame and policy, where it is known already
    internal  see `leave_out`
    """
    raw = raw or count(frame, policy)
    leave_out(frame, filter_name, internal=internal)
    excluded = dict(frame.rows("health/excluded"))
    left_out = frame.rows("health/counts_left_out", window_ms=policy.window_ms, stuck_ms=STUCK_MS)
    without = raw.minus(tally(left_out))
    if policy.needs_response:
        rows = frame.rows(
            "health/responses",
            first_ms=frame.at_ms,
            step_ms=1,
            from_tick=0,
            until_tick=0,
            window_ms=policy.window_ms,
            percent=RESPONSE_PERCENT,
        )
        responses = {is_without: (response_ms, n) for _, is_without, response_ms, n in rows}
        raw, without = with_response(raw, responses.get(False)), with_response(without, responses.get(True))
    return Counted(raw, without, excluded)


def leave_out(frame: Frame, filter_name: FilterName, *, internal: bool = True) -> None:
    """Make the temporary table `left_out` of a prepared frame.

    internal  whether to leave out documents of listed people and repositories too, as every filter but `none` does
    """
    if filter_name is FilterName.NAME or not frame.leave_out_recalled(FILTER_TIERS[filter_name]):
        values = left_out_params(filter_name) | ({} if internal else {"internal": False})
        frame.materialise("left_out", "health/left_out", **values)


def left_out_params(filter_name: FilterName) -> dict[str, Any]:
    """Return the parameters by which the query health/left_out is a filter."""
    return {
        "tiers": [tier.value for tier in FILTER_TIERS[filter_name]],
        "by_name": filter_name is FilterName.NAME,
        "internal": filter_name is not FilterName.NONE,
    }


def tally(rows: Sequence[tuple[Any, ...]]) -> Counts:
    """Turn rows of (table, measure, status, documents) into counts; an unknown status counts in totals only."""
    found: dict[str, int] = {}
    for table, measure, status, documents in rows:
        for name in fields_of(table, measure, status):
            found[name] = found.get(name, 0) + documents
    return Counts(**found)


def fields_of(table: str, measure: str, status: str | None) -> tuple[str, ...]:
    """Return the names of all counts in which documents of a table that fulfil a measure count."""
    key = (table, measure)
    by_status = _FIELDS.get(key, {})
    if status in by_status:
        return (*_TOTALS[key], by_status[status])
    return (*_TOTALS[key], _OTHER[key]) if key in _OTHER else _TOTALS[key]


def with_response(counts: Counts, response: tuple[float, int] | None) -> Counts:
    """Return counts with a response time (milliseconds, traces that it was taken from)."""
    if response is None:
        return counts
    return counts._replace(response_p95_ms=response[0], response_count=response[1])


def _is_tolerated(
    frame: Frame, policy: Policy, raw: Counts, tolerate: Sequence[DeploymentType], lost: Sequence[Gap]
) -> bool:
    """Tell whether raw is degraded by only certain and likely leftovers of tests, on a type where that is fine."""
    if frame.snapshot.deployment.type not in SERVER_CONFIRMED_TYPES.intersection(tolerate):
        return False
    if doubts(frame.snapshot, frame.at_ms, policy.window_ms, needed_tables(FilterName.EVIDENCE), lost):
        return False
    counted = count_both(frame, policy, FilterName.EVIDENCE, raw=raw, internal=False)
    is_degraded = judge(counted.raw, policy).status is Status.DEGRADED
    return is_degraded and not judge(counted.without_tests, policy).failing
