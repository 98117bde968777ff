"""What a rollout log says against itself, before any data is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from analyzer.analysis.rollout_log.whole import Phase, RolloutLog
from analyzer.model import Finding

_UNFINISHED = frozenset(("failed", "pending", "in_progress"))


def log_findings(log: RolloutLog) -> tuple[Finding, ...]:
    """List contradictions and gaps of a log, in a fixed order; `details["line"]` says where each stands."""
    checks = (_phases, _states, _times, _flags, _metrics, _known_issues, _checkpoints, _smoke_tests, _rollback)
    return tuple(finding for check in checks for finding in check(log))


def _finding(name: str, text: str, line: int, **details: Any) -> Finding:
    return Finding(f"log-{name}", text, {"line": line, **details})


def _phases(log: RolloutLog) -> Iterator[Finding]:
    numbers = Counter(phase.number for phase in log.phases)
    for phase in log.phases:
        if numbers[phase.number] > 1:
            yield _finding("phase-twice", f"Phase {phase.number} stands in the log more than once.", phase.line)
    without_zero = len([number for number in numbers if number != "0"])
    if log.total_phases is not None and log.total_phases not in (without_zero, len(numbers)):
        text = f"The log announces {log.total_phases} phases and holds {without_zero}, the baseline not counted."
        yield _finding("phase-count", text, 1, announced=log.total_phases, found=without_zero)


def _states(log: RolloutLog) -> Iterator[Finding]:
    for section in log.sections:
        said = {task.status.state for task in section.tasks if task.status}
        if section.status and section.status.state != section.state:
            text = f"The heading of {_name(section)} says {section.state}, its Status line {section.status.state}."
            yield _finding("state", text, section.status.line)
        elif section.state == "completed" and said & _UNFINISHED:
            text = f"{_name(section)} is completed, yet a task of it is {min(said & _UNFINISHED)}."
            yield _finding("state", text, section.line)


def _times(log: RolloutLog) -> Iterator[Finding]:
    before = log.started
    for section in log.sections:
        parts = [section.at, *(task.at for task in section.tasks)]
        for at in sorted((at for at in parts if at), key=lambda at: at.line):
            if before and at.ms is not None and before.ms is not None and at.ms < before.ms:
                text = f"{_name(section)} has the time {at.text}, before {before.text} of line {before.line}."
                yield _finding("time-order", text, at.line)
            before = at if at.ms is not None else before


def _flags(log: RolloutLog) -> Iterator[Finding]:
    """Compare the final flag state with what the phases did."""
    final = log.final_flags
    expected: dict[str, tuple[bool, Phase]] = {}
    for phase in log.phases:
        expected |= {flag: (False, phase) for flag in phase.flags if phase.state in ("skipped", "pending")}
        expected |= {flip.flag: (flip.value == "true", phase) for flip in phase.flips}
    for flag, (on, phase) in expected.items():
        found = final.flags.get(flag, on) if final else on
        if final and bool(found) != on:
            text = (
                f"{flag} should be {_on(on)} after {_name(phase)} ({phase.state}), the final state says {_on(not on)}."
            )
            yield _finding("final-flags", text, final.line, flag=flag)


def _metrics(log: RolloutLog) -> Iterator[Finding]:
    base, final = log.baseline_metrics, log.final_metrics
    if base and final and base is not final:
        missing = [row.name for row in base.rows if final.row(row.id) is None]
        if missing:
            text = f"The final table does not show what the baseline shows: {', '.join(missing)}."
            yield _finding("final-metrics", text, final.line, missing=missing)
    tables = [table for section in log.sections for table in section.all_metric_tables]
    rates = [row for table in tables for row in table.rows if row.unit == "share"]
    if rates and all(row.n is None for row in rates):
        text = "The log gives rates without counts, so nothing can be judged from it alone."
        yield _finding("no-counts", text, rates[0].line)


def _known_issues(log: RolloutLog) -> Iterator[Finding]:
    health = log.final_metrics.row("health_status") if log.final_metrics else None
    for issue in log.known_issues:
        said = f"{issue.title} {issue.cause} {issue.impact} {issue.text}".lower()
        if health and health.text.lower() == "healthy" and "degraded" in said:
            text = (
                f"Known issue “{issue.title}” says degraded, the final table (line {health.line}) says {health.text}."
            )
            yield _finding("known-issue", text, issue.line)


def _checkpoints(log: RolloutLog) -> Iterator[Finding]:
    for table in log.checkpoint_tables:
        labels = [row.label for row in table.rows if row.is_open]
        if labels:
            yield _finding(
                "open-checkpoints",
                f"Nobody filled in {', '.join(labels)} of line {table.line}.",
                table.line,
                labels=labels,
            )


def _smoke_tests(log: RolloutLog) -> Iterator[Finding]:
    for test in log.smoke_tests:
        if test.task_id is None:
            yield _finding("smoke-test", f"Smoke test “{test.title}” names no task id to look it up by.", test.line)
        elif test.status is None or test.status.state != "completed":
            said = test.status.state if test.status else "nothing"
            yield _finding("smoke-test", f"Smoke test “{test.title}” says {said}, not success.", test.line)


def _rollback(log: RolloutLog) -> Iterator[Finding]:
    undone = {command.flag for command in log.rollback}
    for phase in log.phases:
        own = {command.flag for command in phase.rollback}
        flags = sorted({flip.flag for flip in phase.flips} - undone - own)
        if flags:
            text = f"No command in the log takes back {', '.join(flags)} of {_name(phase)}."
            yield _finding("no-rollback", text, phase.line, flags=flags)


def _name(section: Phase) -> str:
    return f"Phase {section.number}" if section.kind == "phase" else f"“{section.title}”"


def _on(on: bool) -> str:
    return "on" if on else "off"
