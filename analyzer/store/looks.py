"""What one look at a deployment brings beside documents, as the store takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing done to a deployment."""

    at_ms: float
    action: str
    actor: str
    subject: str  # name of the variable; "" where there is none
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventsSeen:
    """A look at the events."""

    rows: Sequence[EventRow]
    complete_since_ms: float | None  # None: only some are known
    until_ms: float


@dataclass(frozen=True, slots=True)
class MinuteRow:
    """One function in one minute; None is unknown."""

    component: str
    function: str  # "messages:list", as in logs
    minute_ms: int
    calls: int | None
    errors: int | None
    cache_hits: int | None
    cache_misses: int | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class MetricsSeen:
    """A look at the metrics: whole minutes."""

    start_ms: int
    end_ms: int
    minutes: Sequence[MinuteRow]
    lags: Sequence[tuple[int, float | None]]  # start of the minute, how late scheduled jobs ran in ms
    is_complete: bool  # every function that ran is among them


@dataclass(frozen=True, slots=True)
class CallRow:
    """One finished call, in the order of the columns of function_call."""

    component: str
    function: str
    kind: str
    execution_id: str
    started_ms: float
    took_ms: float
    is_cached: bool
    error_class: str | None
    will_retry: bool
    caller: str
    read_documents: int
    read_bytes: int
    written_bytes: int
    conflict_table: str | None


@dataclass(frozen=True, slots=True)
class CallsSeen:
    """A look at the log."""

    rows: Sequence[CallRow]
    cursor_ms: float
    from_ms: float  # the oldest entry that was there; when it was asked, where there was none
    until_ms: float
    has_lost: bool  # what was read last is no longer there: what came after it may be gone as well


@dataclass(frozen=True, slots=True)
class Observed:
    """What one collect saw beside documents; None: it may not, or could not, look."""

    events: EventsSeen | None = None
    metrics: MetricsSeen | None = None
    calls: CallsSeen | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A time that was seen, or is lost."""

    stream: str
    from_ms: float
    until_ms: float
    is_gap: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next look goes on."""

    log_cursor_ms: float = 0.0
    events_until_ms: float | None = None
