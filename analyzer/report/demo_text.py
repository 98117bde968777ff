"""The demo in words: a rollout as a table, its degraded check explained, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from analyzer.analysis.explain import Explanation
from analyzer.analysis.health import HealthReport
from analyzer.model import Status
from analyzer.report import explain_text
from analyzer.report.snapshots_text import columns
from analyzer.units import count, instant, percent, visible

_HEADER = ("recording", "UTC", "reported", "raw", "without tests", "messages", "complete", "")


def demo(reports: Sequence[HealthReport], explained: Explanation, *, now_ms: int, store: Path, chart: Path) -> str:
    """Return the whole output.

    reports    one a recording, oldest first
    explained  of one of them
    now_ms     the local clock, to tell how old the data is
    """
    label = visible(explained.snapshot.label)
    sections = [
        f"A rollout of {visible(explained.deployment.name)}, replayed from recordings",
        table(reports),
        f"Why does {label} say degraded?",
        _indented(explain_text.brief(explained, now_ms)),
        f"chart  {visible(str(chart))}",
        "Next",
        _indented("\n".join(_next(reports, store))),
    ]
    return "\n\n".join(sections)


def table(reports: Sequence[HealthReport]) -> str:
    """Return one line a report: what the deployment said, every document, and without what tests left."""
    return columns([_HEADER, *map(_row, reports)], right=(5, 6))


def _row(report: HealthReport) -> tuple[str, ...]:
    said = report.reported.system_health if report.reported else None
    counts = report.raw.counts
    complete = counts.message_completed / counts.message_total if counts.message_total else None
    return (
        visible(report.snapshot.label),
        instant(report.at_ms)[11:16],
        "–" if said is None else visible(str((said.get("health") or {}).get("status", "–"))),
        report.raw_status.value,
        report.status.value,
        count(counts.message_total),
        percent(complete),
        _blame(report),
    )


def _blame(report: HealthReport) -> str:
    if report.raw_status is not Status.DEGRADED:
        return ""
    return "<- our tests" if report.status is Status.HEALTHY else "<- the product"


def _next(reports: Sequence[HealthReport], store: Path) -> list[str]:
    db = f"--db {shlex.quote(str(store))}"
    commands = [f"analyzer artifacts list {db}", f"analyzer health {db} --every 1h"]
    real = next((report for report in reports if report.status is Status.DEGRADED), None)
    if real is not None:
        commands.insert(0, f"analyzer explain {db} --snapshot {shlex.quote(real.snapshot.label)}")
    return [visible(command) for command in commands]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
