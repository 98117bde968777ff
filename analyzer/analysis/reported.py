"""What the deployment's own functions said, and whether its documents agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.analysis import app_functions, health
from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import DEPLOYED
from analyzer.analysis.rounding import plain
from analyzer.model import Answer, Finding, Snapshot
from analyzer.store import Store
from analyzer.units import age

SYSTEM_HEALTH = "monitoring/dashboard:getSystemHealth"
ALERTS = "monitoring/dashboard:checkAlerts"
LAST_MS = 253_402_300_799_999  # the year 9999
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Reported:
    """The deployment's claim. Field for field what it answered, whole numbers without a fraction."""

    system_health: Mapping[str, Any] | None  # None where there is no usable answer
    alerts: Mapping[str, Any] | None
    findings: tuple[Finding, ...] = ()

    @property
    def at_ms(self) -> int | None:
        """The claim's own timestamp, of getSystemHealth where there is one."""
        for answer in (self.system_health, self.alerts):
            if answer is not None and (at_ms := timestamp_ms(answer)) is not None:
                return at_ms
        return None


def reported(
    store: Store, snapshot: Snapshot, *, system_health: str = SYSTEM_HEALTH, alerts: str = ALERTS
) -> Reported | None:
    """Return what a snapshot's deployment reported, checked against its documents at the answers' own timestamps.

    system_health, alerts  paths of the functions
    returns                None where neither answer was recorded. Opens frames of its own: call it before another one
    """
    answers = store.answers(snapshot)
    recorded = {answer.function for answer in answers}
    compute = {system_health: app_functions.system_health, alerts: app_functions.alerts}
    claims: dict[str, Mapping[str, Any]] = {}
    findings: list[Finding] = []
    counted: dict[int, Counts] = {}
    for path, answer in compute.items():
        claim = _claim(answers, path)
        at_ms = None if claim is None else timestamp_ms(claim)
        if claim is not None and at_ms is not None:
            claims[path] = claim
            if at_ms not in counted:
                counted[at_ms] = health.count(store.frame(snapshot, at_ms), DEPLOYED)
            findings += _compare(path, claim, answer(counted[at_ms], at_ms), at_ms, snapshot)
        elif path in recorded:
            findings.append(
                Finding("reported-unreadable", f"the recorded answer of {path} is not what that function returns")
            )
    if not claims and not findings:
        return None
    return Reported(claims.get(system_health), claims.get(alerts), tuple(findings))


def claimed(store: Store, snapshot: Snapshot, function: str) -> Mapping[str, Any] | None:
    """Return the recorded answer of one function where it is an object, whole numbers without a fraction."""
    return _claim(store.answers(snapshot), function)


def _claim(answers: Sequence[Answer], function: str) -> Mapping[str, Any] | None:
    value = next((answer.value for answer in answers if answer.function == function), None)
    return plain(value) if isinstance(value, dict) else None


def timestamp_ms(answer: Mapping[str, Any]) -> int | None:
    """Return an answer's own clock, rounded down to the millisecond; None where it has none that can be one."""
    value = answer.get("timestamp")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_MS:
        return None
    return math.floor(value)


def _compare(
    path: str, claim: Mapping[str, Any], computed: Mapping[str, Any], at_ms: int, snapshot: Snapshot
) -> list[Finding]:
    """Return a finding that names every field in which a claim differs from the documents."""
    differing = {
        field: {"reported": None if said is _MISSING else said, "raw": found}
        for field, said, found in _differences(claim, computed)
        if field != "timestamp"
    }
    if not differing:
        return []
    name = path.rpartition(":")[2]
    later_ms = snapshot.as_of_ms - at_ms
    caveat = f"; documents and answer are {age(abs(later_ms))} apart" if later_ms else ""
    return [
        Finding(
            "reported-differs",
            f"{name} reported other numbers than its documents give: {', '.join(differing)}{caveat}",
            {"function": path, "at_ms": at_ms, "fields": differing},
        )
    ]


def _differences(claim: Any, computed: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (field path, claimed, computed) where they differ. Fields that only the claim has are ignored."""
    if isinstance(computed, dict) and isinstance(claim, dict):
        for key, found in computed.items():
            yield from _differences(claim.get(key, _MISSING), found, f"{prefix}.{key}" if prefix else key)
    elif claim != computed:
        yield prefix, claim, computed
