"""The only place that reads the clock or waits for it."""

from __future__ import annotations

import time


def now_ns() -> int:
    """Return the wall clock as nanoseconds since the epoch, UTC."""
    return time.time_ns()


def now_ms() -> int:
    """Return the wall clock as whole milliseconds since the epoch, UTC."""
    return now_ns() // 1_000_000


def monotonic_s() -> float:
    """Return a clock that never steps back, in seconds from an arbitrary start."""
    return time.monotonic()


def sleep_s(seconds: float) -> None:
    """Wait. Nobody else sleeps; tests put a clock of their own in the place of this."""
    time.sleep(seconds)
