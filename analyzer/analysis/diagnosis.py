"""Why documents pull health down: each is put to one cause, and causes are grouped into few lines with an action."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from analyzer.analysis.policy import RuleResult
from analyzer.model import Tier
from analyzer.units import instant

Blame = Literal["test", "unclear", "product"]
MESSAGES, TRACES = "chatMessages", "workflowTraces"
MAX_NAMED = 3  # how many models, workflow types or flag periods a cause names


@dataclass(frozen=True, slots=True)
class BadDocument:
    """One row of queries/explain/bad_documents.sql, or a completed trace of queries/explain/slow_traces.sql."""

    table_name: str
    id: str
    status: str | None
    is_in_window: bool
    is_stuck: bool
    tier: str | None
    rules: Sequence[str] | None
    task_id: str | None
    task_exists: bool
    error_type: str | None
    model: str | None
    workflow_type: str | None
    judged_at_ms: float | None

    @property
    def is_failed(self) -> bool:
        """Whether it failed, as opposed to not having completed."""
        return self.status in ("failed", "FAILED")

    @property
    def is_slow(self) -> bool:
        """Whether it did complete, and is here for the time that it took."""
        return self.status == "COMPLETED"

    @property
    def is_test(self) -> bool:
        """Whether there is evidence that a test left it."""
        return self.tier in (Tier.CERTAIN, Tier.LIKELY)


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why health is what it is."""

    id: str  # stable, e.g. "test-artifacts:helper-message"
    cause: str  # one sentence; may hold text of documents, to be escaped when shown
    action: str  # a command
    blame: Blame
    affected: Mapping[str, tuple[str, ...]]  # table -> ids, sorted

    @property
    def count(self) -> int:
        """Documents affected."""
        return sum(len(ids) for ids in self.affected.values())


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A configured flag that took another value."""

    name: str
    value: str | None
    at_ms: int


LIST_ARTIFACTS = "analyzer artifacts list --tier certain --tier likely"
_BLAME_ORDER: tuple[Blame, ...] = ("product", "test", "unclear")
_IN_FLIGHT = ("pending", "streaming", "STARTED", "IN_PROGRESS")


class _Kind(NamedTuple):
    """One kind of cause. Texts may name {detail}, {first} (an id) and {when}."""

    name: str
    applies: Callable[[BadDocument], bool]
    detail: Callable[[BadDocument], str | None]
    blame: Blame
    sentence: str
    action: str


def _rule(document: BadDocument) -> str | None:
    return document.rules[0] if document.rules else None


def _none(_: BadDocument) -> str | None:
    return None


# The first that applies is the cause: evidence of a test, then what is missing, then what went wrong.
_KINDS = (
    _Kind(
        "test-artifacts", lambda d: d.is_test, _rule, "test", "left by a test helper (rule {detail})", LIST_ARTIFACTS
    ),
    _Kind(
        "suspects",
        lambda d: d.tier == Tier.SUSPECT,
        _rule,
        "unclear",
        "may be a test's by rule {detail}; counted as the product's",
        "analyzer artifacts why {first}",
    ),
    _Kind(
        "orphans",
        lambda d: d.tier == Tier.ORPHAN or (d.task_id is not None and not d.task_exists),
        _none,
        "unclear",
        "their task is gone, and nothing says whose it was",
        "analyzer artifacts list --tier orphan",
    ),
    _Kind(
        "slow",
        lambda d: d.is_slow,
        _none,
        "product",
        "took longer to complete than the policy allows",
        "npx convex logs, around {when}",
    ),
    _Kind(
        "no-status",
        lambda d: d.status is None,
        _none,
        "product",
        "never got a status: an older write path leaves it out, so they never count as completed",
        "analyzer artifacts why {first}",
    ),
    _Kind(
        "stuck-streaming",
        lambda d: d.is_stuck and d.table_name == "chatMessages",
        _none,
        "product",
        "stuck streaming for more than 5 minutes",
        "analyzer artifacts why {first}",
    ),
    _Kind(
        "stuck-workflows",
        lambda d: d.is_stuck,
        _none,
        "product",
        "started more than 5 minutes ago and never went on",
        "analyzer artifacts why {first}",
    ),
    _Kind(
        "failures",
        lambda d: d.is_failed,
        lambda d: d.error_type or "no error named",
        "product",
        "failed with {detail}",
        "npx convex logs, around {when}",
    ),
    _Kind(
        "cancelled",
        lambda d: d.status == "CANCELLED",
        _none,
        "product",
        "cancelled: they count in the total and never as completed",
        "analyzer artifacts why {first}",
    ),
    _Kind(
        "in-flight",
        lambda d: d.status in _IN_FLIGHT,
        _none,
        "product",
        "still in flight, and too young to be stuck",
        "analyzer collect, and look again in a few minutes",
    ),
    _Kind(
        "unknown-status",
        lambda _: True,
        lambda d: d.status,
        "product",
        "have the status {detail}, which the health function does not know",
        "analyzer snapshots show",
    ),
)


# What pulls on the metric of a rule.
_PULLS: Mapping[str, Callable[[BadDocument], bool]] = {
    "workflow_error_rate": lambda d: d.table_name == TRACES and d.is_in_window and d.is_failed,
    "message_error_rate": lambda d: d.table_name == MESSAGES and d.is_in_window and d.is_failed,
    "workflow_completion_rate": lambda d: d.table_name == TRACES and d.is_in_window and not d.is_slow,
    "message_completion_rate": lambda d: d.table_name == MESSAGES and d.is_in_window,
    "stuck_workflows": lambda d: d.table_name == TRACES and d.is_stuck,
    "stuck_messages": lambda d: d.table_name == MESSAGES and d.is_stuck,
    "response_p95_ms": lambda d: d.is_slow,
}


def pulling(bad: Iterable[BadDocument], failing: Sequence[RuleResult]) -> list[BadDocument]:
    """Return the documents that take part in what breaks these rules."""
    pulls = [_PULLS[rule.id] for rule in failing]
    return [document for document in bad if any(pull(document) for pull in pulls)]


def blame(document: BadDocument) -> Blame:
    """Return whose a bad document is."""
    return _kind_of(document).blame


def _kind_of(document: BadDocument) -> _Kind:
    return next(kind for kind in _KINDS if kind.applies(document))


def diagnose(bad: Iterable[BadDocument], flag_changes: Sequence[FlagChange] = ()) -> tuple[Cause, ...]:
    """Group bad documents by cause, the product's first, then tests', then what nobody can tell; larger first."""
    groups: dict[tuple[_Kind, str | None], list[BadDocument]] = {}
    for document in bad:
        kind = _kind_of(document)
        groups.setdefault((kind, kind.detail(document)), []).append(document)
    causes = [_cause(kind, detail, found, flag_changes) for (kind, detail), found in groups.items()]
    return tuple(sorted(causes, key=lambda c: (_BLAME_ORDER.index(c.blame), -c.count, c.id)))


def _cause(kind: _Kind, detail: str | None, documents: list[BadDocument], flag_changes: Sequence[FlagChange]) -> Cause:
    affected: dict[str, list[str]] = {}
    for document in documents:
        affected.setdefault(document.table_name, []).append(document.id)
    words = {"detail": detail, "first": min(d.id for d in documents), "when": _period(documents)}
    more = _breakdown(documents, flag_changes) if kind.name in ("failures", "slow") else ""
    return Cause(
        id=kind.name if detail is None else f"{kind.name}:{detail}",
        cause=kind.sentence.format(**words) + more,
        action=kind.action.format(**words),
        blame=kind.blame,
        affected={table: tuple(sorted(ids)) for table, ids in sorted(affected.items())},
    )


def _breakdown(documents: list[BadDocument], flag_changes: Sequence[FlagChange]) -> str:
    parts = [
        _most_common("model", [d.model for d in documents]),
        _most_common("workflow", [d.workflow_type for d in documents]),
        _most_common("flags", [_flag_period(d, flag_changes) for d in documents]),
    ]
    return "".join(f"; {part}" for part in parts if part)


def _most_common(title: str, values: list[str | None]) -> str:
    counted = Counter(value for value in values if value is not None)
    if not counted:
        return ""
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{value} {n}" for value, n in ranked[:MAX_NAMED])
    return f"{title} {shown}" + (f" and {len(ranked) - MAX_NAMED} more" if len(ranked) > MAX_NAMED else "")


def _flag_period(document: BadDocument, flag_changes: Sequence[FlagChange]) -> str | None:
    """Return the last flag change before a document, if flags ever changed."""
    if not flag_changes or document.judged_at_ms is None:
        return None
    before = [change for change in flag_changes if change.at_ms <= document.judged_at_ms]
    if not before:
        return f"before {flag_changes[0].name} changed"
    return f"after {before[-1].name} = {before[-1].value if before[-1].value is not None else 'unset'}"


def _period(documents: list[BadDocument]) -> str:
    times = [d.judged_at_ms for d in documents if d.judged_at_ms is not None]
    return instant(min(times)) if times else "that time"
