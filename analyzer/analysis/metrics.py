"""What health counts, and the numbers that are taken from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple


class Counts(NamedTuple):
    """What health is computed from: documents, unless a field says otherwise."""

    message_total: int = 0  # in the window, of any status
    message_completed: int = 0
    message_streaming: int = 0
    message_failed: int = 0
    message_pending: int = 0
    message_statusless: int = 0  # older write paths set no status
    message_other: int = 0  # a status that no one knows
    workflow_total: int = 0  # traces in the window, of any status
    workflow_completed: int = 0
    workflow_failed: int = 0
    workflow_in_progress: int = 0  # STARTED or IN_PROGRESS
    workflow_cancelled: int = 0
    workflow_other: int = 0  # no status, or one that no one knows
    stuck_messages: int = 0  # of any age
    stuck_workflows: int = 0  # of any age
    recent_total: int = 0  # traces of the last five minutes
    recent_failed: int = 0
    message_redated: int = 0  # in the window by creation time, because createdAt is missing or no number
    workflow_redated: int = 0
    message_undated: int = 0  # neither time: in no window
    workflow_undated: int = 0
    response_count: int = 0  # completed traces in the window that have a duration
    response_p95_ms: float | None = None  # None without such a trace, or where no rule asks for it

    def minus(self, other: Counts) -> Counts:
        """Return these counts without the documents of another; the response is not a sum and starts empty."""
        kept = zip(self[:-2], other[:-2], strict=True)
        return Counts(*(ours - theirs for ours, theirs in kept))


class Metric(NamedTuple):
    """A number that a policy can put a limit on."""

    id: str
    unit: Literal["share", "documents", "ms"]
    value: Callable[[Counts], float | None]  # None where there is nothing to take it from
    n: Callable[[Counts], int]  # documents it is taken from


def rate(part: int, whole: int, *, empty: float) -> float:
    """Return part / whole as a double, or `empty` when there is nothing to divide."""
    return part / whole if whole else empty


METRICS: Mapping[str, Metric] = {
    metric.id: metric
    for metric in (
        Metric(
            "workflow_error_rate",
            "share",
            lambda c: rate(c.workflow_failed, c.workflow_total, empty=0.0),
            lambda c: c.workflow_total,
        ),
        Metric(
            "message_error_rate",
            "share",
            lambda c: rate(c.message_failed, c.message_total, empty=0.0),
            lambda c: c.message_total,
        ),
        Metric(
            "workflow_completion_rate",
            "share",
            lambda c: rate(c.workflow_completed, c.workflow_total, empty=1.0),
            lambda c: c.workflow_total,
        ),
        Metric(
            "message_completion_rate",
            "share",
            lambda c: rate(c.message_completed, c.message_total, empty=1.0),
            lambda c: c.message_total,
        ),
        Metric("stuck_workflows", "documents", lambda c: float(c.stuck_workflows), lambda c: c.stuck_workflows),
        Metric("stuck_messages", "documents", lambda c: float(c.stuck_messages), lambda c: c.stuck_messages),
        Metric("response_p95_ms", "ms", lambda c: c.response_p95_ms, lambda c: c.response_count),
    )
}
