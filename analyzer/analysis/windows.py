"""Two windows of time, and the quantiles of what was measured in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analyzer.errors import TooFewSamples
from analyzer.stats import Interval, quantile_ranks

Side = Literal["baseline", "after"]
SIDES: tuple[Side, Side] = ("baseline", "after")
DIFFERENCE_CONFIDENCE = 0.975  # of each side, so that the difference of two intervals covers with 0.95


@dataclass(frozen=True, slots=True)
class Windows:
    """Two windows that never overlap."""

    base_from_ms: int  # included
    base_to_ms: int  # not included
    after_from_ms: int  # included
    after_to_ms: int  # included


@dataclass(frozen=True, slots=True)
class Value:
    """One quantile of one window."""

    n: int = 0
    value: float | None = None  # nearest rank; None without documents
    interval: Interval | None = None  # 95 %
    wide_interval: Interval | None = None  # DIFFERENCE_CONFIDENCE


def quantile_value(n: int, quantile: float, at_ranks: Callable[[Sequence[int]], Mapping[int, float]]) -> Value:
    """Measure a quantile of n values, and bound it by two of them.

    at_ranks  gives the values at some ranks, 1 the smallest
    """
    if n == 0:
        return Value()
    nearest = max(1, -(-n * round(quantile * 100) // 100))
    ranks = {confidence: _ranks(n, quantile, confidence) for confidence in (0.95, DIFFERENCE_CONFIDENCE)}
    at = at_ranks(sorted({nearest, *(rank for pair in ranks.values() if pair for rank in pair)}))
    ends = {c: Interval(at[pair[0]], at[pair[1]]) if pair else None for c, pair in ranks.items()}
    return Value(n, at[nearest], ends[0.95], ends[DIFFERENCE_CONFIDENCE])


def _ranks(n: int, quantile: float, confidence: float) -> tuple[int, int] | None:
    try:
        return quantile_ranks(n, quantile, confidence)
    except TooFewSamples:
        return None
