"""The deployment's clock: it stands still, runs, or runs faster, and moves when told."""

from __future__ import annotations

import threading
import time

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
START_MS = 1_765_889_880_000  # 2025-12-16 12:58 UTC


class Clock:
    """Call it for nanoseconds since the epoch. With `rate` 0 it stands; with 60 a minute passes in a second."""

    def __init__(self, start_ms: float = START_MS, rate: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._from_ns = int(start_ms * NS_PER_MS)
        self._since_ns = time.monotonic_ns()
        self._rate = rate

    @classmethod
    def real(cls) -> Clock:
        """Return a clock that shows the time of day."""
        return cls(time.time_ns() / NS_PER_MS, 1.0)

    def __call__(self) -> int:
        with self._lock:
            return self._now_ns()

    def _now_ns(self) -> int:
        return self._from_ns + int((time.monotonic_ns() - self._since_ns) * self._rate)

    @property
    def now_ms(self) -> int:
        """The time in whole milliseconds."""
        return self() // NS_PER_MS

    def set_ms(self, at_ms: float) -> None:
        """Jump to a time, back as well: then timestamps go on rising by single nanoseconds."""
        with self._lock:
            self._from_ns, self._since_ns = int(at_ms * NS_PER_MS), time.monotonic_ns()

    def advance_ms(self, by_ms: float) -> None:
        with self._lock:
            self._from_ns += int(by_ms * NS_PER_MS)

    def advance_s(self, by_s: float) -> None:
        self.advance_ms(by_s * 1000)

    def run(self, rate: float) -> None:
        """Go on from now at another rate."""
        with self._lock:
            self._from_ns, self._since_ns = self._now_ns(), time.monotonic_ns()
            self._rate = rate
