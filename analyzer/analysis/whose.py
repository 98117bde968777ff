"""Whose it is that health is degraded, in one sentence: the product's, or leftovers of our own tests."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.analysis.diagnosis import BadDocument, blame, pulling
from analyzer.analysis.health import HealthReport
from analyzer.analysis.policy import NOTHING_TO_JUDGE
from analyzer.analysis.sensitivity import Sensitivity
from analyzer.model import FilterName, Status

_BY_EVIDENCE = (FilterName.EVIDENCE, FilterName.WIDE)  # filters that leave out all that is known for a test's


def whose(report: HealthReport, bad: Sequence[BadDocument], evidence: Sensitivity) -> str:
    """Say whose it is.

    bad       every bad document of the frame
    evidence  the status without what there is evidence for, whatever the report's own filter is
    """
    raw, clean = report.raw_status, report.status
    if raw is Status.UNKNOWN:
        return f"Cannot tell: {report.raw.judgement.unknown[0].cause}."
    if raw is Status.HEALTHY:
        return "Healthy." if clean is raw else f"Healthy, but {clean.value} without leftovers of tests."
    doubts = [reason for reason in evidence.unknown if reason is not NOTHING_TO_JUDGE]
    if doubts:
        return f"Cannot be told: {doubts[0].cause}."
    has_tests = any(document.is_test for document in pulling(bad, report.raw.judgement.failing))
    if evidence.status is not Status.DEGRADED:
        return _OURS[evidence.status] if has_tests else _INTERNAL
    if clean is not Status.DEGRADED:
        return f"Perhaps ours: without what the filter {report.filter.value} leaves out it is {clean.value}, unproven."
    return _of_what_is_left(report, bad, has_tests=has_tests)


def _of_what_is_left(report: HealthReport, bad: Sequence[BadDocument], *, has_tests: bool) -> str:
    """Say whose it is that health is degraded without tests too."""
    side = report.without_tests if report.filter in _BY_EVIDENCE else report.raw
    left = [document for document in pulling(bad, side.judgement.failing) if not document.is_test]
    if left and not any(blame(document) == "product" for document in left):
        return "Cannot be told: documents of which nothing says whose they are make it degraded."
    if has_tests:
        return "Both: the product is degraded on its own, and leftovers of tests add to it."
    return "The product's: no leftover of a test takes part in it."


_OURS = {
    Status.HEALTHY: "Ours, not the product's: only leftovers of our own tests make it degraded.",
    Status.UNKNOWN: "Ours: there is nothing but leftovers of our own tests to judge.",
}
_INTERNAL = "Ours: only documents of people and repositories that are listed as internal make it degraded."
