"""Counts what was seen of the app's functions in two windows. What was not seen is unknown, and counts nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer.analysis.function_health import MINUTE_MS, Source, Span, seen_ms
from analyzer.analysis.windows import SIDES, Side, Value, Windows, quantile_value
from analyzer.store import Frame

SETTLE_MS = 10 * MINUTE_MS  # caches fill again after a variable changed: that is no latency of the change
ENOUGH_SEEN = 0.95  # share of a look that must have been seen before it can be called harmless
NOT_SEEN = "neither metrics nor calls of the time after the change were collected"
_STREAMS: Mapping[Source, str] = {"log": "calls", "metrics": "metrics"}


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one window, by function: failed, and all."""

    by_function: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Calls that failed."""
        return sum(errors for errors, _ in self.by_function.values())

    @property
    def calls(self) -> int:
        """Calls that ended."""
        return sum(calls for _, calls in self.by_function.values())


@dataclass(frozen=True, slots=True)
class FunctionCounts:
    """What was seen of functions in two windows, both from the same source."""

    source: Source | None = None  # None: nothing of the look was seen
    calls: Mapping[Side, Calls] = field(default_factory=dict)
    latency: Mapping[Side, Value] = field(default_factory=dict)
    seen_share: float = 0.0  # of the look, 0..1


def count_functions(frame: Frame, windows: Windows) -> FunctionCounts:
    """Count calls and failures of both windows, and bound their latency.

    From the log a call is a call, and latency is the 95th percentile of all that no cache answered. From metrics it is
    the median of what the minutes of all functions have as theirs: their 95th percentiles cannot be put together.
    """
    spans = [Span(*row) for row in frame.rows("functions/spans")]
    bounds = _whole_minutes(windows)
    seen = {
        (source, side): seen_ms(spans, stream, *bounds[side]) for source, stream in _STREAMS.items() for side in SIDES
    }
    told: list[Source] = [source for source in _STREAMS if seen[source, "after"] > 0]
    if not told:
        return FunctionCounts()
    source = max(told, key=lambda s: (seen[s, "baseline"] > 0, seen[s, "after"], s == "log"))
    start_ms, end_ms = bounds["after"]
    return FunctionCounts(
        source,
        {side: _calls(frame, source, *bounds[side]) for side in SIDES},
        _latency(frame, source, bounds),
        seen[source, "after"] / (end_ms - start_ms),
    )


def _whole_minutes(windows: Windows) -> dict[Side, tuple[int, int]]:
    """Cut both windows to the whole minutes inside them; the end is not included."""

    def inside(from_ms: int, to_ms: int) -> tuple[int, int]:
        first_ms = -(-from_ms // MINUTE_MS) * MINUTE_MS
        return first_ms, max(first_ms, to_ms // MINUTE_MS * MINUTE_MS)

    return {
        "baseline": inside(windows.base_from_ms, windows.base_to_ms),
        "after": inside(windows.after_from_ms, windows.after_to_ms + 1),
    }


def _calls(frame: Frame, source: Source, from_ms: int, until_ms: int) -> Calls:
    place: dict[str, Any] = {"from_ms": from_ms, "until_ms": until_ms}
    if source == "log":
        rows = frame.records("functions/calls", **place)
    else:
        rows = frame.records("functions/minutes", **place, settle_ms=0)
    return Calls(
        {
            ":".join(part for part in (row["component"], row["function_path"]) if part): (
                min(row["error_count"] or 0, row["call_count"]),  # each is measured by itself, the second later
                row["call_count"],
            )
            for row in rows
            if row["call_count"]
        }
    )


def _latency(frame: Frame, source: Source, bounds: Mapping[Side, tuple[int, int]]) -> dict[Side, Value]:
    frame.materialise(
        "function_latency",
        "compare/function_latency",
        base_from_ms=bounds["baseline"][0],
        base_to_ms=bounds["baseline"][1],
        after_from_ms=bounds["after"][0],
        after_to_ms=bounds["after"][1],
        settle_ms=SETTLE_MS,
        from_log=source == "log",
    )
    quantile = 0.95 if source == "log" else 0.5
    return {
        side: quantile_value(
            n,
            quantile,
            lambda ranks, side=side: dict(frame.rows("compare/latency_statistics", side=side, ranks=ranks)),  # type: ignore[misc]
        )
        for side, n in frame.rows("compare/latency_counts")
    }
