"""Reports of any size, made by hand: what the surfaces must show whatever was compared."""

from __future__ import annotations

from dataclasses import replace

from analyzer.analysis.verdict import (
    Alpha,
    CheckpointResult,
    Difference,
    FilterAccount,
    FilterVerdict,
    FlagCheck,
    Gate,
    Measured,
    MetricResult,
    Part,
    PhaseResult,
    RolloutInfo,
    RolloutReport,
    SmokeResult,
    Span,
    TestResult,
    Verdict,
)
from analyzer.model import FilterName, Finding
from analyzer.report import rollout_charts
from analyzer.report.charts_time import FlagHistory, Moment, Usual
from analyzer.report.rollout_page import Extras
from analyzer.stats import fisher_harm, newcombe_interval, wilson_interval

T0_MS = 1_765_889_640_000
HOUR_MS = 3_600_000
NASTY = "<script>alert('x')</script> | `rm -rf` [link](https://evil.example) **bold** $x^2$ &amp; \x1b[31m"


def measured(k: int, n: int) -> Measured:
    return Measured(k, n, k / n, wilson_interval(k, n)) if n else Measured(None, 0, None, None)


def share(name: str, title: str, base: tuple[int, int], after: tuple[int, int], *, lower: bool = False) -> MetricResult:
    known = base[1] and after[1]
    interval = newcombe_interval(*after, *base) if known else None
    harm = (after[1] - after[0], after[1], base[1] - base[0], base[1]) if lower else (*after, *base)
    return MetricResult(
        id=name,
        title=title,
        role="guardrail",
        direction="lower_is_worse" if lower else "higher_is_worse",
        unit="share",
        baseline=measured(*base),
        after=measured(*after),
        difference=Difference(after[0] / after[1] - base[0] / base[1] if known else None, interval, "newcombe"),
        test=TestResult("fisher_exact", fisher_harm(*harm), min(1.0, 4 * fisher_harm(*harm))) if known else None,
        margin=0.05,
        min_n=30,
        verdict=Verdict.INCONCLUSIVE if known else Verdict.NO_DATA,
        reason_code="too_few_documents" if known else "no_documents",
        reason=f"{title} is {after[0]} of {after[1]} after the change.",
        n_needed=120 if known else None,
        decides_at_ms=T0_MS + 30 * HOUR_MS if known else None,
    )


def duration(base_ms: float | None, after_ms: float | None, n: int) -> MetricResult:
    def side(value: float | None) -> Measured:
        return Measured(None, n if value else 0, value, None)

    both = base_ms is not None and after_ms is not None
    value = (after_ms or 0) - (base_ms or 0) if both else None
    return MetricResult(
        id="duration_p95_ms",
        title="Workflow duration (p95)",
        role="signal",
        direction="higher_is_worse",
        unit="ms",
        baseline=side(base_ms),
        after=side(after_ms),
        difference=Difference(value, None, "order-statistic"),
        test=None,
        margin=0.2,
        min_n=59,
        verdict=Verdict.INCONCLUSIVE,
        reason_code="too_few_documents",
        reason="59 traces are needed.",
        n_needed=59,
    )


def metrics(n: int) -> tuple[MetricResult, ...]:
    bad, base_n = n // 30, 3 * n
    return (
        share("workflow_error_rate", "Workflow error rate", (bad, base_n), (2 * bad, n)),
        share("message_error_rate", "Message error rate", (0, base_n), (0, n)),
        share("workflow_completion_rate", "Workflow completion rate", (base_n - bad, base_n), (n - bad, n), lower=True),
        share("message_completion_rate", "Message completion rate", (base_n, base_n), (max(n - 1, 0), n), lower=True),
        duration(4_200.0 if n else None, 5_900.0 if n else None, n),
    )


def checkpoint(label: str, hours: int, verdict: Verdict) -> CheckpointResult:
    return CheckpointResult(
        label=label,
        change=1,
        offset_ms=hours * HOUR_MS,
        at_ms=T0_MS + hours * HOUR_MS,
        alpha=0.01,
        snapshot_id=8,
        snapshot_label="08-t-plus-1h",
        reconstructed=hours > 1,
        verdict=verdict,
        reason_code="too_few_documents",
        reason="too few documents",
        health="healthy",
        health_without_tests="healthy",
        alerts=1,
        message_error_rate=0.0,
        workflow_error_rate=0.02,
        message_completion_rate=0.98,
        workflow_completion_rate=None,
        messages=42,
        workflows=11,
    )


def report(n: int = 60, word: str = "curious-heron-412", verdict: Verdict = Verdict.INCONCLUSIVE) -> RolloutReport:
    """Return a report of which n documents lie after the change; `word` stands wherever foreign text does."""
    found = metrics(n)
    phase = PhaseResult(
        number="1",
        title=word,
        state="completed",
        reason="",
        at_ms=T0_MS,
        change=1,
        not_separable=True,
        flags=(FlagCheck("1", "ENABLE_WORKFLOW", "off before, on after", "false", "true", True, word),),
    )
    return RolloutReport(
        deployment=word,
        rollout=RolloutInfo(1, word, "log", "9f" * 32, 1, T0_MS, 1, 1, (phase,)),
        baseline=Span("baseline", (1,), T0_MS - 168 * HOUR_MS, T0_MS),
        after=Span(word, (11,), T0_MS, T0_MS + 24 * HOUR_MS),
        verdict=verdict,
        action="hold",
        reason_code="too_few_documents",
        reason=f"Workflow error rate of {word} could still have risen by 9 points",
        alpha=Alpha(0.05, 0.025, (0.005, 0.01, 0.01, 0.025), 0),
        gates=(
            Gate("valid-run", False, Verdict.INVALID, "window_overlap", "The windows do not overlap."),
            Gate("sample", True, verdict, "too_few_documents", word),
        ),
        metrics=found,
        checkpoints=(checkpoint("T+1h", 1, Verdict.INCONCLUSIVE), checkpoint("T+24h", 24, verdict)),
        filter=FilterAccount(
            FilterName.EVIDENCE,
            {"chatMessages": 6},
            (FilterVerdict("none", verdict, "too_few_documents", 0), FilterVerdict("wide", verdict, "x", 9)),
        ),
        decomposition=(Part("message_error_rate", "model", word, 1, 40, 3, 20, 0.01, 0.06, 0.02, 0.05, ("k57", word)),)
        if n
        else (),
        explain=None,
        explain_before=None,
        smoke_tests=(SmokeResult(word, "k57b", "completed", True, "RUNNING", 2, 1, Verdict.INCONCLUSIVE, word),),
        rollback=("npx convex env set ENABLE_WORKFLOW false", word),
        findings=(Finding("log-metrics", word),),
        warnings=(word,),
    )


def without_metrics() -> RolloutReport:
    return replace(report(0), metrics=(), checkpoints=(), rollout=None)


def extras(found: RolloutReport, reproduce: str = "analyzer report --db data/analyzer.duckdb") -> Extras:
    """Return what a page shows besides the comparison; charts over time where there is time."""
    charts = []
    if found.metrics:
        moments = [
            Moment("change 1", T0_MS, T0_MS + 60_000, "change"),
            Moment("T+1h", T0_MS + HOUR_MS, T0_MS + HOUR_MS, "checkpoint"),
        ]
        word = found.deployment
        history = FlagHistory(word, ((T0_MS - HOUR_MS, None), (T0_MS, True), (T0_MS + 5 * HOUR_MS, False)))
        charts = [
            rollout_charts.usual([Usual("Messages complete", (0.97, 0.98, 1.0, 1.0), 0.9)], HOUR_MS),
            rollout_charts.flags([history], T0_MS - HOUR_MS, T0_MS + 24 * HOUR_MS, moments),
        ]
    return Extras(tuple(charts), (), (), reproduce)
