"""How the status depends on what is left out: under every filter, and without what each artifact rule selects alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.analysis import health
from analyzer.analysis.doubts import doubts, gaps, needed_tables
from analyzer.analysis.policy import STUCK_MS, Unknown
from analyzer.model import FILTER_TIERS, FilterName, Status, Tier
from analyzer.store import Frame


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The status under one filter."""

    filter: str
    status: Status
    excluded: int  # documents left out
    unknown: tuple[Unknown, ...] = ()  # why the status cannot be told


def sensitivity(frame: Frame, report: health.HealthReport, *, each_rule: bool) -> tuple[Sensitivity, ...]:
    """Judge a prepared frame again under every filter.

    report     of the same frame
    each_rule  also without what each artifact rule selects alone, as the filter `wide` would; by rule
    """
    fired = [rule for rule, _ in frame.rows("explain/fired_rules")] if each_rule else []
    if report.policy.needs_response:  # a percentile cannot be worked out from sums
        return (*(_judged(frame, report, name, name.value) for name in FilterName), *_alone(frame, report, fired))
    by_name = _judged(frame, report, FilterName.NAME, FilterName.NAME.value)
    from_sums = _FromSums(frame, report)
    return (
        *(by_name if name is FilterName.NAME else from_sums.under(name) for name in FilterName),
        *(from_sums.without_rule(rule) for rule in fired),
    )


class _FromSums:
    """Judges what is left when a part of what the filter `wide` leaves out is taken away."""

    def __init__(self, frame: Frame, report: health.HealthReport) -> None:
        self._frame, self._report = frame, report
        health.leave_out(frame, FilterName.WIDE)
        self._rows = frame.rows(
            "explain/left_out_by_evidence", window_ms=report.policy.window_ms, stuck_ms=STUCK_MS
        )  # table, tier, rules, is_internal, measure, status, documents
        self._lost = gaps(frame)

    def under(self, name: FilterName) -> Sensitivity:
        tiers = {tier.value for tier in FILTER_TIERS[name]}
        has_internal = name is not FilterName.NONE
        return self._without(name.value, name, lambda tier, _, internal: tier in tiers or (internal and has_internal))

    def without_rule(self, rule: str) -> Sensitivity:
        return self._without(
            f"rule {rule}", FilterName.WIDE, lambda _, rules, internal: rule in (rules or ()) or internal
        )

    def _without(
        self, called: str, name: FilterName, is_out: Callable[[Tier | None, Sequence[str] | None, bool], bool]
    ) -> Sensitivity:
        frame, policy = self._frame, self._report.policy
        left_out: list[tuple[Any, ...]] = []
        excluded = 0
        for table, tier, rules, is_internal, measure, status, documents in self._rows:
            if not is_out(tier, rules, is_internal):
                continue
            if measure == "any":
                excluded += documents
            else:
                left_out.append((table, measure, status, documents))
        counts = self._report.raw.counts.minus(health.tally(left_out))
        unsure = doubts(frame.snapshot, frame.at_ms, policy.window_ms, needed_tables(name), self._lost)
        judged = health.side(counts, frame.at_ms, policy, unsure).judgement
        return Sensitivity(called, judged.status, excluded, judged.unknown)


def _alone(frame: Frame, report: health.HealthReport, fired: Sequence[str]) -> list[Sensitivity]:
    found: list[Sensitivity] = []
    if fired and frame.recall_rule(None):
        for rule in fired:
            frame.recall_rule(rule)
            found.append(_judged(frame, report, FilterName.WIDE, f"rule {rule}"))
        frame.recall_rule(None)
        return found
    if fired:
        frame.materialise("every_artifact", "explain/every_artifact")
        for rule in fired:
            frame.materialise("artifact", "explain/artifacts_of_rules", rules=[rule])
            found.append(_judged(frame, report, FilterName.WIDE, f"rule {rule}"))
        frame.materialise("artifact", "explain/artifacts_of_rules", rules=fired)
    return found


def _judged(frame: Frame, report: health.HealthReport, filter_name: FilterName, called: str) -> Sensitivity:
    other = health.assess(
        frame,
        policy=report.policy,
        filter_name=filter_name,
        now_ms=frame.snapshot.taken_at_ms,  # age plays no part in comparing filters
        raw=report.raw.counts,
    )
    return Sensitivity(called, other.status, sum(other.excluded.values()), other.without_tests.judgement.unknown)
