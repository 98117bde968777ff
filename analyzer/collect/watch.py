"""Collecting again and again: what a deployment forgets within the hour is kept for as long as the watch lasts.

Each tick opens the network and the store anew and lets both go, so it does not matter which of them was away in
between, and readers of the store only ever wait for one tick. A tick that fails is recorded, and the next one goes on
where the last good one ended; what could no longer be seen by then is a gap in the store.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from analyzer import clock
from analyzer.collect.live import LiveOptions, collect_live
from analyzer.errors import AccessDenied, AnalyzerError, ConfigError, StoreError, UsageError
from analyzer.model import CollectResult, Deployment
from analyzer.sources.live import LiveSource
from analyzer.store import Store
from analyzer.units import age, count, instant, visible

JUMP_MS = 30_000  # how far the wall clock may part from the other before it is worth a word
_MISTAKES = (AccessDenied, ConfigError, UsageError)  # waiting does not help against these


class Pace(Protocol):
    """Clocks, and how to wait; replaceable, so that a rehearsal may run faster than time does."""

    def now_ms(self) -> int: ...
    def monotonic_s(self) -> float: ...
    def sleep_s(self, seconds: float) -> None: ...


class RealPace:
    """Time as it passes."""

    def now_ms(self) -> int:
        """Return the wall clock."""
        return clock.now_ms()

    def monotonic_s(self) -> float:
        """Return a clock that never steps."""
        return clock.monotonic_s()

    def sleep_s(self, seconds: float) -> None:
        """Wait."""
        clock.sleep_s(seconds)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often, and for how long. Both are counted while the machine is awake: neither a clock that is set nor a
    night in which the machine sleeps ends a watch."""

    every_ms: int
    for_ms: int | None = None  # None: until it is stopped


@dataclass(slots=True)
class Watched:
    """What a watch did so far."""

    ticks: int = 0
    failed: int = 0
    gaps: list[str] = field(default_factory=list)
    last: CollectResult | None = None  # the newest snapshot
    last_error: AnalyzerError | None = None


def watch(
    open_source: Callable[[], LiveSource],
    store_path: Path,
    options: LiveOptions,
    rhythm: Rhythm,
    *,
    tell: Callable[[str], None],
    pace: Pace | None = None,
) -> Watched:
    """Collect until the time is over; the first tick is at once.

    open_source  connects anew for each tick
    tell         is told one line a tick
    raises       AccessDenied, ConfigError, UsageError of the first tick: waiting does not help against them;
                 the last error when no tick succeeded
    """
    watching = _Watch(open_source, store_path, options, tell, pace or RealPace())
    watching.run(rhythm)
    if watching.done.last is None and watching.done.last_error is not None:
        raise watching.done.last_error
    return watching.done


class _Watch:
    def __init__(
        self,
        open_source: Callable[[], LiveSource],
        store_path: Path,
        options: LiveOptions,
        tell: Callable[[str], None],
        pace: Pace,
    ) -> None:
        self.done = Watched()
        self._open_source = open_source
        self._store_path = store_path
        self._options = options
        self._tell = tell
        self._pace = pace
        self._deployment: Deployment | None = None  # once it said who it is

    def run(self, rhythm: Rhythm) -> None:
        every_s = rhythm.every_ms / 1000
        started_s = due_s = self._pace.monotonic_s()
        end_s = None if rhythm.for_ms is None else started_s + rhythm.for_ms / 1000
        while True:
            self._tick()
            now_s = self._pace.monotonic_s()
            due_s += every_s * max(1, -((due_s - now_s) // every_s))  # ticks that are missed are not made up for
            if end_s is not None and due_s > end_s:
                return
            self._wait(due_s)

    def _wait(self, due_s: float) -> None:
        """Wait, and say so when the wall clock passed otherwise: then the machine slept, or its clock was set."""
        before_ms, before_s = self._pace.now_ms(), self._pace.monotonic_s()
        while (left_s := due_s - self._pace.monotonic_s()) > 0:
            self._pace.sleep_s(left_s)
        jump_ms = self._pace.now_ms() - before_ms - (self._pace.monotonic_s() - before_s) * 1000
        if abs(jump_ms) > JUMP_MS:
            how = f"{age(abs(jump_ms))} {'forward' if jump_ms > 0 else 'back'}"
            self._tell(f"this machine's clock jumped {how}: it slept, or its clock was set")

    def _tick(self) -> None:
        done = self.done
        done.ticks += 1
        at = instant(self._pace.now_ms() // 1000 * 1000)
        try:
            result = self._collect()
        except AnalyzerError as error:
            if done.ticks == 1 and isinstance(error, _MISTAKES):
                raise
            done.failed += 1
            done.last_error = error
            self._record(error)
            self._tell(f"{at} tick {done.ticks} failed: {visible(str(error))}")
            return
        done.last = result
        done.gaps += result.findings
        changed = [sum(getattr(c, name) for c in result.snapshot.coverage) for name in ("added", "changed", "removed")]
        held = sum(c.documents or 0 for c in result.snapshot.coverage)
        self._tell(
            f"{at} tick {done.ticks}: snapshot {result.snapshot.id}, {count(held, 'document')}"
            " ({} added, {} changed, {} gone)".format(*map(count, changed))
            + "".join(f"; gap: {visible(gap)}" for gap in result.findings)
        )

    def _collect(self) -> CollectResult:
        with self._open_source() as source:
            self._deployment = source.connection.deployment
            return collect_live(source, self._store_path, self._options)

    def _record(self, error: AnalyzerError) -> None:
        """Record the failure where that is possible: a store that is in use cannot even be told so."""
        if self._deployment is None or not self._store_path.exists():
            return
        with contextlib.suppress(StoreError), Store.write(self._store_path, wait_s=self._options.wait_s) as store:
            store.observations.note_failure(self._deployment.name, self._pace.now_ms(), str(error)[:300])
