"""The health of functions as text, JSON and rows."""

from __future__ import annotations

from typing import Any

from analyzer.analysis.function_health import Change, FunctionHealth, FunctionReport, Sign
from analyzer.report.snapshots_text import columns
from analyzer.units import NOTHING, age, count, duration, instant, percent, truncated, visible

ROWS = 25  # shown as text
NAME_COLUMNS = 44
HEADER = ("function", "calls", "errors", "p50", "p95", "cache hits", "minutes", "")
CSV = ("component", "function", "known_minutes", "minutes", "calls", "errors", "error_rate", "source", "retries",
       "latency_p50_ms", "latency_p95_ms", "latency_source", "cache_hit_share", "settling_hit_share",
       "dip_after_variable_change", "signs")  # fmt: skip
_SIGNS: dict[Sign, str] = {
    "errors-high": "errors above 5%",
    "errors-rose": "errors rose",
    "cache-fell": "cache hits fell",
}


def text(report: FunctionReport) -> str:
    """Return the report: what was seen, one line a function, what was done, what is lost."""
    deployment = report.snapshot.deployment
    seen = (
        f"metrics of {report.metric_minutes} of {count(report.minutes, 'minute')}, log of {percent(report.log_share)}"
    )
    times = f"{instant(report.from_ms)} to {instant(report.until_ms)}"
    lines = [
        f"functions of {visible(deployment.name)} ({deployment.type.value}), {times}",
        f"seen: {seen}; what was not seen is unknown",
        f"scheduled jobs ran late by {_ms(report.lag_p50_ms)} (median), {_ms(report.lag_max_ms)} at most"
        if report.lag_minutes
        else "how late scheduled jobs ran is unknown",
        "",
    ]
    if report.functions:
        shown = report.functions[:ROWS]
        lines.append(columns([HEADER, *(_row(report, function) for function in shown)], right=(1, 2, 3, 4, 5, 6)))
        if len(report.functions) > ROWS:
            lines.append(f"and {len(report.functions) - ROWS} more: --format csv")
    else:
        lines.append("no function was seen in this window")
    lines += ["", *map(_done, report.changes)] if report.changes else []
    lines += [
        f"gap: {gap.stream} from {instant(gap.from_ms)} to {instant(gap.until_ms)}: {visible(gap.reason)}"
        for gap in report.gaps
    ]
    return "\n".join(lines)


def _row(report: FunctionReport, function: FunctionHealth) -> tuple[str, ...]:
    return (
        truncated(visible(_name(function)), NAME_COLUMNS),
        NOTHING if function.calls is None else count(function.calls),
        percent(function.error_rate),
        _ms(function.latency_p50_ms),
        _ms(function.latency_p95_ms),
        percent(function.cache_hit_share),
        f"{function.known_minutes}/{report.minutes}",
        "; ".join(_words(report, function)),
    )


def _words(report: FunctionReport, function: FunctionHealth) -> list[str]:
    words = [_SIGNS[sign] for sign in function.signs]
    if function.retries:
        words.append(f"{count(function.retries, 'conflict')} retried, no failure")
    if function.has_dip:
        names = sorted({visible(c.subject) for c in report.changes if c.is_variable and c.subject})
        what = names[0] if len(names) == 1 else count(len(names), "variable") if names else "a variable"
        words.append(
            f"{percent(function.settling_hit_share)} cache hits within {duration(report.settle_ms)} of setting {what}:"
            " caches were emptied, no regression"
        )
    return words


def _done(change: Change) -> str:
    subject = f" {visible(change.subject)}" if change.subject else ""
    return f"{instant(change.at_ms)}  {visible(change.action).replace('_', ' ')}{subject}"


def _name(function: FunctionHealth) -> str:
    return f"{function.component}/{function.function}" if function.component else function.function


def _ms(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.0f}ms" if value < 1000 else f"{value / 1000:.1f}s" if value < 60_000 else age(value)


def row(report: FunctionReport, function: FunctionHealth) -> dict[str, Any]:
    """Return the figures of one function, keys as in CSV; None is unknown."""
    values = (
        function.component,
        function.function,
        function.known_minutes,
        report.minutes,
        function.calls,
        function.errors,
        function.error_rate,
        function.source,
        function.retries,
        function.latency_p50_ms,
        function.latency_p95_ms,
        function.latency_source,
        function.cache_hit_share,
        function.settling_hit_share,
        function.has_dip,
        list(function.signs),
    )
    return dict(zip(CSV, values, strict=True))


def as_json(report: FunctionReport) -> dict[str, Any]:
    """Return the report for machines: rates as 0..1, null for unknown."""
    return {
        "schema": "functions/1",
        "deployment": report.snapshot.deployment.name,
        "type": report.snapshot.deployment.type.value,
        "from": instant(report.from_ms),
        "until": instant(report.until_ms),
        "coverage": {
            "minutes": report.minutes,
            "metric_minutes": report.metric_minutes,
            "log_share": report.log_share,
        },
        "scheduler": {
            "known_minutes": report.lag_minutes,
            "lag_p50_ms": report.lag_p50_ms,
            "lag_max_ms": report.lag_max_ms,
        },
        "functions": [row(report, function) for function in report.functions],
        "events": [{"at": instant(c.at_ms), "action": c.action, "subject": c.subject} for c in report.changes],
        "gaps": [
            {"stream": g.stream, "from": instant(g.from_ms), "until": instant(g.until_ms), "reason": g.reason}
            for g in report.gaps
        ],
    }
