"""What keeps a status from being told, and what a person should know besides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import Judgement, Policy, Unknown, judged_documents
from analyzer.model import ROOT, FilterName, Finding, Snapshot, TableCoverage, TableRef
from analyzer.store import Frame
from analyzer.units import age, count, instant

if TYPE_CHECKING:
    from analyzer.analysis.artifacts import Unjudged

JUDGED_TABLES = ("chatMessages", "workflowTraces")
_FILTER_TABLES: Mapping[FilterName, tuple[str, ...]] = {  # what a filter must see to know what to leave out
    FilterName.NONE: (),
    FilterName.NAME: ("tasks",),
    FilterName.EVIDENCE: ("tasks", "users"),
    FilterName.WIDE: ("tasks", "users"),
}
LOWER_BOUND = "newest-creation-time"  # a time basis that tells only before when a snapshot was not taken


def needed_tables(filter_name: FilterName) -> tuple[str, ...]:
    """Return the tables without which health under a filter is unknown."""
    return JUDGED_TABLES + _FILTER_TABLES[filter_name]


def table_coverage(snapshot: Snapshot, tables: Sequence[str]) -> dict[str, TableCoverage]:
    """Return what a snapshot holds of tables of the root component, by name."""
    found = {
        name: TableCoverage(TableRef(ROOT, name), "not_collected", None, reason="the snapshot does not hold it")
        for name in tables
    }
    for covered in snapshot.coverage:
        name = covered.table.name
        if covered.table.component == ROOT and name in found and found[name].status != "collected":
            found[name] = covered
    return found


@dataclass(frozen=True, slots=True)
class Gap:
    """A time between two snapshots of which nobody can tell what was changed and deleted in it."""

    table: str | None  # of the root component; None: all
    from_ms: int  # the snapshot before it: its documents are known
    until_ms: int  # the snapshot after it: known as well
    reason: str

    def concerns(self, tables: Sequence[str]) -> bool:
        """Tell whether one of these tables is not known in it."""
        return self.table is None or self.table in tables

    def __str__(self) -> str:
        return f"between {instant(self.from_ms)} and {instant(self.until_ms)} changes are not known: {self.reason}"


def gaps(frame: Frame) -> tuple[Gap, ...]:
    """Return the gaps in the history of a frame's deployment, oldest first."""
    rows = frame.rows("health/gaps")
    return tuple(Gap(table, int(from_ms), int(until_ms), reason) for table, from_ms, until_ms, reason in rows)


def doubts(
    snapshot: Snapshot, at_ms: int, window_ms: int, tables: Sequence[str], lost: Sequence[Gap] = ()
) -> tuple[Unknown, ...]:
    """Return why a snapshot cannot tell health at a clock, whatever it counts.

    tables  that must have been collected
    lost    gaps in the history; at either end of one the documents are known, within it they are not
    """
    found = [
        Unknown("not-collected", f"what {name} holds", f"{name} was not collected: {covered.reason}", "collect it too")
        for name, covered in table_coverage(snapshot, tables).items()
        if covered.status != "collected"
    ]
    last_ms = last_clock_ms(snapshot, window_ms)
    if last_ms is not None and at_ms > last_ms:
        found.append(
            Unknown(
                "gap",
                "what happened in the window",
                f"the whole window lies after the snapshot of {instant(snapshot.as_of_ms)}",
                "collect again, or move --at",
            )
        )
    found += [
        Unknown("gap", "how the documents were at the clock", str(gap), f"take --at {instant(gap.until_ms)}, its end")
        for gap in lost
        if gap.from_ms < at_ms < gap.until_ms and gap.concerns(tables)
    ]
    return tuple(found)


def last_clock_ms(snapshot: Snapshot, window_ms: int) -> int | None:
    """Return the last clock whose window a snapshot reaches into; None where its own time is only a lower bound."""
    return None if snapshot.time_basis == LOWER_BOUND else snapshot.as_of_ms + window_ms


def stale(snapshot: Snapshot, now_ms: int, max_age_ms: int | None) -> tuple[Unknown, ...]:
    """Return a reason to doubt a snapshot that was taken too long ago by the local clock.

    max_age_ms  how old it may be; None for any age
    """
    old_ms = now_ms - snapshot.taken_at_ms
    if max_age_ms is None or old_ms <= max_age_ms:
        return ()
    cause = f"the snapshot was taken {age(old_ms)} ago, more than {age(max_age_ms)}"
    return (Unknown("stale", "how the deployment is now", cause, "collect again"),)


def findings(
    frame: Frame, policy: Policy, raw: Counts, judgement: Judgement, lost: Sequence[Gap] = ()
) -> tuple[Finding, ...]:
    """Return what a person should know of the counts of a frame.

    raw        every document
    judgement  the verdict whose targets are shown
    lost       gaps in the history
    """
    clock = (*_of_the_clock(frame, policy, raw), *_of_gaps(frame.at_ms, policy, lost))
    gone = _of_what_was_forgotten(frame.snapshot)
    return (*clock, *gone, *_of_drift(raw), *_of_targets(judgement))


def unjudged_rules(unjudged: Sequence[Unjudged]) -> tuple[Finding, ...]:
    """Return one finding about all artifact rules whose silence means nothing; none for none."""
    if not unjudged:
        return ()
    why = {item.rule: item.why for item in unjudged}
    shown = "; ".join(f"{rule}: {reason}" for rule, reason in why.items())
    return (
        Finding(
            "rules-unjudged",
            f"{count(len(why), 'rule')} could not be judged, so leftovers of tests may be counted: {shown}",
            {"rules": why},
        ),
    )


def _of_the_clock(frame: Frame, policy: Policy, raw: Counts) -> list[Finding]:
    later_ms = frame.snapshot.as_of_ms - frame.at_ms
    if later_ms > 0:
        documents = frame.rows("health/from_later", window_ms=policy.window_ms)[0][0]
        if judged_documents(raw, policy) and not documents:
            return []  # an earlier snapshot saw every document as it was
        return [
            Finding(
                "statuses-from-later",
                f"the clock is {age(later_ms)} before the snapshot: {count(documents, 'document')} first seen after the"
                " clock with a status that may be from later; what was deleted in between is missing",
                {"documents": documents, "later_ms": later_ms},
            )
        ]
    if later_ms < 0 and frame.snapshot.time_basis != LOWER_BOUND:
        return [
            Finding(
                "clock-after-snapshot",
                f"the clock is {age(-later_ms)} after the snapshot: what happened in between is not in it",
                {"uncovered_ms": -later_ms},
            )
        ]
    return []


def _of_gaps(at_ms: int, policy: Policy, lost: Sequence[Gap]) -> list[Finding]:
    """Say which gaps the window reaches into: what the documents at the clock are is known, what went before is not."""
    return [
        Finding(
            "gap-in-window",
            f"{gap}; what was made and deleted in it is in no count",
            {"table": gap.table, "from_ms": gap.from_ms, "until_ms": gap.until_ms},
        )
        for gap in lost
        if gap.until_ms <= at_ms and at_ms - policy.window_ms < gap.until_ms and gap.concerns(JUDGED_TABLES)
    ]


def _of_what_was_forgotten(snapshot: Snapshot) -> list[Finding]:
    gone = {c.table.name: c.forgotten for c in snapshot.coverage if c.forgotten and c.table.component == ROOT}
    if not gone:
        return []
    tables = ", ".join(f"{number} of {table}" for table, number in sorted(gone.items()))
    text = (
        f"{count(sum(gone.values()), 'document')} that this snapshot held were forgotten and are not counted: {tables}"
    )
    return [Finding("forgotten", text, {"documents": gone})]


def _of_drift(raw: Counts) -> list[Finding]:
    found = []
    tables = zip(
        JUDGED_TABLES,
        (raw.message_redated, raw.workflow_redated),
        (raw.message_undated, raw.workflow_undated),
        (raw.message_other, raw.workflow_other),
        strict=True,
    )
    for table, redated, undated, other in tables:
        if redated:
            found.append(
                Finding(
                    "drift-in-window",
                    f"{count(redated, 'document')} of {table} in the window without a usable createdAt:"
                    " counted by creation time",
                    {"table": table, "field": "createdAt", "documents": redated},
                )
            )
        if undated:
            found.append(
                Finding(
                    "undated",
                    f"{count(undated, 'document')} of {table} with neither createdAt nor creation time: in no window",
                    {"table": table, "documents": undated},
                )
            )
        if other:
            found.append(
                Finding(
                    "unknown-status",
                    f"{count(other, 'document')} of {table} in the window without a status that is known:"
                    " counted in the total only",
                    {"table": table, "documents": other},
                )
            )
    return found


def _of_targets(judgement: Judgement) -> list[Finding]:
    targets = [rule for rule in judgement.rules if rule.target_met is not None]
    if not targets:
        return []
    met = sum(1 for rule in targets if rule.target_met)
    return [
        Finding(
            "targets",
            f"{met} of {len(targets)} targets met",
            {
                rule.id: {
                    "value": rule.value,
                    "operator": rule.target_operator,
                    "target": rule.target,
                    "met": rule.target_met,
                }
                for rule in targets
            },
        )
    ]
