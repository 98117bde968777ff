"""Flips to changes, and the windows around a change."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis.changes import HOUR_MS, Flip, baseline_window, group_flips, log_flips, look_window
from tests.analysis.example_log import read

DAY_MS = 24 * HOUR_MS
T0 = 1_770_108_030_000


def flip(at_ms: int, flag: str = "ENABLE_A", phase: str = "") -> Flip:
    return Flip(flag, "true", at_ms, phase=phase)


def test_flips_closer_than_the_first_checkpoint_are_one_change_that_cannot_be_separated() -> None:
    flips = [flip(T0 + 180_000, "ENABLE_B", "2"), flip(T0, "ENABLE_A", "1"), flip(T0 + 180_000, "ENABLE_C", "3")]
    (change,) = group_flips(flips)
    assert (change.number, change.start_ms, change.settled_ms) == (1, T0, T0 + 180_000)
    assert change.phases == ("1", "2", "3") and change.not_separable


def test_flips_a_whole_checkpoint_apart_are_changes_of_their_own() -> None:
    first, second = group_flips([flip(T0), flip(T0 + HOUR_MS)])
    assert (first.number, second.number) == (1, 2)
    assert not first.not_separable
    assert len(group_flips([flip(T0), flip(T0 + HOUR_MS - 1)])) == 1
    assert len(group_flips([flip(T0), flip(T0 + 60_000)], first_checkpoint_ms=30_000)) == 2


def test_one_flag_flipped_on_and_off_again_is_one_change_that_is_separable() -> None:
    (change,) = group_flips([flip(T0), Flip("ENABLE_A", "false", T0 + 60_000)])
    assert not change.not_separable


def test_no_flips_are_no_changes() -> None:
    assert group_flips([]) == ()


@given(st.lists(st.integers(0, 10 * HOUR_MS), max_size=12), st.integers(1, 2 * HOUR_MS))
def test_grouping_keeps_every_flip_and_cuts_exactly_at_the_gaps(times: list[int], first_checkpoint_ms: int) -> None:
    changes = group_flips([flip(at) for at in times], first_checkpoint_ms)
    assert [one.at_ms for change in changes for one in change.flips] == sorted(times)
    for change in changes:
        moments = [one.at_ms for one in change.flips]
        assert all(later - at < first_checkpoint_ms for at, later in pairwise(moments))
    assert all(after.start_ms - before.settled_ms >= first_checkpoint_ms for before, after in pairwise(changes))


def test_the_baseline_reaches_back_seven_days_or_to_the_start_of_coverage() -> None:
    (change,) = group_flips([flip(T0)])
    week = baseline_window(change, 0)
    day = baseline_window(change, T0 - DAY_MS)
    assert week is not None and (week.from_ms, week.to_ms) == (T0 - 7 * DAY_MS, T0)
    assert day is not None and (day.from_ms, day.to_ms) == (T0 - DAY_MS, T0)
    assert baseline_window(change, T0) is None
    assert baseline_window(change, T0 + 1) is None


def test_baseline_and_look_never_overlap_and_meet_at_the_change() -> None:
    (change,) = group_flips([flip(T0)])
    base, look = baseline_window(change, 0), look_window(change, HOUR_MS)
    assert base is not None
    for at_ms in (T0 - 7 * DAY_MS, T0 - 1, T0 - 0.25):
        assert base.holds(at_ms) and not look.holds(at_ms)
    for at_ms in (T0, T0 + 0.25, T0 + HOUR_MS):
        assert look.holds(at_ms) and not base.holds(at_ms)
    assert not look.holds(T0 + HOUR_MS + 1) and not base.holds(T0 - 7 * DAY_MS - 1)


def test_windows_name_the_other_changes_inside_them() -> None:
    changes = group_flips([flip(T0), flip(T0 + 2 * HOUR_MS), flip(T0 + 3 * DAY_MS)])
    first, second, third = changes
    assert look_window(first, HOUR_MS, changes).other_changes == ()
    assert look_window(first, DAY_MS, changes).other_changes == (2,)
    base = baseline_window(third, 0, changes)
    assert base is not None and base.other_changes == (1, 2)
    assert look_window(second, DAY_MS, changes).other_changes == ()


def test_a_checkpoint_before_its_change_is_refused() -> None:
    (change,) = group_flips([flip(T0)])
    with pytest.raises(ValueError, match="lies after its change"):
        look_window(change, 0)


def test_the_flips_of_a_log_keep_phase_and_precision_and_undated_ones_are_left_out() -> None:
    log = read(
        "**Started:** 2026-02-03 14:05 UTC+05:30\n## Phase 1: ENABLE_A (DONE)\n**Timestamp:** 2026-02-03 14:10:30\n"
        "## Phase 2: ENABLE_B (DONE)\n## Phase 3: Disable ENABLE_C (DONE)\n**Timestamp:** 2026-02-03 14:12\n"
        "## Phase 4: ENABLE_D (SKIPPED)\n**Timestamp:** 2026-02-03 14:13\n"
    )
    assert log_flips(log) == (
        Flip("ENABLE_A", "true", T0, 1_000, "1"),
        Flip("ENABLE_C", "false", T0 + 90_000, 60_000, "3"),
    )
