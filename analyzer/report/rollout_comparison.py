"""The comparison of a report as blocks of its page: every metric, what would change the verdict, the planned looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analyzer.analysis.verdict import CheckpointResult, MetricResult, RolloutReport, Verdict
from analyzer.report import rollout_words as words
from analyzer.report.page import Block, Chart, Points, Table, Words
from analyzer.units import NOTHING, count, instant, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURE = 0.05  # adjusted p of a suspect that is named first


def metrics(report: RolloutReport) -> Iterator[Block]:
    """Yield the chart that a reader looks at first, the guardrails, and how far apart everything is."""
    from analyzer.report import charts_rollout  # matplotlib itself is loaded when a chart is drawn

    if not report.metrics:
        yield Words("No metric was compared: there are no documents of a time before and a time after the change.")
        return
    yield _guardrails(report)
    yield from _suspect(report)

    def draw_values() -> Figure:
        return charts_rollout.metric_values(report)

    def draw_differences() -> Figure:
        return charts_rollout.differences(report)

    yield Chart(
        "values",
        "What was each metric before and after?",
        f"{count(len(report.metrics), 'metric')}, each in {report.baseline.label or 'the baseline'} (grey ring) and in"
        f" {report.after.label or 'the time after the change'} (purple diamond), with 95 % intervals.",
        draw_values,
        _values_table(report.metrics),
    )
    yield Chart(
        "differences",
        "Did anything get worse by more than its margin?",
        "Difference of each metric with its 95 % interval, turned so that right is worse, and its margin in red.",
        draw_differences,
        _differences_table(report.metrics),
    )
    others = [metric for metric in report.metrics if metric.role != "guardrail"]
    if others:
        yield _values_table(others, "Signals and dry runs: shown, and no reason to fail")


def _guardrails(report: RolloutReport) -> Table:
    rows = [
        (
            metric.title,
            metric.verdict.value,
            words.side(metric, metric.baseline),
            words.side(metric, metric.after),
            words.difference(metric.difference.value, metric.unit),
            words.margin(metric),
            _p(metric),
        )
        for metric in report.metrics
        if metric.role == "guardrail"
    ]
    head = ("guardrail", "verdict", "baseline", "after", "difference", "margin", "adjusted p")
    return Table("Guardrails: metrics that may not get worse", head, tuple(rows), numbers=(4, 5, 6))


def _suspect(report: RolloutReport) -> Iterator[Block]:
    """Yield the surest suspect where a guardrail failed and one stands out: the next thing that a reader asks."""
    sure = [part for part in report.decomposition if part.p_adjusted is not None and part.p_adjusted <= SURE]
    if report.verdict is Verdict.FAIL and sure:
        part = min(sure, key=lambda part: part.p_adjusted or 0.0)
        yield Words(
            f"Most suspect: {words.code_text(part.dimension)} {part.group}, whose {words.code_text(part.metric)} was"
            f" {count(part.baseline_k)} of {count(part.baseline_n)} before and {count(part.after_k)} of"
            f" {count(part.after_n)} after (adjusted p {words.p_value(part.p_adjusted)}). See: What moved the rates."
        )


def _values_table(chosen: Sequence[MetricResult], caption: str = "Every metric before and after") -> Table:
    rows = [
        (
            metric.title,
            words.side(metric, metric.baseline),
            words.interval(metric.baseline.interval, metric.unit),
            words.side(metric, metric.after),
            words.interval(metric.after.interval, metric.unit),
            count(metric.after.running),
            f"{metric.role}, {words.worse(metric.direction)}",
        )
        for metric in chosen
    ]
    head = ("metric", "baseline", "95 % interval", "after", "95 % interval", "in flight", "role")
    return Table(caption, head, tuple(rows), numbers=(5,))


def _differences_table(chosen: Sequence[MetricResult]) -> Table:
    rows = [
        (
            metric.title,
            words.difference(metric.difference.value, metric.unit),
            words.difference_interval(metric.difference.interval, metric.unit),
            words.margin(metric),
            f"{count(metric.baseline.n)}, {count(metric.after.n)}",
            metric.verdict.value,
        )
        for metric in chosen
    ]
    head = ("metric", "after minus baseline", "95 % interval", "margin", "n before, after", "verdict")
    return Table("Differences", head, tuple(rows), numbers=(1,))


def _p(metric: MetricResult) -> str:
    if metric.test is None:
        return NOTHING
    return words.p_value(metric.test.p if metric.test.p_adjusted is None else metric.test.p_adjusted)


def what_would_change(report: RolloutReport) -> Iterator[Block]:
    """Yield the gates that applied, how many more documents decide, and what people said to it."""
    deciding = [gate.text for gate in report.gates if gate.applies]
    if deciding:
        yield Points(tuple(deciding))
    rows = []
    for metric in report.metrics:
        if metric.verdict in (Verdict.PASS, Verdict.FAIL) and metric.n_needed is None:
            continue
        more = NOTHING if metric.n_needed is None else count(max(0, metric.n_needed - metric.after.n))
        when = NOTHING if metric.decides_at_ms is None else instant(metric.decides_at_ms)
        rows.append((metric.title, metric.verdict.value, metric.reason, more, when))
    if rows:
        head = ("metric", "verdict", "why", "more documents", "at this rate by")
        yield Table("How many more documents decide, if all of them are clean", head, tuple(rows), numbers=(3,))
    if report.rollout is not None:
        yield from (
            Words(f"{a.by} accepted {a.verdict} on {instant(a.at_ms)}: {a.because}. That does not change the verdict.")
            for a in report.rollout.acceptances
        )


def checkpoints(looks: Sequence[CheckpointResult]) -> Iterator[Block]:
    """Yield the planned looks in order of time."""
    if not looks:
        return
    rows = [
        (
            look.label,
            instant(look.at_ms),
            look.verdict.value,
            look.health or NOTHING,
            look.health_without_tests or NOTHING,
            NOTHING if look.alerts is None else count(look.alerts),
            percent(look.message_error_rate),
            percent(look.workflow_error_rate),
            f"{count(look.messages)} + {count(look.workflows)}",
            _source(look),
        )
        for look in looks
    ]
    head = ("look", "at", "verdict", "health", "without tests", "alerts", "message errors", "workflow errors")
    yield Table(
        "Planned looks after the change",
        (*head, "messages + workflows", "from"),
        tuple(rows),
        numbers=(5, 6, 7, 8),
    )
    yield Points(tuple(f"{look.label}: {look.reason}" for look in looks if look.reason))


def _source(look: CheckpointResult) -> str:
    if look.snapshot_id is None:
        return "no snapshot"
    return f"{look.snapshot_label} (reconstructed)" if look.reconstructed else look.snapshot_label
