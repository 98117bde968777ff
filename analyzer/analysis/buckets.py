"""Counts of documents in stretches of time that touch and do not overlap, by how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer.analysis import health
from analyzer.model import FilterName
from analyzer.store import Frame


@dataclass(frozen=True, slots=True)
class Ended:
    """How the documents of one table that were made in one stretch ended, as the snapshot shows them."""

    completed: int = 0
    failed: int = 0
    other: int = 0  # open, ended otherwise, or without a status
    left_out: int = 0  # what tests left behind, in none of the others

    @property
    def documents(self) -> int:
        """Every document but those of tests."""
        return self.completed + self.failed + self.other


@dataclass(frozen=True, slots=True)
class Buckets:
    """Stretches of time, the first one first."""

    first_ms: int
    step_ms: int
    count: int
    filter: FilterName
    ended: Mapping[tuple[str, int], Ended] = field(default_factory=dict)  # by table and stretch; no entry: nothing

    @property
    def end_ms(self) -> int:
        """The first millisecond after the last stretch."""
        return self.first_ms + self.step_ms * self.count

    @property
    def starts_ms(self) -> range:
        """When each stretch begins."""
        return range(self.first_ms, self.end_ms, self.step_ms)

    def of(self, table: str) -> list[Ended]:
        """Return how the documents of a table ended, stretch by stretch."""
        return [self.ended.get((table, number), Ended()) for number in range(self.count)]


def count_buckets(frame: Frame, filter_name: FilterName, *, first_ms: int, step_ms: int, count: int) -> Buckets:
    """Count the messages and traces of a prepared frame by when they were made."""
    health.leave_out(frame, filter_name)
    rows = frame.rows("compare/buckets", first_ms=first_ms, step_ms=step_ms, buckets=count)
    ended = {(table, number): Ended(*counts) for table, number, *counts in rows}
    return Buckets(first_ms, step_ms, count, filter_name, ended)
