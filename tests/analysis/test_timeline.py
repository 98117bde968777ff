"""Walking a timeline visits exactly what counting afresh at every clock finds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis.policy import BUILT_IN, Policy, judge
from analyzer.analysis.prospects import counts_of, since_ms
from analyzer.analysis.timeline import History, Moved, Span, Tally, Timeline

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


classes = st.sampled_from(
    [("chatMessages", kind) for kind in ("completed", "completed", "failed", "streaming", "stuck")]
    + [("workflowTraces", kind) for kind in ("completed", "completed", "failed", "in_progress", "stuck")]
)
many_spans = st.lists(
    st.builds(
        lambda place, start, length, count: Span(
            place[0], place[1], start, None if place[1] == "stuck" else start + length, None, count
        ),
        classes,
        st.integers(0, 60),
        st.integers(1, 30),
        st.integers(1, 9),
    ),
    max_size=40,
)


@given(
    found=many_spans,
    at_ms=st.integers(20, 70),
    back_ms=st.integers(1, 60),
    block_ms=st.integers(1, 9),
    policy=st.sampled_from([*BUILT_IN.values()]),
)
def test_since_by_blocks_is_since_by_walking_over_every_document(
    found: list[Span], at_ms: int, back_ms: int, block_ms: int, policy: Policy
) -> None:
    reach_ms = at_ms - back_ms
    kept = [s for s in found if s.from_ms <= at_ms and (s.to_ms is None or s.to_ms > reach_ms)]

    def load(from_ms: int, until_ms: int) -> Timeline:
        touching = [s for s in kept if s.from_ms <= until_ms and (s.to_ms is None or s.to_ms > from_ms)]
        return Timeline(touching, until_ms)

    moved: dict[tuple[str, str, int], list[tuple[int, int, int]]] = {}
    for span in kept:
        for moment, begun, ceased in ((span.from_ms, span.count, 0), (span.to_ms, 0, span.count)):
            if moment is not None and moment <= at_ms:
                place = (span.table, span.kind, (at_ms - moment) // block_ms)
                moved.setdefault(place, []).append((begun, ceased, moment))
    rows = [
        Moved(*place, sum(b for b, _, _ in found), sum(c for _, c, _ in found), min(m for _, _, m in found))
        for place, found in moved.items()
    ]
    history = History(load(at_ms, at_ms), rows, block_ms, reach_ms, load)
    status = judge(counts_of(load(at_ms, at_ms).now()), policy).status
    expected = None
    for moment, before in Timeline(kept, at_ms).backward():
        expected = moment
        if judge(counts_of(before), policy).status is not status:
            break
    assert since_ms(history, policy, few_moves=0) == expected
    assert since_ms(history, policy) == expected
