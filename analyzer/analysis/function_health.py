"""How each function of the app did: failures, latency, cache and scheduler, from what was collected.

What was not seen is unknown: it is never counted as nothing. Two things look like harm and are none: an attempt that
lost a conflict and runs again, and the empty caches right after an environment variable changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from analyzer.errors import NoData
from analyzer.model import Snapshot
from analyzer.stats import newcombe_interval
from analyzer.store import Frame

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
ERROR_LIMIT = 0.05  # the alert limit of the rollout policy
FELL_BY = 0.10  # of the cache-hit rate, before it counts
DIPPED_BY = 0.05
VARIABLE_ACTIONS = ("_environment_variable", "variable_changed")

STREAMS = ("calls", "events", "metrics")  # what functions are judged from

Source = Literal["log", "metrics"]
Sign = Literal["errors-high", "errors-rose", "cache-fell"]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """A time that was seen, or is lost."""

    stream: str  # "metrics", "calls", "events"
    from_ms: float
    until_ms: float
    is_gap: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """Something done to the deployment."""

    at_ms: float
    action: str
    subject: str  # name of a variable, else ""

    @property
    def is_variable(self) -> bool:
        """Whether it emptied every cache."""
        return self.action.endswith(VARIABLE_ACTIONS)


@dataclass(frozen=True, slots=True)
class FunctionHealth:
    """One function in the window. None is unknown."""

    component: str
    function: str
    known_minutes: int  # minutes with a measurement
    calls: int | None
    errors: int | None
    source: Source | None  # of calls and errors; the log knows which attempts run again, metrics do not
    retries: int | None  # attempts that lost a conflict; None where the log does not say
    latency_p50_ms: float | None  # calls from the cache left out
    latency_p95_ms: float | None
    latency_source: Source | None  # metrics: the median of the minutes' percentiles
    cache_hits: int | None  # of minutes in which the caches were settled
    cache_misses: int | None
    settling_hits: int | None  # of minutes right after a variable changed
    settling_misses: int | None
    signs: tuple[Sign, ...] = ()

    @property
    def error_rate(self) -> float | None:
        """Share of calls that failed, 0..1; None without calls."""
        return None if self.errors is None else _share(self.errors, self.calls)

    @property
    def cache_hit_share(self) -> float | None:
        """Share of lookups answered from settled caches, 0..1; None without lookups."""
        return _hit_share(self.cache_hits, self.cache_misses)

    @property
    def settling_hit_share(self) -> float | None:
        """The same right after a variable changed."""
        return _hit_share(self.settling_hits, self.settling_misses)

    @property
    def has_dip(self) -> bool:
        """Whether the cache dipped after a variable changed, as it must: no regression."""
        settled, settling = self.cache_hit_share, self.settling_hit_share
        return settled is not None and settling is not None and settled - settling > DIPPED_BY


@dataclass(frozen=True, slots=True)
class FunctionReport:
    """All functions that were seen in a window."""

    snapshot: Snapshot
    from_ms: int
    until_ms: int
    metric_minutes: int  # of the window, seen and not lost
    log_share: float  # of the window, 0..1
    functions: tuple[FunctionHealth, ...]  # most calls first
    lag_minutes: int
    lag_p50_ms: float | None  # how late scheduled jobs ran
    lag_max_ms: float | None
    changes: tuple[Change, ...]  # from one settling time before the window on
    gaps: tuple[Span, ...]  # that touch the window
    settle_ms: int

    @property
    def minutes(self) -> int:
        """Length of the window."""
        return (self.until_ms - self.from_ms) // MINUTE_MS

    @property
    def has_hole(self) -> bool:
        """Whether calls of the window are lost for good, in the metrics and in the log: no harm seen is none known."""
        return self.log_share < 1 and any(gap.stream == "metrics" for gap in self.gaps)

    @property
    def has_signs(self) -> bool:
        """Whether any function shows harm."""
        return any(function.signs for function in self.functions)


def function_health(
    frame: Frame, *, window_ms: int = HOUR_MS, until_ms: int | None = None, settle_ms: int = 10 * MINUTE_MS
) -> FunctionReport:
    """Judge every function in a window, against the window of the same length before it.

    window_ms  whole minutes, at least one; a part is cut off
    until_ms   end of the window; None: the newest minute that was seen
    settle_ms  how long caches fill after a variable changed
    raises     NoData when neither metrics nor calls were ever collected
    """
    spans = [Span(*row) for row in frame.rows("functions/spans")]
    ends = [span.until_ms for stream in ("metrics", "calls") for span in spans if _is_seen(span, stream)]
    if not ends:
        raise NoData(
            f"neither metrics nor calls of {frame.snapshot.deployment.name} were collected",
            hint="collect a live deployment with a key that has ViewMetrics and ViewLogs; `analyzer doctor` tells",
        )
    metric_ends = [span.until_ms for span in spans if _is_seen(span, "metrics")]
    newest_ms = max(metric_ends or ends) if until_ms is None else until_ms
    end_ms = int(newest_ms) // MINUTE_MS * MINUTE_MS
    start_ms = end_ms - max(window_ms // MINUTE_MS, 1) * MINUTE_MS
    length_ms = end_ms - start_ms
    now = _counted(frame, spans, (start_ms, end_ms), settle_ms)
    before = _counted(frame, spans, (start_ms - length_ms, start_ms), settle_ms)
    ((lag_minutes, lag_p50_ms, lag_max_ms),) = frame.rows("functions/scheduler", from_ms=start_ms, until_ms=end_ms)
    events = frame.rows("functions/events", from_ms=start_ms - settle_ms, until_ms=end_ms)
    judged = [_judged(function, before.get(key)) for key, function in now.items()]
    return FunctionReport(
        snapshot=frame.snapshot,
        from_ms=start_ms,
        until_ms=end_ms,
        metric_minutes=round(seen_ms(spans, "metrics", start_ms, end_ms)) // MINUTE_MS,
        log_share=seen_ms(spans, "calls", start_ms, end_ms) / length_ms,
        functions=tuple(sorted(judged, key=lambda f: (-(f.calls or 0), f.component, f.function))),
        lag_minutes=lag_minutes,
        lag_p50_ms=lag_p50_ms,
        lag_max_ms=lag_max_ms,
        changes=tuple(Change(at_ms, action, subject) for at_ms, action, subject, _ in events),
        gaps=tuple(span for span in spans if _is_lost_in(span, start_ms, end_ms)),
        settle_ms=settle_ms,
    )


def _counted(frame: Frame, spans: Sequence[Span], window: tuple[int, int], settle_ms: int) -> dict[Key, FunctionHealth]:
    start_ms, end_ms = window
    place = {"from_ms": start_ms, "until_ms": end_ms}
    measured = _by_function(frame.records("functions/minutes", **place, settle_ms=settle_ms))
    logged = _by_function(frame.records("functions/calls", **place))
    log_is_whole = seen_ms(spans, "calls", start_ms, end_ms) >= end_ms - start_ms
    return {
        key: _function(key, measured.get(key, {}), logged.get(key, {}), log_is_whole=log_is_whole)
        for key in sorted(measured.keys() | logged.keys())
    }


def _function(key: Key, minutes: dict[str, Any], calls: dict[str, Any], *, log_is_whole: bool) -> FunctionHealth:
    """Take the log where it misses nothing, else the metrics; part of a log only where there is nothing else."""
    known = minutes.get("known_minutes", 0)
    source: Source | None = "log" if log_is_whole or (calls and not known) else "metrics" if known else None
    told = {"log": calls, "metrics": minutes}.get(source or "", {})
    empty = 0 if source == "log" else None  # a log that misses nothing and does not name it: it was not called
    timing: Source | None = (
        "log" if calls.get("timed_count") else "metrics" if minutes.get("latency_p95_ms") is not None else None
    )
    timed = calls if timing == "log" else minutes
    return FunctionHealth(
        component=key[0],
        function=key[1],
        known_minutes=known,
        calls=told.get("call_count", empty),
        errors=told.get("error_count", empty),
        source=source,
        retries=calls.get("retry_count", empty) if source == "log" else None,
        latency_p50_ms=timed.get("latency_p50_ms") if timing else None,
        latency_p95_ms=timed.get("latency_p95_ms") if timing else None,
        latency_source=timing,
        cache_hits=minutes.get("hit_count"),
        cache_misses=minutes.get("miss_count"),
        settling_hits=minutes.get("settling_hit_count"),
        settling_misses=minutes.get("settling_miss_count"),
    )


def _judged(now: FunctionHealth, before: FunctionHealth | None) -> FunctionHealth:
    signs: list[Sign] = []
    if (now.error_rate or 0.0) > ERROR_LIMIT:
        signs.append("errors-high")
    if before is not None and _rose(_parts(now.errors, now.calls), _parts(before.errors, before.calls)):
        signs.append("errors-rose")
    misses = _cache_misses(now)
    if before is not None and _rose(misses, _cache_misses(before), by=FELL_BY):
        signs.append("cache-fell")
    fields = {name: getattr(now, name) for name in FunctionHealth.__slots__}
    return FunctionHealth(**fields | {"signs": tuple(signs)})


def _cache_misses(function: FunctionHealth) -> tuple[int, int] | None:
    hits, misses = function.cache_hits, function.cache_misses
    return None if hits is None or misses is None else _parts(misses, hits + misses)


def _parts(part: int | None, whole: int | None) -> tuple[int, int] | None:
    return (part, whole) if part is not None and whole else None


def _rose(now: tuple[int, int] | None, before: tuple[int, int] | None, by: float = 0.0) -> bool:
    """Tell whether a rate rose by more than chance and by more than `by`; unknown is no rise."""
    if now is None or before is None or min(now[0], before[0]) < 0 or now[0] > now[1] or before[0] > before[1]:
        return False
    difference = now[0] / now[1] - before[0] / before[1]
    return difference > by and newcombe_interval(*now, *before).low > 0


def _is_lost_in(span: Span, start_ms: int, end_ms: int) -> bool:
    return span.is_gap and span.stream in STREAMS and span.from_ms < end_ms and span.until_ms > start_ms


def _is_seen(span: Span, stream: str) -> bool:
    return span.stream == stream and not span.is_gap


def seen_ms(spans: Iterable[Span], stream: str, start_ms: int, end_ms: int) -> float:
    """Return how much of a window was seen and is not lost."""
    of_stream = [span for span in spans if span.stream == stream]
    edges = {float(start_ms), float(end_ms)}
    edges |= {edge for span in of_stream for edge in (span.from_ms, span.until_ms) if start_ms < edge < end_ms}
    ordered = sorted(edges)
    total = 0.0
    for begin, end in pairwise(ordered):
        over = [span for span in of_stream if span.from_ms <= begin and span.until_ms >= end]
        if over and not any(span.is_gap for span in over):
            total += end - begin
    return total


def _by_function(rows: Iterable[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {(row["component"], row["function_path"]): row for row in rows}


def _share(part: int, whole: int | None) -> float | None:
    return part / whole if whole else None


def _hit_share(hits: int | None, misses: int | None) -> float | None:
    return None if hits is None or misses is None else _share(hits, hits + misses)
