"""What a rollout report says, as frozen values: every surface (text, JSON, HTML, charts) is made from these alone.

Rates, shares and alphas are 0..1; times are epoch milliseconds, UTC. A number that does not exist is None, and the
`reason_code` beside it says why. Texts may hold words of documents or of a log: whoever prints them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from analyzer.model import FilterName, Finding

if TYPE_CHECKING:
    from analyzer.analysis.explain import Explanation
    from analyzer.stats import Interval

Role = Literal["guardrail", "signal", "dry-run"]
Direction = Literal["higher_is_worse", "lower_is_worse"]
Unit = Literal["share", "ms", "tokens", "usd"]
Action = Literal["advance", "hold", "rollback", "none"]


class Verdict(StrEnum):
    """The answer to "did the change do harm?"."""

    PASS = "PASS"  # noqa: S105  # no harm seen, and enough data to have seen it
    FAIL = "FAIL"  # a guardrail got worse
    INCONCLUSIVE = "INCONCLUSIVE"  # cannot tell yet
    NO_DATA = "NO_DATA"  # nothing to look at
    ERROR = "ERROR"  # could not be measured
    INVALID = "INVALID"  # the comparison itself makes no sense


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric in one window."""

    k: int | None  # documents with the event that `rate` counts; None where the metric is no share
    n: int  # documents it is taken from
    rate: float | None  # k / n, or the value itself in the metric's unit; None without documents
    interval: Interval | None  # 95 % interval of rate; None where n is too small to have one
    running: int = 0  # documents in flight, not in n: each may still end either way
    excluded: int = 0  # documents without any status, not in n: nobody knows how they ended


@dataclass(frozen=True, slots=True)
class Difference:
    """After minus baseline."""

    value: float | None  # None if either side has no documents
    interval: Interval | None  # of value, 95 %
    method: Literal["newcombe", "order-statistic"]


@dataclass(frozen=True, slots=True)
class TestResult:
    """What decided whether there is harm. One-sided: p is small only if after is worse."""

    __test__ = False  # not a test class, whatever its name says to pytest

    name: Literal["fisher_exact", "binomial"]  # binomial: against the margin alone, where the baseline has no documents
    p: float
    p_adjusted: float | None  # by Holm over the guardrails of the look; None for metrics that decide nothing


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric compared."""

    id: str  # "workflow_error_rate"
    title: str  # "Workflow error rate"
    role: Role
    direction: Direction
    unit: Unit
    baseline: Measured
    after: Measured
    difference: Difference
    test: TestResult | None  # None where there is no exact test for it, or no documents
    margin: float  # largest difference that counts as no harm: points of share; for other units a share of the baseline
    min_n: int  # fewest documents after the change for a PASS
    verdict: Verdict
    reason_code: str  # "within_margin", "regression", "too_few_documents", ...
    reason: str  # one sentence for people, with value, limit and n
    n_needed: int | None  # documents after the change that would decide, if none more has the event; None if unknown
    decides_at_ms: int | None = None  # when there will be that many at the rate of this window; None if unknown


@dataclass(frozen=True, slots=True)
class Span:
    """One side of a comparison."""

    label: str
    snapshot_ids: tuple[int, ...]  # whose documents
    from_ms: int | None  # included; None where there is no window
    to_ms: int | None  # excluded for the baseline, included after the change


@dataclass(frozen=True, slots=True)
class Alpha:
    """How much chance of a false alarm is spent, and where."""

    total: float  # of all planned looks together
    look: float  # of this look
    shares: tuple[float, ...]  # of each planned look, earliest first
    looks_missed: int  # whose share is lost
    correction: str = "holm"


@dataclass(frozen=True, slots=True)
class Gate:
    """One step of the decision; the first that applies gives the verdict."""

    id: str  # "valid-run", "fresh-data", "traffic", "guardrails", "sample", "signals", "person"
    applies: bool
    verdict: Verdict  # what it says if it applies
    reason_code: str
    text: str  # one sentence


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """One planned look."""

    label: str  # "T+1h"
    change: int  # number of the change
    offset_ms: int
    at_ms: int  # when it was planned: t0 + offset
    alpha: float  # its share
    snapshot_id: int | None  # None where no snapshot reaches it
    snapshot_label: str
    reconstructed: bool  # from a later snapshot, with final statuses; what was deleted in between is missing
    verdict: Verdict
    reason_code: str
    reason: str
    health: str | None  # raw health at its time: "healthy", "degraded", "unknown"; None without a snapshot
    health_without_tests: str | None
    alerts: int | None  # alerts that the app's own checks would raise, raw
    message_error_rate: float | None  # in the whole look, without tests
    workflow_error_rate: float | None
    message_completion_rate: float | None
    workflow_completion_rate: float | None
    messages: int  # settled, in the look, without tests
    workflows: int


@dataclass(frozen=True, slots=True)
class FilterVerdict:
    """The verdict with another choice of what tests left behind."""

    filter: str  # name of a filter, or "rule:helper-task"
    verdict: Verdict
    reason_code: str
    excluded: int  # documents left out of the comparison


@dataclass(frozen=True, slots=True)
class FilterAccount:
    """What was left out, and whether that decides."""

    name: FilterName
    excluded: Mapping[str, int]  # table -> documents in the two windows
    sensitivity: tuple[FilterVerdict, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """How much one group of documents moved one rate."""

    metric: str  # of the rate that moved, always one of which higher is worse
    dimension: str  # "model", "workflow_type", "user", "task_class", "flags"
    group: str
    baseline_k: int
    baseline_n: int
    after_k: int
    after_n: int
    mix: float  # what its share of the documents did to the rate
    rate: float  # what its own rate did; mix and rate of all groups of a dimension sum to the change
    p: float | None  # one-sided exact p that the group got worse; None without documents after
    p_adjusted: float | None  # Benjamini and Hochberg over all groups of all dimensions
    ids: tuple[str, ...]  # documents after the change with the event, at most 20


@dataclass(frozen=True, slots=True)
class FlagCheck:
    """What a phase should have done to a flag, held against the snapshots around it."""

    phase: str
    flag: str
    expected: str  # "off before, on after"
    before: str | None  # value in the last snapshot before; None where there is none
    after: str | None
    ok: bool | None  # None: no snapshot tells
    text: str


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One phase as recorded, with what the data say of it."""

    number: str
    title: str
    state: str  # "completed", "skipped", ...
    reason: str  # why it was skipped
    at_ms: int | None
    change: int | None  # number of the change that it is judged in; None if it flipped nothing
    not_separable: bool  # other flags changed before any look could tell them apart
    flags: tuple[FlagCheck, ...]


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """A task that was run to see whether the rollout works."""

    title: str
    task_id: str | None
    claimed: str  # what the log says: "completed"
    found: bool | None  # None: no snapshot after it to look in
    task_status: str | None
    messages: int
    completed_messages: int
    verdict: Verdict
    text: str  # one sentence


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person's decision. It is shown beside the verdict and never changes it."""

    by: str
    because: str
    verdict: str  # at that time
    at_ms: int


@dataclass(frozen=True, slots=True)
class RolloutInfo:
    """Which rollout this is."""

    id: int | None  # in the store; None when made from collected flag changes
    title: str
    source: Literal["log", "plan", "collected"]
    plan_hash: str
    plan_version: int  # 1 unless amended
    started_ms: int | None
    change: int | None  # number of the change that this report judges
    changes: int
    phases: tuple[PhaseResult, ...]
    acceptances: tuple[Acceptance, ...] = ()


@dataclass(frozen=True, slots=True)
class RolloutReport:
    """The answer to "did the rollout change anything?"."""

    deployment: str
    rollout: RolloutInfo | None
    baseline: Span
    after: Span
    verdict: Verdict
    action: Action
    reason_code: str
    reason: str  # one sentence
    alpha: Alpha | None
    gates: tuple[Gate, ...]  # in order; all of them
    metrics: tuple[MetricResult, ...]
    checkpoints: tuple[CheckpointResult, ...]
    filter: FilterAccount
    decomposition: tuple[Part, ...]
    explain: Explanation | None  # health at the end of the look
    explain_before: Explanation | None  # health when the change was made
    smoke_tests: tuple[SmokeResult, ...]
    rollback: tuple[str, ...]  # command lines, in the order in which to run them; shown, never run
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
