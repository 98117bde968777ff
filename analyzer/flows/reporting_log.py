"""A report from a rollout log alone: what a person noted, with no counts behind it and so without a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.analysis.changes import group_flips, log_flips
from analyzer.analysis.rollout import from_log
from analyzer.analysis.rollout_log import MetricTable, Phase, RolloutLog, SmokeTest, log_findings
from analyzer.analysis.verdict import (
    FilterAccount,
    FlagCheck,
    PhaseResult,
    RolloutInfo,
    RolloutReport,
    SmokeResult,
    Span,
    Verdict,
)
from analyzer.model import FilterName

REASON = "The log notes rates without the number of documents behind them, and no documents were collected"
COLLECT = (
    "No documents: collect an export of the deployment with `analyzer collect EXPORT.zip`, record the log with"
    " `analyzer rollout import LOG.md`, and make this report again for a verdict."
)


def of_log(log: RolloutLog) -> RolloutReport:
    """Return the report that a log alone allows: its phases, smoke tests, rollback and contradictions."""
    plan = from_log(log)
    changes = group_flips(log_flips(log), plan.checkpoints_ms[0])
    change_of = {flip.phase: change.number for change in changes for flip in change.flips}
    info = RolloutInfo(
        id=None,
        title=log.title,
        source="log",
        plan_hash=plan.hash,
        plan_version=1,
        started_ms=log.started.ms if log.started else None,
        change=None,
        changes=len(changes),
        phases=tuple(_phase(phase, change_of) for phase in log.phases),
    )
    return RolloutReport(
        deployment=log.deployment_name or log.deployment_url or "not named in the log",
        rollout=info,
        baseline=_span(log.baseline_metrics, "the log's baseline"),
        after=_span(log.final_metrics, "the log's final table"),
        verdict=Verdict.NO_DATA,
        action="none",
        reason_code="log_without_counts",
        reason=REASON,
        alpha=None,
        gates=(),
        metrics=(),
        checkpoints=(),
        filter=FilterAccount(FilterName.NONE, {}, ()),
        decomposition=(),
        explain=None,
        explain_before=None,
        smoke_tests=tuple(_smoke(test) for test in log.smoke_tests),
        rollback=tuple(plan.rollback),
        findings=log_findings(log),
        warnings=(COLLECT,),
    )


def _phase(phase: Phase, change_of: Mapping[str, int]) -> PhaseResult:
    change = change_of.get(phase.number)
    return PhaseResult(
        number=phase.number,
        title=phase.title,
        state=phase.state,
        reason=phase.reason,
        at_ms=phase.at.ms if phase.at else None,
        change=change,
        not_separable=sum(other == change for other in change_of.values()) > 1 if change is not None else False,
        flags=tuple(_flags(phase)),
    )


def _flags(phase: Phase) -> Iterator[FlagCheck]:
    for flip in phase.flips:
        expected = f"{flip.value or 'not set'} after"
        yield FlagCheck(phase.number, flip.flag, expected, None, None, None, "only the log tells")


def _span(table: MetricTable | None, label: str) -> Span:
    return Span("" if table is None else label, (), None, None)


def _smoke(test: SmokeTest) -> SmokeResult:
    claimed = "" if test.status is None else test.status.state
    text = "Only the log tells; no documents to look for its task in."
    return SmokeResult(test.title, test.task_id, claimed, None, None, 0, 0, Verdict.NO_DATA, text)
