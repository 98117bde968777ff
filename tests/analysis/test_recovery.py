"""The smallest recovery is the smallest: compared with trying every one."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis.recovery import Classes, fewest

counts = st.integers(0, 4)
classes = st.builds(Classes, counts, counts, counts, counts, counts)


class Rules:
    """A policy with every kind of rule: two rates, a count of stuck documents, a share of slow ones."""

    def __init__(self, bad: Classes, completed: int, limits: tuple[float, float, int, float]) -> None:
        self.bad, self.completed = bad, completed
        self.max_error, self.min_completion, self.max_stuck, self.max_slow = limits

    def is_healthy(self, removed: Classes) -> bool:
        left = Classes(*(getattr(self.bad, f) - getattr(removed, f) for f in Classes.__dataclass_fields__))
        completed = self.completed + left.slow
        total = left.failed + left.unfinished + left.stuck_inside + completed
        if total and (left.failed / total >= self.max_error or completed / total <= self.min_completion):
            return False
        if left.stuck_inside + left.stuck_outside > self.max_stuck:
            return False
        return not left.slow or left.slow / completed < self.max_slow


limits = st.tuples(
    st.sampled_from([0.1, 0.25, 0.5]), st.sampled_from([0.5, 0.75, 0.9]), st.integers(0, 3), st.sampled_from([0.2, 0.5])
)


def every(available: Classes) -> list[Classes]:
    ranges = [range(getattr(available, f) + 1) for f in Classes.__dataclass_fields__]
    return [Classes(*taken) for taken in itertools.product(*ranges)]


@given(bad=classes, completed=st.integers(0, 12), limits=limits)
def test_no_smaller_removal_makes_it_healthy(
    bad: Classes, completed: int, limits: tuple[float, float, int, float]
) -> None:
    rules = Rules(bad, completed, limits)
    found = fewest(bad, rules.is_healthy)
    healthy = [taken.total for taken in every(bad) if rules.is_healthy(taken)]
    if found is None:
        assert not rules.is_healthy(bad)
    else:
        assert rules.is_healthy(found)
        assert found.total == min(healthy)


def test_nothing_is_removed_from_what_is_healthy() -> None:
    assert fewest(Classes(failed=3), lambda _: True) == Classes()
