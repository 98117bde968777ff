"""Walking a timeline visits exactly what counting afresh at every clock finds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis.timeline import Span, Tally, Timeline

spans = st.lists(
    st.builds(
        lambda kind, start, length, duration, count: Span(
            "workflowTraces", kind, start, None if length is None else start + length, duration, count
        ),
        st.sampled_from(["completed", "failed"]),
        st.integers(0, 20),
        st.none() | st.integers(1, 10),
        st.none() | st.sampled_from([1.0, 2.5]),
        st.integers(1, 3),
    ),
    max_size=8,
)


def afresh(found: list[Span], at_ms: int) -> tuple[Counter[tuple[str, str]], list[float]]:
    counted = [s for s in found if s.from_ms <= at_ms and (s.to_ms is None or at_ms < s.to_ms)]
    documents = Counter[tuple[str, str]]()
    for span in counted:
        documents[span.table, span.kind] += span.count
    return documents, sorted(s.duration_ms for s in counted if s.duration_ms is not None for _ in range(s.count))


def seen(tally: Tally) -> tuple[Counter[tuple[str, str]], list[float]]:
    return +tally.documents, list(tally.durations_ms)


@given(found=spans, at_ms=st.integers(0, 30))
def test_now_is_what_counts_at_the_clock(found: list[Span], at_ms: int) -> None:
    assert seen(Timeline(found, at_ms).now()) == afresh(found, at_ms)


@given(found=spans, at_ms=st.integers(0, 30))
def test_going_forward_gives_every_later_change_and_what_counts_from_then_on(found: list[Span], at_ms: int) -> None:
    walked = {moment: seen(tally) for moment, tally in Timeline(found, at_ms).forward()}
    state = afresh(found, at_ms)
    for moment in range(at_ms + 1, 45):
        state = walked.get(moment, state)
        assert state == afresh(found, moment)


@given(found=spans, at_ms=st.integers(0, 30))
def test_going_backward_gives_what_counted_just_before_each_change(found: list[Span], at_ms: int) -> None:
    for moment, tally in Timeline(found, at_ms).backward():
        assert seen(tally) == afresh(found, moment - 1)
