"""How the counts behind health move with the clock while documents stay as they are.

A document begins to count when it exists, stops counting when the window passes it, and becomes stuck at its limit.
Between those moments nothing changes, so walking over them visits every status there is, exactly.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

Key = tuple[str, str]  # table, class: see queries/explain/spans.sql


@dataclass(frozen=True, slots=True)
class Span:
    """Documents of one class that count from one clock until another."""

    table: str
    kind: str
    from_ms: int
    to_ms: int | None  # first clock at which they no longer count; None for never
    duration_ms: float | None
    count: int


@dataclass(slots=True)
class Tally:
    """What counts at one clock."""

    documents: Counter[Key] = field(default_factory=Counter)
    durations_ms: list[float] = field(default_factory=list)  # of completed traces, ascending

    def add(self, span: Span, sign: int) -> None:
        """Count a span's documents, or stop counting them."""
        self.documents[span.table, span.kind] += sign * span.count
        if span.duration_ms is None:
            return
        for _ in range(span.count):
            if sign > 0:
                insort(self.durations_ms, span.duration_ms)
            else:
                del self.durations_ms[bisect_left(self.durations_ms, span.duration_ms)]


class Timeline:
    """Spans of documents, walked from one clock."""

    def __init__(self, spans: Iterable[Span], at_ms: int) -> None:
        self._spans = list(spans)
        self.at_ms = at_ms

    def now(self) -> Tally:
        """Return what counts at the clock, to be changed at will."""
        counted = self._now
        return Tally(counted.documents.copy(), counted.durations_ms.copy())

    @functools.cached_property
    def _now(self) -> Tally:
        tally = Tally()
        durations_ms = []
        for span in self._spans:
            if span.from_ms <= self.at_ms and (span.to_ms is None or self.at_ms < span.to_ms):
                tally.documents[span.table, span.kind] += span.count
                if span.duration_ms is not None:
                    durations_ms += [span.duration_ms] * span.count
        tally.durations_ms = sorted(durations_ms)
        return tally

    def forward(self) -> Iterator[tuple[int, Tally]]:
        """Yield each later clock at which something changes, and what counts from then on. The tally is reused.

        Only documents that exist at the clock take part: nothing new arrives.
        """
        moves = [
            (moment, span, sign)
            for span in self._spans
            for moment, sign in ((span.from_ms, 1), (span.to_ms, -1))
            if moment is not None and moment > self.at_ms
        ]
        yield from _walk(self.now(), moves)

    def backward(self) -> Iterator[tuple[int, Tally]]:
        """Yield each clock up to now at which something changed, newest first, and what counted just before it."""
        moves = [
            (-moment, span, -sign)
            for span in self._spans
            for moment, sign in ((span.from_ms, 1), (span.to_ms, -1))
            if moment is not None and moment <= self.at_ms
        ]
        for negative_ms, tally in _walk(self.now(), moves):
            yield -negative_ms, tally


def _walk(tally: Tally, moves: list[tuple[int, Span, int]]) -> Iterator[tuple[int, Tally]]:
    moves.sort(key=lambda move: (move[0], -move[2]))  # add before taking away, so that no count is ever negative
    for position, (moment, span, sign) in enumerate(moves):
        tally.add(span, sign)
        if position + 1 == len(moves) or moves[position + 1][0] != moment:
            yield moment, tally


@dataclass(frozen=True, slots=True)
class Moved:
    """Documents of one class that began or ceased to count in one block of time."""

    table: str
    kind: str
    block: int  # 0 is the last one up to the clock
    begun: int
    ceased: int
    oldest_ms: int  # first clock in the block at which one of them did


@dataclass(frozen=True, slots=True)
class History:
    """What counted before a clock: summed up in blocks of time, document by document only where that is asked for.

    A store may hold millions of documents in the time that is looked back on; walking over each takes minutes.
    """

    now: Timeline  # the spans that reach the clock
    moved: Sequence[Moved]
    block_ms: int
    from_ms: int  # spans that ended before are left out
    load: Callable[[int, int], Timeline]  # spans that touch the time from one clock to another; the latter is its clock

    @property
    def blocks(self) -> int:
        """Return how many whole blocks there are; what is older is one more, without an end."""
        return (self.now.at_ms - self.from_ms) // self.block_ms

    def by_block(self) -> dict[int, list[Moved]]:
        """Return what moved by block."""
        found: dict[int, list[Moved]] = {}
        for moved in self.moved:
            found.setdefault(min(moved.block, self.blocks), []).append(moved)
        return found

    def backward(self, first_block: int, end_block: int) -> Iterator[tuple[int, Tally]]:
        """Walk back over some blocks exactly, as `Timeline.backward` does."""
        until_ms = self.now.at_ms - first_block * self.block_ms
        from_ms = self.now.at_ms - end_block * self.block_ms if end_block <= self.blocks else self.from_ms
        for moment, before in self.load(from_ms, until_ms).backward():
            if moment <= from_ms and end_block <= self.blocks:
                return
            yield moment, before
