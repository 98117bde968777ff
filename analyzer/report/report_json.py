"""A rollout report as JSON, schema "report/1": rates 0..1 at full precision, null instead of what does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.analysis import verdict as v
from analyzer.model import Finding
from analyzer.report.explain_json import explain_json
from analyzer.stats import Interval
from analyzer.units import instant

SCHEMA = "report/1"


def report_json(report: v.RolloutReport) -> dict[str, Any]:
    """Return the fields of schema "report/1", in its order."""
    return {
        "schema": SCHEMA,
        "deployment": report.deployment,
        "rollout": _rollout(report.rollout) if report.rollout else None,
        "baseline": _span(report.baseline),
        "after": _span(report.after),
        "verdict": report.verdict.value,
        "action": report.action,
        "reason_code": report.reason_code,
        "alpha": _alpha(report),
        "metrics": [_metric(metric) for metric in report.metrics],
        "checkpoints": [checkpoint_json(checkpoint) for checkpoint in report.checkpoints],
        "filter": _filter(report.filter),
        "explain": (explain_json(report.explain) if report.explain else {})
        | {"decomposition": [_part(part) for part in report.decomposition]},
        "smoke_tests": [_smoke(test) for test in report.smoke_tests],
        "rollback": {"commands": list(report.rollback)},
        "findings": [_finding(finding) for finding in report.findings],
        "warnings": list(report.warnings),
    }


def rollout_json(
    info: v.RolloutInfo, deployment: str, smoke_tests: Sequence[v.SmokeResult], findings: Sequence[Finding]
) -> dict[str, Any]:
    """Return what `rollout show` shows, schema "rollout/1"."""
    return {
        "schema": "rollout/1",
        "deployment": deployment,
        "rollout": _rollout(info),
        "smoke_tests": [_smoke(test) for test in smoke_tests],
        "findings": [_finding(finding) for finding in findings],
    }


def checkpoint_json(look: v.CheckpointResult) -> dict[str, Any]:
    """Return one planned look."""
    return {
        "label": look.label,
        "change": look.change,
        "offset_ms": look.offset_ms,
        "at": instant(look.at_ms),
        "at_ms": look.at_ms,
        "alpha": look.alpha,
        "snapshot_id": look.snapshot_id,
        "snapshot_label": look.snapshot_label,
        "reconstructed": look.reconstructed,
        "verdict": look.verdict.value,
        "reason_code": look.reason_code,
        "reason": look.reason,
        "health": look.health,
        "health_without_tests": look.health_without_tests,
        "alerts": look.alerts,
        "message_error_rate": look.message_error_rate,
        "workflow_error_rate": look.workflow_error_rate,
        "message_completion_rate": look.message_completion_rate,
        "workflow_completion_rate": look.workflow_completion_rate,
        "messages": look.messages,
        "workflows": look.workflows,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"id": finding.id, "text": finding.text, "details": dict(finding.details)}


def _rollout(info: v.RolloutInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "title": info.title,
        "source": info.source,
        "plan_hash": info.plan_hash,
        "plan_version": info.plan_version,
        "started": _time(info.started_ms),
        "change": info.change,
        "changes": info.changes,
        "phases": [_phase(phase) for phase in info.phases],
        "accepted": [
            {"by": a.by, "because": a.because, "verdict": a.verdict, "at": instant(a.at_ms)} for a in info.acceptances
        ],
    }


def _phase(phase: v.PhaseResult) -> dict[str, Any]:
    return {
        "number": phase.number,
        "title": phase.title,
        "state": phase.state,
        "reason": phase.reason,
        "at": _time(phase.at_ms),
        "change": phase.change,
        "not_separable": phase.not_separable,
        "flags": [
            {
                "flag": check.flag,
                "expected": check.expected,
                "before": check.before,
                "after": check.after,
                "ok": check.ok,
                "text": check.text,
            }
            for check in phase.flags
        ],
    }


def _span(span: v.Span) -> dict[str, Any]:
    return {
        "label": span.label,
        "snapshot_ids": list(span.snapshot_ids),
        "from": _time(span.from_ms),
        "to": _time(span.to_ms),
    }


def _alpha(report: v.RolloutReport) -> dict[str, Any]:
    alpha = report.alpha
    if alpha is None:
        return {}
    return {
        "total": alpha.total,
        "look": alpha.look,
        "shares": list(alpha.shares),
        "looks_missed": alpha.looks_missed,
        "correction": alpha.correction,
    }


def _metric(metric: v.MetricResult) -> dict[str, Any]:
    test = metric.test
    return {
        "id": metric.id,
        "role": metric.role,
        "direction": metric.direction,
        "unit": metric.unit,
        "baseline": _measured(metric.baseline),
        "after": _measured(metric.after),
        "diff": {
            "value": metric.difference.value,
            "ci": _ends(metric.difference.interval),
            "method": metric.difference.method,
        },
        "test": {"name": test.name, "p": test.p, "p_adjusted": test.p_adjusted} if test else None,
        "margin": metric.margin,
        "min_n": metric.min_n,
        "verdict": metric.verdict.value,
        "reason_code": metric.reason_code,
        "n_needed": metric.n_needed,
    }


def _measured(measured: v.Measured) -> dict[str, Any]:
    return {"k": measured.k, "n": measured.n, "rate": measured.rate, "ci": _ends(measured.interval)}


def _filter(account: v.FilterAccount) -> dict[str, Any]:
    return {
        "name": account.name.value,
        "excluded": dict(account.excluded),
        "sensitivity": [{"filter": s.filter, "verdict": s.verdict.value} for s in account.sensitivity],
    }


def _part(part: v.Part) -> dict[str, Any]:
    return {
        "metric": part.metric,
        "dimension": part.dimension,
        "group": part.group,
        "baseline": {"k": part.baseline_k, "n": part.baseline_n},
        "after": {"k": part.after_k, "n": part.after_n},
        "mix": part.mix,
        "rate": part.rate,
        "p": part.p,
        "p_adjusted": part.p_adjusted,
        "ids": list(part.ids),
    }


def _smoke(test: v.SmokeResult) -> dict[str, Any]:
    return {
        "title": test.title,
        "task_id": test.task_id,
        "claimed": test.claimed,
        "found": test.found,
        "task_status": test.task_status,
        "messages": test.messages,
        "completed_messages": test.completed_messages,
        "verdict": test.verdict.value,
        "text": test.text,
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else instant(ms)


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
