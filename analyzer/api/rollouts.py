"""The public face of rollouts; see `analyzer.api`, which hands it on."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer import clock, config, rules
from analyzer.analysis import policy as policies
from analyzer.analysis.checkpoints import Judging
from analyzer.analysis.rollout_log import read_log
from analyzer.analysis.verdict import MetricResult, Part, RolloutReport
from analyzer.api.frames import frame_of, frame_of_rows
from analyzer.flows import reporting, rollout_records
from analyzer.flows.reporting_charts import Lens
from analyzer.report import charts_rollout
from analyzer.rules import InternalLists
from analyzer.store import Store

if TYPE_CHECKING:
    import pandas as pd


def rollout_report(
    store: Store,
    *,
    log: str | Path | None = None,
    baseline: str | int | None = None,
    after: str | int | None = None,
    look: str | None = None,
) -> RolloutReport:
    """Tell whether a rollout changed anything; see `analyzer report`.

    log              a rollout log; without one, and without two snapshots, the newest recorded rollout
    baseline, after  id or label of two snapshots to compare, without any rollout
    look             label of the planned look; None for the last that a snapshot reaches
    """
    settings = config.load()
    lens = Lens(
        Judging(
            rules.load_all(settings.rule_files),
            InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos),
            settings.health.filter,
            policies.find(settings.health.policy, settings.policies),
            clock.now_ms(),
            prices=settings.prices,
        ),
        settings.functions.system_health,
    )
    if log is not None:
        return reporting.judge_log(store, read_log(Path(log)), lens, deployment=settings.deployment, look=look)
    if baseline is not None and after is not None:
        chosen = (store.snapshot(baseline, settings.deployment), store.snapshot(after, settings.deployment))
        return reporting.judge_snapshots(store, *chosen, lens)
    opened = rollout_records.open_rollout(store, deployment=settings.deployment)
    return reporting.judge_rollout(store, opened, lens, look=look)


def metrics(report: RolloutReport) -> pd.DataFrame:
    """Return a row a metric: role, baseline and after with n, difference with its interval, margin, p, verdict."""
    return frame_of_rows([_metric(metric) for metric in report.metrics])


def checkpoints(report: RolloutReport) -> pd.DataFrame:
    """Return a row a planned look: label, verdict, health raw and without tests, error rates, documents."""
    names = ("label", "verdict", "health", "health_without_tests", "message_error_rate", "workflow_error_rate")
    return frame_of(report.checkpoints, (*names, "messages", "workflows", "reconstructed"))


def decomposition(report: RolloutReport) -> pd.DataFrame:
    """Return a row a group of documents, most suspect first; mix and rate of one dimension sum to the change."""
    names = [field.name for field in fields(Part) if field.name != "ids"]
    return frame_of(report.decomposition, names)


def plot_metrics(report: RolloutReport) -> Any:
    """Return a matplotlib figure of every metric before and after with its interval."""
    return charts_rollout.metric_values(report)


def plot_differences(report: RolloutReport) -> Any:
    """Return a matplotlib figure of how far apart before and after are, with the margin of each metric."""
    return charts_rollout.differences(report)


def _metric(metric: MetricResult) -> dict[str, Any]:
    interval = metric.difference.interval
    return {
        "metric": metric.title,
        "role": metric.role,
        "unit": metric.unit,
        "baseline": metric.baseline.rate,
        "baseline_n": metric.baseline.n,
        "after": metric.after.rate,
        "after_n": metric.after.n,
        "difference": metric.difference.value,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "margin": metric.margin,
        "p_adjusted": None if metric.test is None else metric.test.p_adjusted,
        "verdict": metric.verdict.value,
    }
