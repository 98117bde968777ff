"""Which documents tests left behind: rules, what follows from them along edges, and what people said.

The evidence is gathered in temporary tables, small sets first: what rules and marks select, then what belongs to
that. The large tables are only ever joined with these sets. Only orphans need every reference to be looked at, so
they are left out unless asked for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from analyzer.model import ROOT, Tier
from analyzer.predicate import Leaf, leaves
from analyzer.rules import STRUCTURAL, InternalLists, Rule, RuleSet, StructuralRule, fingerprints, rules_hash
from analyzer.rules.checks import in_order
from analyzer.sql import Derived
from analyzer.store import Frame

TIERS = (Tier.CERTAIN, Tier.LIKELY, Tier.SUSPECT, Tier.ORPHAN)  # strongest first
NO_LISTS = InternalLists()
EVIDENCE = "rule_evidence"
NO_LIMIT = 2**62
SEARCH_VERSION = "1"  # raised when queries/artifacts/ finds something else than before: what is remembered is void


class Artifact(NamedTuple):
    """One document that a test left behind."""

    component: str  # path, "" is the root
    table: str
    id: str
    tier: Tier
    rules: tuple[str, ...]  # ids of the rules that selected it, strongest first
    reason: str  # the reason of the first rule
    via: str | None  # the document through which the first rule reached it
    label: str | None = None  # title of a task, email of a user: text from the document


class Unjudged(NamedTuple):
    """A rule that could not be judged, wholly or for some documents: its silence means nothing."""

    rule: str
    why: str


class TierCount(NamedTuple):
    """How many artifacts of one tier a table holds."""

    tier: Tier
    component: str
    table: str
    documents: int


def find(
    frame: Frame, rules: RuleSet, internal: InternalLists = NO_LISTS, *, orphans: bool = False, whole: bool = True
) -> None:
    """Make `artifact` and `internal_document` as `prepare` does, from what was remembered where that fits.

    The tables of evidence are not made. Where orphans were not asked for, `artifact` may hold them all the same, and
    rules of that tier in `rules`; the tiers of other documents are the same.

    whole  False where only messages and traces are looked at: `artifact` may then hold documents of other tables
           whose owner does not exist at the clock
    """
    if not frame.recall(search_hash(frame, rules), orphans=orphans, whole=whole):
        prepare(frame, rules, internal, orphans=orphans)
    elif internal != NO_LISTS:
        step = following(frame, rules, internal)[-1]
        frame.materialise(step.table, step.query, **step.params)


def search_hash(frame: Frame, rules: RuleSet) -> str:
    """Return the hash of all that a search depends on beside documents and clock, the order of the rules included."""
    known = [rules_hash(rules, NO_LISTS, frame.marks()), SEARCH_VERSION, *(rule.id for rule in rules.rules)]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()


def prepare(frame: Frame, rules: RuleSet, internal: InternalLists = NO_LISTS, *, orphans: bool = False) -> None:
    """Make the temporary tables `artifact` and `internal_document` of a frame.

    artifact           component, table_name, id, tier, rules VARCHAR[], reason, via
    internal_document  component, table_name, id
    orphans            also documents whose task is gone and of which nothing else is known; reads every reference
    """
    gather(frame, rules)
    for step in following(frame, rules, internal, orphans=orphans):
        frame.materialise(step.table, step.query, **step.params)


def gather(frame: Frame, rules: RuleSet) -> None:
    """Make the temporary table `rule_evidence`: what marks and rules select by themselves."""
    marks = frame.marks()
    frame.materialise("gone_users", "artifacts/gone_users")
    frame.materialise("gone_tasks", "artifacts/gone_tasks")
    test_ids = [mark.id for mark in marks if mark.verdict == "test"]
    frame.materialise(EVIDENCE, "artifacts/marked_evidence", test_ids=test_ids)
    real_ids = [mark.id for mark in marks if mark.verdict == "real"]
    for rule in in_order(rules):
        _apply(frame, rule, real_ids)


def _apply(frame: Frame, rule: Rule, real_ids: Sequence[str]) -> None:
    """Add what one rule selects to the evidence, among the documents in force and among those gone since."""
    gone = {"users": "gone_users", "tasks": "gone_tasks"}
    keep = functools.partial(
        frame.materialise,
        EVIDENCE,
        "artifacts/with_rule",
        rule=rule.id,
        tier_rank=TIERS.index(rule.tier),
        real_ids=list(real_ids),
    )
    if frame.materialise_matches("rule_match", rule.table, rule.where, evidence=EVIDENCE):
        keep(is_gone=False)
    for table, source in gone.items():
        if rule.table in (table, "*"):
            found = frame.materialise_matches("rule_match", table, rule.where, evidence=EVIDENCE, source=source)
            if found:
                keep(is_gone=True)


def following(
    frame: Frame, rules: RuleSet, internal: InternalLists = NO_LISTS, *, orphans: bool = False
) -> tuple[Derived, ...]:
    """Return what follows from `rule_evidence` as tables to fill, in this order, up to those that `prepare` makes.

    Down the edges: users, their tasks, what belongs to those, what belongs to their messages.
    """
    real: list[str] = [mark.id for mark in frame.marks() if mark.verdict == "real"]
    by_task, by_message = list(rules.owned_by("tasks")), list(rules.owned_by("chatMessages"))
    order: list[Rule | StructuralRule] = [*STRUCTURAL[:1], *rules.rules, *STRUCTURAL[1:]]
    steps: list[tuple[str, dict[str, Any]]] = [
        ("task_evidence", {"real_ids": real}),
        ("owned_evidence", {"tables": by_task, "real_ids": real}),
        (
            "orphan_evidence",
            {"wanted": orphans and tasks_are_known(frame), "tables": by_task, "real_ids": real},
        ),
        ("message_evidence", {"tables": by_message, "real_ids": real}),
        ("artifact", {"rules": [r.id for r in order], "reasons": [r.reason for r in order]}),
        (
            "internal_document",
            {
                "emails": [email.lower() for email in internal.emails],
                "users": list(internal.users),
                "names": [name.lower() for name in internal.users],
                "repos": [repo.lower() for repo in internal.repos],
                "task_tables": by_task,
                "message_tables": by_message,
                "real_ids": real,
            },
        ),
    ]
    return tuple(Derived(table, f"artifacts/{table}", params) for table, params in steps)


def list_artifacts(frame: Frame, tiers: Sequence[Tier] = TIERS, *, limit: int | None = None) -> tuple[Artifact, ...]:
    """Return the artifacts of a prepared frame, strongest tier first, then by table and id.

    limit  how many at most; None for all
    """
    rows = frame.rows(
        "artifacts/list",
        tiers=[tier.value for tier in TIERS if tier in tiers],
        limit=NO_LIMIT if limit is None else min(limit, NO_LIMIT),
    )
    return tuple(
        Artifact(component, table, id_, Tier(tier), tuple(fired), reason, via, label)
        for component, table, id_, tier, fired, reason, via, label in rows
    )


def count_artifacts(frame: Frame) -> tuple[TierCount, ...]:
    """Return how many artifacts of each tier each table of a prepared frame holds, strongest tier first."""
    return tuple(
        TierCount(Tier(tier), component, table, documents)
        for tier, component, table, documents in frame.rows("artifacts/tiers")
    )


def unjudged(frame: Frame, rules: RuleSet, *, orphans: bool = True) -> tuple[Unjudged, ...]:
    """Return the rules whose silence means nothing for a frame's snapshot, in the order of the rules.

    orphans  whether orphans were asked for
    """
    absent = {
        covered.table.name
        for covered in frame.snapshot.coverage
        if covered.table.component == ROOT and covered.status == "not_collected"
    }
    found = [Unjudged(rule.id, f"{rule.table} was not collected") for rule in rules.rules if rule.table in absent]
    found += _unjudged_text(frame, rules)
    if orphans and not tasks_are_known(frame):
        found.append(Unjudged("orphan", "tasks was not collected"))
    return tuple(found)


def _unjudged_text(frame: Frame, rules: RuleSet) -> list[Unjudged]:
    """Find rules that look for a pattern in text of which only length and hash are left."""
    checked = set(frame.snapshot.text_fingerprints)
    is_text_kept = functools.cache(lambda: frame.rows("artifacts/unkept_text")[0][0] == 0)
    new = {(f.field, f.pattern) for f in fingerprints(rules) if f.id not in checked}
    reduced = {
        (drift.table, drift.field): drift.count
        for drift in frame.snapshot.drift
        if drift.component == ROOT and drift.kind == "reduced_text"
    }
    found = []
    for rule in rules.rules:
        for leaf in leaves(rule.where):
            if leaf.operator != "matches":
                continue
            count = reduced.get((rule.table, leaf.field), 0)
            if (leaf.field, leaf.values[0]) in new and not is_text_kept():
                found.append(
                    Unjudged(
                        rule.id, f"{leaf.field} was not checked for its pattern when it was collected: collect again"
                    )
                )
            elif count and not _reads_reduced_text(rule.table, leaf):
                found.append(Unjudged(rule.id, f"the text of {leaf.field} is not stored for {count} documents"))
    return found


def _reads_reduced_text(table: str, leaf: Leaf) -> bool:
    from analyzer.store.predicates import reads_reduced_text

    return reads_reduced_text(table, leaf)


def tasks_are_known(frame: Frame) -> bool:
    """Whether a task that is not in the store is not in the deployment either."""
    return any(
        covered.table.component == ROOT and covered.table.name == "tasks" and covered.status == "collected"
        for covered in frame.snapshot.coverage
    )
