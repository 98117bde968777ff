"""Health in words: three witnesses side by side, the short form for a chat, and a series as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.analysis.app_functions import feature_flags
from analyzer.analysis.health import HealthReport
from analyzer.analysis.metrics import METRICS, Counts
from analyzer.analysis.policy import DEPLOYED, Policy, RuleResult
from analyzer.analysis.rounding import shown_rate
from analyzer.model import FilterName, Snapshot, Status
from analyzer.units import MAX_DURATION_MS, NOTHING, count, duration, instant, padded, truncated, visible

if TYPE_CHECKING:
    from analyzer.analysis.series import Series, Tick

BRIEF_LINES, BRIEF_COLUMNS = 12, 80
_LABEL, _COLUMN = 19, 15  # columns of a terminal
_COLOURS = {"healthy": "32", "OK": "32", "degraded": "31", "ALERT": "31", "unknown": "33"}
_ROWS: Sequence[tuple[str, str, str]] = (  # label, section of getSystemHealth ("alerts" for checkAlerts), field
    ("app's status", "health", "status"),
    ("messages", "messages", "total"),
    ("  complete", "messages", "completed"),
    ("  streaming", "messages", "streaming"),
    ("  failed", "messages", "failed"),
    ("  completion rate", "messages", "completionRate"),
    ("  error rate", "messages", "errorRate"),
    ("workflows", "workflows", "total"),
    ("  completed", "workflows", "completed"),
    ("  in progress", "workflows", "inProgress"),
    ("  failed", "workflows", "failed"),
    ("  completion rate", "workflows", "completionRate"),
    ("  error rate", "workflows", "errorRate"),
    ("alerts", "alerts", "status"),
    ("  stuck messages", "alerts", "stuckMessages"),
    ("  stuck workflows", "alerts", "stuckWorkflows"),
)
_METRIC_WORDS = {
    "workflow_error_rate": "workflow error rate",
    "message_error_rate": "message error rate",
    "workflow_completion_rate": "workflow completion rate",
    "message_completion_rate": "message completion rate",
    "stuck_workflows": "stuck workflows",
    "stuck_messages": "stuck messages",
    "response_p95_ms": "response time (p95)",
}


class _Witness(NamedTuple):
    """One column of the table."""

    name: str
    at_ms: int | None
    system_health: Mapping[str, Any] | None
    alerts: Mapping[str, Any] | None

    def value(self, section: str, field: str) -> str:
        """Return one answered field as safe text; an answer may hold anything."""
        part = self.alerts if section == "alerts" else (self.system_health or {}).get(section)
        value = part.get(field) if isinstance(part, Mapping) else None
        return NOTHING if value is None else truncated(visible(str(value)), _COLUMN - 1)

    def alert_texts(self) -> list[str]:
        """Return the alerts of both functions as safe text."""
        health = (self.system_health or {}).get("health")
        lists = [part.get("alerts") for part in (health, self.alerts) if isinstance(part, Mapping)]
        return [visible(str(text)) for texts in lists if isinstance(texts, list) for text in texts]


def text(report: HealthReport, *, colour: bool = False) -> str:
    """Return the whole report; text that is not ours is made safe to print.

    colour  whether to use the colours of a terminal
    """
    paint = _painter(colour)
    witnesses = _witnesses(report)
    lines = [*_head(report), "", _verdict(report, paint), ""]
    lines.append(_row("", [witness.name for witness in witnesses]))
    lines.append(_row("", [instant(w.at_ms)[11:] if w.at_ms is not None else NOTHING for w in witnesses]))
    if report.policy != DEPLOYED or report.unknown:
        verdicts = [NOTHING, report.raw_status.value, report.status.value]
        lines.append(_row(f"policy {truncated(visible(report.policy.name), _LABEL - 8)}", verdicts, paint))
    for label, section, field in _ROWS:
        lines.append(_row(label, [witness.value(section, field) for witness in witnesses], paint))
    notes = [*_alerts(witnesses), *_failing(report), *_excluded(report), *_flags(report), *_remarks(report)]
    return "\n".join([*lines, "", *notes]).rstrip()


def brief(report: HealthReport) -> str:
    """Return at most 12 lines of at most 80 columns, without colour, fit for a chat."""
    witnesses = _witnesses(report)
    lines = [*_head(report), _verdict(report, _painter(colour=False))]
    lines.append(_row("", [witness.name for witness in witnesses]))
    lines.append(_row("app's status", [w.value("health", "status") for w in witnesses]))
    for label, section in (("messages done", "messages"), ("workflows done", "workflows")):
        fractions = [f"{w.value(section, 'completed')} of {w.value(section, 'total')}" for w in witnesses]
        lines.append(_row(label, fractions))
    lines.append(
        _row(
            "stuck",
            [f"{w.value('alerts', 'stuckMessages')} + {w.value('alerts', 'stuckWorkflows')}" for w in witnesses],
        )
    )
    notes = [*_failing(report), *_excluded(report), *_remarks(report)]
    room = BRIEF_LINES - len(lines)
    if len(notes) > room:
        notes = [*notes[: room - 1], f"and {count(len(notes) - room + 1, 'more remark')}: analyzer health"]
    return "\n".join(truncated(line, BRIEF_COLUMNS) for line in (*lines, *notes))


def series_table(series: Series) -> str:
    """Return a series as a table, a line a tick; a rate without documents is a dash."""
    grid, snapshot = series.grid, series.snapshot
    lines = [
        f"filter {series.filter.value} · {_deployment(snapshot)} · every {duration(grid.step_ms)}",
        _second_line(series.policy, snapshot),
        "",
        _TICK_HEADER,
    ]
    return "\n".join([*lines, *(_tick(tick) for tick in series.ticks)])


# ---- parts -----------------------------------------------------------------------------------------------------


def _head(report: HealthReport) -> list[str]:
    snapshot = report.snapshot
    first = f"filter {report.filter.value} · {_deployment(snapshot)} · {instant(report.at_ms)}"
    return [first, _second_line(report.policy, snapshot)]


def _second_line(policy: Policy, snapshot: Snapshot) -> str:
    window, label = duration(policy.window_ms), truncated(visible(snapshot.label), 24)
    return f"policy {visible(policy.name)} over {window} · snapshot {snapshot.id} ({label})"


def _deployment(snapshot: Snapshot) -> str:
    return f"{truncated(visible(snapshot.deployment.name), 40)} ({snapshot.deployment.type.value})"


def _verdict(report: HealthReport, paint: Callable[[str], str]) -> str:
    status, raw = paint(report.status.value), paint(report.raw_status.value)
    if report.tolerated:
        return f"{raw} by test leftovers only, tolerated on {report.snapshot.deployment.type.value}"
    if report.filter is FilterName.NONE:
        return f"{raw}, nothing left out"
    if report.status is report.raw_status:
        return f"{status}, with and without tests"
    if report.status is Status.HEALTHY:
        return f"{status} without tests; {raw} with them: what tests left behind is the cause"
    if report.raw_status is Status.HEALTHY:
        return f"{status} without tests; {raw} with them: what tests left behind hides it"
    return f"{status} without tests; {raw} with them"


def _witnesses(report: HealthReport) -> list[_Witness]:
    reported = report.reported
    return [
        _Witness(
            "reported",
            reported.at_ms if reported else None,
            reported.system_health if reported else None,
            reported.alerts if reported else None,
        ),
        _Witness("raw", report.at_ms, report.raw.system_health, report.raw.alerts),
        _Witness("without tests", report.at_ms, report.without_tests.system_health, report.without_tests.alerts),
    ]


def _alerts(witnesses: Sequence[_Witness]) -> list[str]:
    """Return each alert once, with who raises it."""
    raised: dict[str, list[str]] = {}
    for witness in witnesses:
        for alert in witness.alert_texts():
            raised.setdefault(alert, []).append(witness.name)
    return [f"alert: {alert} ({', '.join(names)})" for alert, names in raised.items()]


def _failing(report: HealthReport) -> list[str]:
    """Return each failing rule with its numbers, and with whose they are."""
    failing: dict[str, list[str]] = {}
    for name, side in (("raw", report.raw), ("without tests", report.without_tests)):
        for rule in side.judgement.failing:
            failing.setdefault(_rule(rule), []).append(name)
    return [f"fails: {rule} ({', '.join(names)})" for rule, names in failing.items()]


def _rule(rule: RuleResult) -> str:
    of = f", n = {rule.n:,}" if rule.unit != "documents" else ""
    return (
        f"{_METRIC_WORDS[rule.id]} {_amount(rule.value, rule.unit)},"
        f" must be {rule.operator} {_amount(rule.limit, rule.unit)}{of}"
    )


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return NOTHING
    if unit == "ms":  # a broken document may claim any time
        return duration(round(value)) if 0 <= value <= MAX_DURATION_MS else f"{value:.4g} ms"
    return f"{value:.4g}"


def _excluded(report: HealthReport) -> list[str]:
    if report.filter is FilterName.NONE:
        return []
    parts = [f"{count(n)} {visible(table)}" for table, n in report.excluded.items()]
    return [f"left out: {', '.join(parts) or 'nothing'}"]


def _flags(report: HealthReport) -> list[str]:
    """Say which of the app's flags were on; of any other, its value."""
    values = {flag.name: flag.value for flag in report.snapshot.flags}
    if not values:
        return []
    is_on = {name: on for name, on in feature_flags(values).items() if name in values}
    groups = [
        ("on", [name for name, on in is_on.items() if on]),
        ("off", [name for name, on in is_on.items() if not on]),
        ("other", [f"{name}={value}" for name, value in values.items() if name not in is_on]),
    ]
    return [visible(f"flags {title}: {', '.join(names)}") for title, names in groups if names]


def _remarks(report: HealthReport) -> list[str]:
    unknown = [f"unknown {reason.what}: {reason.cause}; {reason.action}" for reason in report.unknown]
    return [visible(line) for line in (*unknown, *(f"note: {finding.text}" for finding in report.findings))]


def _row(label: str, cells: Sequence[str], paint: Callable[[str], str] | None = None) -> str:
    shown = []
    for cell in cells:
        filled = padded(cell, _COLUMN, right=True)
        shown.append(filled.replace(cell, paint(cell)) if paint and cell in _COLOURS else filled)
    return (padded(label, _LABEL) + "".join(shown)).rstrip()


def _painter(colour: bool) -> Callable[[str], str]:
    def paint(word: str) -> str:
        return f"\x1b[1;{_COLOURS[word]}m{word}\x1b[0m" if colour and word in _COLOURS else word

    return paint


# ---- series ----------------------------------------------------------------------------------------------------

_SIDE_HEADER = f"{'status':9}{'messages':>9}{'complete':>9}{'workflows':>10}{'errors':>7}"
_TICK_HEADER = "\n".join(
    (
        " " * 22 + "   ".join(f"─ {name} ".ljust(len(_SIDE_HEADER), "─") for name in ("raw", "without tests")),
        f"{'time':22}" + "   ".join((_SIDE_HEADER, _SIDE_HEADER)),
    )
)


def _tick(tick: Tick) -> str:
    sides = [f"{side.judgement.status.value:9}{_numbers(side.counts)}" for side in (tick.raw, tick.without_tests)]
    return f"{instant(tick.at_ms):22}" + "   ".join(sides)


def _numbers(counts: Counts) -> str:
    complete, errors = _rate(counts, "message_completion_rate"), _rate(counts, "workflow_error_rate")
    return f"{counts.message_total:>9,}{complete:>9}{counts.workflow_total:>10,}{errors:>7}"


def _rate(counts: Counts, metric: str) -> str:
    value = METRICS[metric].value(counts)
    return NOTHING if value is None or not METRICS[metric].n(counts) else str(shown_rate(value))
