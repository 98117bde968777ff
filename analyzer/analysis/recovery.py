"""The fewest documents whose removal, or whose completion, turns a degraded health healthy.

Everything here works on counts: within one table, documents fall into classes that health cannot tell apart, and the
question is how many of each class go. Rules that count things (stuck documents, slow responses) fix a minimum of their
own class. For rates the order is known: a failed document that goes, or completes, helps the error rate and the
completion rate, an unfinished one only the latter, a completed one neither; so failed ones go first, then unfinished
ones, and the number follows by bisection. Only stuck documents leave a choice, inside or outside the window, because
one inside also counts in the rates: every split is tried.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Classes:
    """Documents of one table by class, or how many of each a removal takes; a document is in one class only."""

    failed: int = 0
    unfinished: int = 0  # in the window, neither completed nor failed, not stuck
    stuck_inside: int = 0  # stuck and in the window: unfinished too
    stuck_outside: int = 0  # stuck and too old for the window
    slow: int = 0  # completed slower than the response limit, slowest first

    @property
    def total(self) -> int:
        """Documents in all classes."""
        return self.failed + self.unfinished + self.stuck_inside + self.stuck_outside + self.slow


IsHealthy = Callable[[Classes], bool]


def fewest(available: Classes, is_healthy: IsHealthy) -> Classes | None:
    """Return the smallest change after which one table is healthy; None when not even changing all documents helps.

    available   documents that may be removed, or completed
    is_healthy  judges the table after the given numbers of them were
    """
    if not is_healthy(available):
        return None
    slow = _least(available.slow, lambda n: is_healthy(replace(available, slow=n)))
    all_stuck = available.stuck_inside + available.stuck_outside
    stuck = _least(all_stuck, lambda n: is_healthy(_without_stuck(available, slow, n)))
    best: Classes | None = None
    for inside in range(max(0, stuck - available.stuck_outside), min(stuck, available.stuck_inside) + 1):
        base = Classes(stuck_inside=inside, stuck_outside=stuck - inside, slow=slow)
        found = _failed_then_unfinished(available, base, is_healthy)
        if found is not None and (best is None or found.total < best.total):
            best = found
    return best


def _without_stuck(available: Classes, slow: int, stuck: int) -> Classes:
    """Return a removal of everything that hurts a rate, but of only `stuck` stuck documents, outside ones last."""
    inside = min(stuck, available.stuck_inside)
    return replace(available, slow=slow, stuck_inside=inside, stuck_outside=stuck - inside)


def _failed_then_unfinished(available: Classes, base: Classes, is_healthy: IsHealthy) -> Classes | None:
    spare = available.stuck_inside - base.stuck_inside  # stuck ones inside the window are unfinished as well

    def removal(count: int) -> Classes:
        failed = min(count, available.failed)
        unfinished = min(count - failed, available.unfinished)
        more_stuck = count - failed - unfinished
        return replace(base, failed=failed, unfinished=unfinished, stuck_inside=base.stuck_inside + more_stuck)

    most = available.failed + available.unfinished + spare
    return removal(_least(most, lambda n: is_healthy(removal(n)))) if is_healthy(removal(most)) else None


def _least(most: int, holds: Callable[[int], bool]) -> int:
    """Return the least n in 0..most for which a condition holds that stays true once it is."""
    return bisect_left(range(most + 1), True, key=holds)
