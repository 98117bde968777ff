"""Health before and after a rollout as sections of its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from analyzer.analysis.explain import Explanation
from analyzer.analysis.verdict import RolloutReport
from analyzer.report.page import Block, Points, Section, Table, Words
from analyzer.units import NOTHING, count, instant, percent


def _reported(e: Explanation) -> str:
    said = e.report.reported
    health: Any = None if said is None or said.system_health is None else said.system_health.get("health")
    return str(health.get("status", NOTHING)) if isinstance(health, dict) else NOTHING


def _of(side: Any, part: str, whole: str) -> str:
    k, n = getattr(side.counts, part), getattr(side.counts, whole)
    return f"{percent(k / n)} ({count(k)} of {count(n)})" if n else "no documents"


_ROWS: tuple[tuple[str, Callable[[Explanation], str]], ...] = (
    ("snapshot", lambda e: f"{e.snapshot.id} ({e.snapshot.label})"),
    ("clock", lambda e: instant(e.at_ms)),
    ("reported", _reported),
    ("raw: every document", lambda e: e.raw_status.value),
    ("without tests", lambda e: e.status.value),
    ("messages complete, raw", lambda e: _of(e.report.raw, "message_completed", "message_total")),
    ("messages complete, without tests", lambda e: _of(e.report.without_tests, "message_completed", "message_total")),
    ("workflows failed, raw", lambda e: _of(e.report.raw, "workflow_failed", "workflow_total")),
    ("workflows failed, without tests", lambda e: _of(e.report.without_tests, "workflow_failed", "workflow_total")),
    ("stuck messages, raw", lambda e: count(e.report.raw.counts.stuck_messages)),
    ("stuck workflows, raw", lambda e: count(e.report.raw.counts.stuck_workflows)),
)


def health_sections(report: RolloutReport) -> Iterator[Section]:
    """Yield health when the change was made and at the end of the look, and why it is what it is."""
    yield Section("health", "Health before and after", tuple(_table(report.explain_before, report.explain)), 3)
    yield Section("explain", "Why health is what it is", tuple(_why(report.explain)), 4)


def _table(before: Explanation | None, after: Explanation | None) -> Iterator[Block]:
    if before is None and after is None:
        return
    rows = [(name, _cell(before, read), _cell(after, read)) for name, read in _ROWS]
    yield Table("Health by the policy in force", ("", "when the change was made", "at the end"), tuple(rows))


def _cell(explanation: Explanation | None, read: Callable[[Explanation], str]) -> str:
    return NOTHING if explanation is None else read(explanation)


def _why(e: Explanation | None) -> Iterator[Block]:
    if e is None:
        return
    yield Words(e.summary)
    times = []
    if e.since_ms is not None:
        times.append(f"Since {instant(e.since_ms // 1000 * 1000)}.")
    if e.clears_at_ms is not None:
        times.append(f"Clears {instant(-(-e.clears_at_ms // 1000) * 1000)} if nothing new comes.")
    if times:
        yield Words(" ".join(times))
    causes = [(cause.cause, count(cause.count), cause.action) for cause in e.diagnosis]
    if causes:
        yield Table("Causes", ("cause", "documents", "action"), tuple(causes), numbers=(1,))
    filters = [(s.filter, s.status.value, count(s.excluded)) for s in e.sensitivity]
    if filters:
        yield Table("Health with other filters", ("filter", "status", "left out"), tuple(filters), numbers=(2,))
    notes = [finding.text for finding in e.findings]
    notes += [f"{unknown.what}: {unknown.cause}; {unknown.action}" for unknown in e.unknown]
    notes += [f"Way out: {way}" for way in e.resolutions]
    if notes:
        yield Points(tuple(notes))
