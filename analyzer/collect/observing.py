"""What a deployment forgets, read at each live collect: events, metrics of the last hour, and calls from the log.

None of it is needed for a snapshot: what the key may not read, or the server does not give, is a warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from analyzer.convex import functions
from analyzer.errors import FunctionFailed, ServerRefused, SourceInvalid, SourceUnreachable
from analyzer.sources.live import LiveSource
from analyzer.sources.live_events import DeploymentEvent, read_events
from analyzer.sources.live_flags import Flags
from analyzer.sources.live_logs import Call, read_logs
from analyzer.sources.live_metrics import Metrics, read_metrics
from analyzer.store.looks import CallRow, CallsSeen, EventRow, EventsSeen, MetricsSeen, MinuteRow, Observed, Position

PATIENCE_S = 2.0  # for the log, which holds its answer back until something happens
FIRST_LOOK_MS = 7 * 86_400_000  # events before the first collect
OVERLAP_MS = 60_000  # events that are asked for once more
LOG_OVERLAP_MS = 1.0  # so that the call that was read last comes again, as long as it is remembered
SAME_MS = 0.01  # times of the log are floats
VARIABLE_CHANGED = "variable_changed"  # our own: what a variable's row says where the audit log may not be read
_UNAVAILABLE = (ServerRefused, FunctionFailed, SourceInvalid, SourceUnreachable)
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, and what was not."""

    observed: Observed
    warnings: tuple[str, ...]
    since_ms: int = 0  # from when on changes of variables are asked for


def with_variables(seen: Look, variables: Flags | None) -> Look:
    """Add when variables were last set, as their own rows tell, where the events do not say it already."""
    events = seen.observed.events
    if events is None or variables is None:
        return seen
    known = [(row.subject, row.at_ms) for row in events.rows]
    own = [
        row
        for row in _changes(variables, seen.since_ms)
        if not any(subject == row.subject and abs(at_ms - row.at_ms) < 1000 for subject, at_ms in known)
    ]
    return replace(seen, observed=replace(seen.observed, events=replace(events, rows=[*events.rows, *own])))


def look(source: LiveSource, position: Position) -> Look:
    """Read what came since the last look.

    position  where that one ended
    """
    warnings: list[str] = []

    def attempt(what: str, read: Callable[[], Seen]) -> Seen | None:
        try:
            return read()
        except _UNAVAILABLE as error:
            warnings.append(f"{what} were not collected: {error}")
            return None

    now_ns = attempt("events, metrics and calls", lambda: functions.now_ns(source.connection.client))
    if now_ns is None:
        return Look(Observed(), tuple(warnings))
    until_ms = position.events_until_ms
    since_ms = now_ns // 10**6 - FIRST_LOOK_MS if until_ms is None else int(until_ms) - OVERLAP_MS
    events = attempt("events", lambda: _events(source, since_ms, now_ns // 10**6, warnings))
    metrics = attempt("function metrics", lambda: _metrics(source, now_ns))
    if metrics is not None and not metrics.is_complete:
        warnings.append("function metrics are of the functions called most: more ran than the platform names")
    calls = attempt("function calls", lambda: _calls(source, position, now_ns / 10**6))
    return Look(Observed(events, metrics, calls), tuple(warnings), since_ms)


def _events(source: LiveSource, since_ms: int, now_ms: int, warnings: list[str]) -> EventsSeen:
    found = read_events(source.connection.client, since_ms, now_ms)
    warnings += found.warnings
    return EventsSeen([_event(event) for event in found.events], found.complete_since_ms, float(now_ms))


def _event(event: DeploymentEvent) -> EventRow:
    subject = event.details.get("variable_name")
    return EventRow(
        event.at_ms, event.action, event.actor, subject if isinstance(subject, str) else "", dict(event.details)
    )


def _changes(variables: Flags, since_ms: int) -> list[EventRow]:
    """Return when variables were last set, as their rows tell without the audit log."""
    named = [(flag.name, flag.changed_at_ms) for flag in variables.flags]
    named += [(other.name, other.changed_at_ms) for other in variables.others]
    return [
        EventRow(at_ms, VARIABLE_CHANGED, "unknown", name, {})
        for name, at_ms in named
        if at_ms is not None and at_ms >= since_ms
    ]


def _metrics(source: LiveSource, now_ns: int) -> MetricsSeen:
    return _by_minute(read_metrics(source.connection.client, now_ns, source.components()))


def _by_minute(metrics: Metrics) -> MetricsSeen:
    values: dict[tuple[str, str], dict[str, dict[int, float | None]]] = defaultdict(dict)
    for series in metrics.series:
        values[series.component, canonical(series.function)][series.metric] = dict(series.points)
    lags = values.pop(("", ""), {}).get("scheduler_lag_s", {})
    rows = []
    for (component, function), by_metric in sorted(values.items()):
        for minute_ms in sorted({at for points in by_metric.values() for at in points}):
            at = {metric: points.get(minute_ms) for metric, points in by_metric.items()}
            counts = [_whole(at.get(name)) for name in ("calls", "errors", "cache_hits", "cache_misses")]
            latencies = [_ms(at.get(f"latency_p{p}_s")) for p in (50, 95, 99)]
            rows.append(MinuteRow(component, function, minute_ms, *counts, *latencies))
    in_order = [(at, _ms(lag)) for at, lag in sorted(lags.items())]
    return MetricsSeen(metrics.start_ms, metrics.end_ms, rows, in_order, metrics.is_complete)


def canonical(name: str) -> str:
    """Return a function's name as logs write it: `messages:list` for `messages.js:list` of the metrics."""
    module, colon, function = name.partition(":")
    return f"{module.removesuffix('.js')}{colon}{function}"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1000


def _calls(source: LiveSource, position: Position, now_ms: float) -> CallsSeen:
    """Read the log from just before the last entry that was read: where that is gone, more may be gone."""
    last_ms = position.log_cursor_ms
    page = read_logs(source.connection.client, max(last_ms - LOG_OVERLAP_MS, 0.0), patience_s=PATIENCE_S)
    has_lost = last_ms > 0 and (page.oldest_ms is None or page.oldest_ms > last_ms + SAME_MS)
    cursor_ms = max(page.next_cursor, last_ms)
    return CallsSeen(
        rows=[_call(call) for call in page.calls],
        cursor_ms=cursor_ms,
        from_ms=now_ms if page.oldest_ms is None else page.oldest_ms,
        until_ms=max(cursor_ms, now_ms),
        has_lost=has_lost,
    )


def _call(call: Call) -> CallRow:
    return CallRow(
        component=call.component,
        function=canonical(call.function),
        kind=call.kind,
        execution_id=call.execution_id,
        started_ms=call.started_ms,
        took_ms=call.took_s * 1000,
        is_cached=call.is_cached,
        error_class=call.error,
        will_retry=call.will_retry,
        caller=call.caller,
        read_documents=call.read_documents,
        read_bytes=call.read_bytes,
        written_bytes=call.written_bytes,
        conflict_table=call.conflict_table,
    )
