"""How much may be under way to one deployment: requests at once, time in all, and an end that leaves nothing open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from analyzer.convex.retry import Policy, Timing

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much, how long and how often."""

    at_once: int = 4  # requests; the platform serves 16 queries at a time, and other clients are there too
    connect_s: float = 10.0
    silence_s: float = 90.0  # without a byte; a long poll is silent for up to 60 s
    request_s: float = 330.0  # one body, from first to last byte; the server itself cuts at 300 s
    total_s: float | None = None  # the whole life of the client; None: no limit
    body_bytes: int = 256 * MIB  # of one answer, unpacked; the largest page the platform makes is 64 MiB of documents
    policy: Policy = field(default_factory=Policy)


class OutOfTimeError(Exception):
    """The client's whole time is used up; nothing was sent."""


class ClosedError(Exception):
    """The client was closed; nothing was sent."""


class Traffic:
    """Lets requests through, and calls `on_idle` once when it is closed and the last of them is done.

    Nobody waits for requests under way, so an interrupt is never held up; and no socket is closed under a thread that
    reads it, whose number could by then be another's.
    """

    def __init__(self, limits: Limits, timing: Timing, on_idle: Callable[[], None]) -> None:
        self.sent = 0  # requests, repeats included
        self._limits = limits
        self._timing = timing
        self._on_idle = on_idle
        self._started_s = timing.monotonic_s()
        self._slots = threading.BoundedSemaphore(limits.at_once)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._under_way = 0

    def close(self) -> None:
        """Let nothing more through."""
        with self._lock:
            is_done = not self._closed.is_set() and self._under_way == 0
            self._closed.set()
        if is_done:
            self._on_idle()

    def left_s(self) -> float:
        """Return what is left of the whole time; infinity without a limit."""
        if self._limits.total_s is None:
            return float("inf")
        return self._limits.total_s - (self._timing.monotonic_s() - self._started_s)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for one of the slots, and hold it.

        raises  OutOfTimeError, ClosedError
        """
        left_s = self.left_s()
        if left_s <= 0 or not self._slots.acquire(timeout=min(left_s, threading.TIMEOUT_MAX)):
            raise OutOfTimeError
        try:
            with self._counted():
                yield
        finally:
            self._slots.release()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            if self._closed.is_set():
                raise ClosedError
            self._under_way += 1
            self.sent += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                is_done = self._closed.is_set() and self._under_way == 0
            if is_done:
                self._on_idle()
