"""An explanation as the JSON contract `explain/1`."""

from __future__ import annotations

from typing import Any

from analyzer.analysis.explain import Explanation
from analyzer.analysis.policy import RuleResult


def explain_json(explanation: Explanation) -> dict[str, Any]:
    """Return the fields of `explain/1`, in order. Rates are 0..1, times milliseconds since the epoch."""
    e = explanation
    interval = e.certainty.interval
    return {
        "schema": "explain/1",
        "deployment": e.deployment.name,
        "type": e.deployment.type.value,
        "snapshot": e.snapshot.id,
        "at_ms": e.at_ms,
        "policy": e.policy.name,
        "filter": e.filter.value,
        "raw_status": e.raw_status.value,
        "status": e.status.value,
        "since_ms": e.since_ms,
        "clears_at_ms": e.clears_at_ms,
        "summary": e.summary,
        "symptom": None if e.symptom is None else _rule(e.symptom),
        "rules": [_rule(rule) for rule in e.rules],
        "certainty": {
            "ci": None if interval is None else [interval.low, interval.high],
            "conclusive": e.certainty.conclusive,
        },
        "recovery": {
            "removals": None
            if e.recovery.removals is None
            else [{"table": table, "id": id_} for table, id_ in e.recovery.removals],
            "completions": e.recovery.completions,
        },
        "impacts": [{"severity": i.severity, "description": i.description, "areas": list(i.areas)} for i in e.impacts],
        "diagnosis": [
            {
                "id": c.id,
                "cause": c.cause,
                "action": c.action,
                "count": c.count,
                "affected": {table: list(ids) for table, ids in c.affected.items()},
            }
            for c in e.diagnosis
        ],
        "sensitivity": [{"filter": s.filter, "status": s.status.value, "excluded": s.excluded} for s in e.sensitivity],
        "findings": [{"id": f.id, "text": f.text, "details": dict(f.details)} for f in e.findings],
        "unknown": [{"what": u.what, "cause": u.cause, "action": u.action} for u in e.unknown],
        "resolutions": list(e.resolutions),
    }


def _rule(rule: RuleResult) -> dict[str, Any]:
    return {
        "id": rule.id,
        "value": rule.value,
        "limit": rule.limit,
        "operator": rule.operator,
        "n": rule.n,
        "ok": rule.ok,
        "slack": rule.slack,
    }
