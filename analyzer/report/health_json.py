"""Health as data: the JSON contracts health/1 and health-series/1, and CSV rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analyzer.analysis.health import HealthReport, Side
from analyzer.analysis.metrics import METRICS
from analyzer.analysis.policy import Policy
from analyzer.model import FilterName, Finding
from analyzer.units import instant

if TYPE_CHECKING:
    from analyzer.analysis.series import Series

_CSV_COUNTS = (
    "message_total",
    "message_completed",
    "message_streaming",
    "message_failed",
    "message_pending",
    "message_statusless",
    "workflow_total",
    "workflow_completed",
    "workflow_failed",
    "workflow_in_progress",
    "stuck_messages",
    "stuck_workflows",
)
_CSV_RATES = ("message_completion_rate", "message_error_rate", "workflow_completion_rate", "workflow_error_rate")
CSV_HEADER = (
    "at",
    "at_ms",
    "policy",
    "filter",
    "status",
    "raw_status",
    *(f"{side}_{name}" for side in ("raw", "without_tests") for name in (*_CSV_COUNTS, *_CSV_RATES)),
)


def document(report: HealthReport) -> dict[str, Any]:
    """Return a report as health/1. What keeps a status from being told stands among the findings."""
    reported = report.reported
    return {
        "schema": "health/1",
        "deployment": report.snapshot.deployment.name,
        "type": report.snapshot.deployment.type.value,
        "snapshot": report.snapshot.id,
        "at_ms": report.at_ms,
        "policy": report.policy.name,
        "filter": report.filter.value,
        "status": report.status.value,
        "raw_status": report.raw_status.value,
        "reported": None if reported is None else {"systemHealth": reported.system_health, "alerts": reported.alerts},
        "raw": _side(report.raw),
        "without_tests": _side(report.without_tests),
        "excluded": dict(report.excluded),
        "coverage": {
            name: {"status": covered.status, "documents": covered.documents, "reason": covered.reason}
            for name, covered in report.coverage.items()
        },
        "tolerated": report.tolerated,
        "findings": [
            *({"id": u.id, "text": f"unknown {u.what}: {u.cause}; {u.action}", "details": {}} for u in report.unknown),
            *(_finding(finding) for finding in report.findings),
        ],
    }


def series_document(series: Series) -> dict[str, Any]:
    """Return a series as health-series/1: `ticks` hold at every clock what health/1 holds at one."""
    return {
        "schema": "health-series/1",
        "deployment": series.snapshot.deployment.name,
        "type": series.snapshot.deployment.type.value,
        "snapshot": series.snapshot.id,
        "policy": series.policy.name,
        "filter": series.filter.value,
        "window_ms": series.policy.window_ms,
        "every_ms": series.grid.step_ms,
        "ticks": [
            {
                "at_ms": tick.at_ms,
                "status": tick.without_tests.judgement.status.value,
                "raw_status": tick.raw.judgement.status.value,
                "raw": _side(tick.raw),
                "without_tests": _side(tick.without_tests),
            }
            for tick in series.ticks
        ],
        "reported": [
            {"at_ms": mark.at_ms, "status": mark.status, "messages": {"completionRate": mark.completion_rate}}
            for mark in series.reported
        ],
    }


def csv_row(at_ms: int, policy: Policy, filter_name: FilterName, raw: Side, without_tests: Side) -> tuple[Any, ...]:
    """Return one clock as a row under CSV_HEADER. Rates are unrounded, and None where there is nothing to divide."""
    values: list[Any] = [
        instant(at_ms),
        at_ms,
        policy.name,
        filter_name.value,
        without_tests.judgement.status.value,
        raw.judgement.status.value,
    ]
    for side in (raw, without_tests):
        values += [getattr(side.counts, name) for name in _CSV_COUNTS]
        values += [METRICS[name].value(side.counts) if METRICS[name].n(side.counts) else None for name in _CSV_RATES]
    return tuple(values)


def _side(side: Side) -> dict[str, Mapping[str, Any]]:
    return {"systemHealth": side.system_health, "alerts": side.alerts}


def _finding(finding: Finding) -> dict[str, Any]:
    return {"id": finding.id, "text": finding.text, "details": dict(finding.details)}
