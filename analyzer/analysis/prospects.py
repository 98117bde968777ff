"""From when a status holds, until when, and what it would take to change it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import RESPONSE_PERCENT, Policy, judge, percentile, status_of
from analyzer.analysis.recovery import Classes, fewest
from analyzer.analysis.timeline import History, Key, Moved, Tally, Timeline
from analyzer.model import Status

MESSAGES, TRACES = "chatMessages", "workflowTraces"
TABLES = (MESSAGES, TRACES)
FEW_MOVES = 20_000  # so many are walked over in less than a second
KINDS = tuple(Classes.__dataclass_fields__)
# Of a tally, all at once: it is asked at each of many clocks.
_OF_MESSAGES = itemgetter(*((MESSAGES, kind) for kind in ("completed", "failed", "streaming", "other", "stuck")))
_OF_TRACES = itemgetter(*((TRACES, kind) for kind in ("completed", "failed", "in_progress", "other", "stuck")))


def counts_of(tally: Tally) -> Counts:
    """Return the counts that a policy's rules look at; finer ones stay 0."""
    m_completed, m_failed, m_streaming, m_other, m_stuck = _OF_MESSAGES(tally.documents)
    t_completed, t_failed, t_in_progress, t_other, t_stuck = _OF_TRACES(tally.documents)
    return Counts(
        message_total=m_completed + m_failed + m_streaming + m_other,
        message_completed=m_completed,
        message_failed=m_failed,
        message_streaming=m_streaming,
        workflow_total=t_completed + t_failed + t_in_progress + t_other,
        workflow_completed=t_completed,
        workflow_failed=t_failed,
        workflow_in_progress=t_in_progress,
        stuck_messages=m_stuck,
        stuck_workflows=t_stuck,
        response_count=len(tally.durations_ms),
        response_p95_ms=percentile(tally.durations_ms, RESPONSE_PERCENT),
    )


def clears_at_ms(timeline: Timeline, policy: Policy, *, until_ms: int | None = None) -> int | None:
    """Return the first later clock at which health is healthy if nothing new arrives; None if it never is.

    An empty window is not healthy but unknown: then nothing is left to judge.

    until_ms  the last clock of which the documents tell anything; None for no bound
    """
    for moment, tally in timeline.forward():
        if until_ms is not None and moment > until_ms:
            return None
        if status_of(counts_of(tally), policy) is Status.HEALTHY:
            return moment
    return None


def empties_at_ms(timeline: Timeline, policy: Policy) -> int | None:
    """Return the first later clock at which nothing is left to judge; None if something always is."""
    for moment, tally in timeline.forward():
        if status_of(counts_of(tally), policy) is Status.UNKNOWN:
            return moment
    return None


def since_ms(history: History, policy: Policy, *, few_moves: int = FEW_MOVES) -> int | None:
    """Return the first clock of the unbroken time for which the status is what it is now; None if nothing ever counted.

    Statuses of documents are taken as they are now: what changed since is not known to this walk. Blocks throughout
    which the status cannot have been another one are not walked over.

    few_moves  so many are walked over in any case
    """
    tally = history.now.now().documents
    status = status_of(counts_of(Tally(tally)), policy)
    by_block = history.by_block()
    first: int | None = None
    block, stride = 0, 1
    if sum(m.begun + m.ceased for m in history.moved) <= few_moves:
        stride = history.blocks + 1
    while block <= history.blocks:
        moved = by_block.get(block, ())
        end = block + 1
        is_walked = stride > history.blocks or block == history.blocks or not _is_surely(status, tally, moved, policy)
        if moved and is_walked:
            end = min(block + stride, history.blocks + 1)
            stride *= 2  # where one block is in doubt, so are its neighbours
            for moment, before in history.backward(block, end):
                first = moment
                if status_of(counts_of(before), policy) is not status:
                    return first
        elif moved:
            first = min(m.oldest_ms for m in moved)
        for m in (m for number in range(block, end) for m in by_block.get(number, ())):
            tally[m.table, m.kind] += m.ceased - m.begun
        block = end
    return first


def _is_surely(status: Status, tally: Mapping[Key, int], moved: Sequence[Moved], policy: Policy) -> bool:
    """Whether the status was the same all through a block, whatever the order in which its documents moved.

    tally  what counted at the end of the block
    """
    if status is not Status.DEGRADED:
        return False
    least, most = Counter(tally), Counter(tally)
    for m in moved:
        least[m.table, m.kind] = max(0, least[m.table, m.kind] - m.begun)
        most[m.table, m.kind] += m.ceased
    if status_of(counts_of(Tally(least)), policy) is Status.UNKNOWN:
        return False
    return any(
        all(
            judge(counts_of(Tally(counts)), replace(policy, rules=(rule,))).failing
            for counts in (Counter({**most, **_of(rule.id, least)}), Counter({**least, **_of(rule.id, most)}))
        )
        for rule in policy.rules
        if rule.id in _COUNTED_BY
    )


# What a metric grows with; it shrinks with the other documents of its table. A value between two beyond a limit is too.
_COUNTED_BY: Mapping[str, Key] = {
    "workflow_error_rate": (TRACES, "failed"),
    "message_error_rate": (MESSAGES, "failed"),
    "workflow_completion_rate": (TRACES, "completed"),
    "message_completion_rate": (MESSAGES, "completed"),
    "stuck_workflows": (TRACES, "stuck"),
    "stuck_messages": (MESSAGES, "stuck"),
}


def _of(metric: str, counts: Mapping[Key, int]) -> Mapping[Key, int]:
    key = _COUNTED_BY[metric]
    return {key: counts.get(key, 0)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that a recovery may remove."""

    table: str
    id: str
    kind: str  # field of Classes
    is_test: bool
    duration_ms: float | None = None


def removals(
    counts: Counts, policy: Policy, candidates: Sequence[Candidate], durations_ms: Sequence[float]
) -> tuple[Candidate, ...] | None:
    """Return the fewest documents whose removal makes health healthy; leftovers of tests are named first.

    durations_ms  of completed traces in the window, ascending
    returns       None where no removal does, or where it would leave nothing to judge
    """
    taken: list[Candidate] = []
    left = counts
    for table in TABLES:
        own = [c for c in candidates if c.table == table]
        removed = _fewest(counts, policy, table, own, lambda c, t, gone: _without(c, t, gone, durations_ms))
        if removed is None:
            return None
        for kind in KINDS:
            taken += sorted((c for c in own if c.kind == kind), key=_order)[: getattr(removed, kind)]
        left = _without(left, table, removed, durations_ms)
    return tuple(taken) if status_of(left, policy) is Status.HEALTHY else None


def completions(counts: Counts, policy: Policy, candidates: Sequence[Candidate]) -> int | None:
    """Return how many documents, at the least, would have to complete; None where that would not be enough."""
    total = 0
    for table in TABLES:
        own = [c for c in candidates if c.table == table and c.kind != "slow"]
        completed = _fewest(counts, policy, table, own, _completed)
        if completed is None:
            return None
        total += completed.total
    return total


def _fewest(
    counts: Counts,
    policy: Policy,
    table: str,
    candidates: Sequence[Candidate],
    after: Callable[[Counts, str, Classes], Counts],
) -> Classes | None:
    """Return the smallest change to one table that keeps the policy's rules on it."""
    own_rules = tuple(rule for rule in policy.rules if (MESSAGES if "message" in rule.id else TRACES) == table)
    own_policy = replace(policy, rules=own_rules)
    available = Classes(**Counter(c.kind for c in candidates))
    return fewest(available, lambda changed: not judge(after(counts, table, changed), own_policy).failing)


def _order(candidate: Candidate) -> tuple[float, bool, str]:
    """Sort slowest first where slowness matters, then leftovers of tests, then by id."""
    slowness = -(candidate.duration_ms or 0.0) if candidate.kind == "slow" else 0.0
    return slowness, not candidate.is_test, candidate.id


def _without(counts: Counts, table: str, gone: Classes, durations_ms: Sequence[float]) -> Counts:
    inside = gone.failed + gone.unfinished + gone.stuck_inside + gone.slow
    stuck = gone.stuck_inside + gone.stuck_outside
    if table == MESSAGES:
        return counts._replace(
            message_total=counts.message_total - inside,
            message_failed=counts.message_failed - gone.failed,
            stuck_messages=counts.stuck_messages - stuck,
        )
    kept = durations_ms[: len(durations_ms) - gone.slow]
    return counts._replace(
        workflow_total=counts.workflow_total - inside,
        workflow_failed=counts.workflow_failed - gone.failed,
        workflow_completed=counts.workflow_completed - gone.slow,
        stuck_workflows=counts.stuck_workflows - stuck,
        response_count=len(kept),
        response_p95_ms=percentile(kept, RESPONSE_PERCENT),
    )


def _completed(counts: Counts, table: str, done: Classes) -> Counts:
    inside = done.failed + done.unfinished + done.stuck_inside
    stuck = done.stuck_inside + done.stuck_outside
    if table == MESSAGES:
        return counts._replace(
            message_completed=counts.message_completed + inside,
            message_failed=counts.message_failed - done.failed,
            stuck_messages=counts.stuck_messages - stuck,
        )
    return counts._replace(
        workflow_completed=counts.workflow_completed + inside,
        workflow_failed=counts.workflow_failed - done.failed,
        stuck_workflows=counts.stuck_workflows - stuck,
    )
