"""Artifacts and what belongs to them, as the store knows them: the raw material of groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from analyzer.analysis.artifacts import Artifact
from analyzer.model import ROOT, Tier
from analyzer.purge.references import Reference, in_value
from analyzer.rules import RuleSet
from analyzer.store import Frame

NS_PER_MS = 1_000_000
MAX_LEVELS = 8  # of owning references; the longest path has three


@dataclass(frozen=True, slots=True)
class Member:
    """One document of a group, as the store knows it."""

    component: str
    table: str
    id: str
    tier: Tier
    rules: tuple[str, ...]
    reason: str
    via: str | None
    level: int  # owning references between it and the root
    touched_ms: float  # when it was created or changed last, at the latest
    written_ns: int  # source time of the revision


def find_owners(frame: Frame, rules: RuleSet, artifacts: Mapping[str, Artifact]) -> dict[str, tuple[str, str]]:
    """Follow owning references down; returns (table, owner) of each document that belongs to an artifact."""
    by_task, by_message = list(rules.owned_by("tasks")), list(rules.owned_by("chatMessages"))
    found: dict[str, tuple[str, str]] = {}
    tasks = {item.id for item in artifacts.values() if item.table == "tasks"}
    level = [item.id for item in artifacts.values() if item.component == ROOT]
    for _ in range(MAX_LEVELS):
        if not level:
            return found
        rows = frame.rows("purge/owned_documents", ids=level, task_tables=by_task, message_tables=by_message)
        following = []
        for table, id_, owner in sorted(rows, key=lambda row: (row[2] not in tasks, row)):  # a task before a message
            if id_ not in found and id_ != owner:
                found[id_] = (table, owner)
                following.append(id_)
        level = following
    raise AssertionError("owning references go round in circles")


@dataclass(frozen=True, slots=True)
class Document:
    component: str
    table: str
    revision_ns: int
    is_exact: bool
    is_changed: bool
    stamped_ms: float | None
    leftovers: str | None

    @property
    def touched_ms(self) -> float:
        """Return when it was touched last, at the latest.

        A time of writing is exact in a live read. An export tells only that the document was there; what it says of
        itself counts then, unless the store saw it change: then the time it was seen, which cannot be too early.
        """
        written_ms = self.revision_ns / NS_PER_MS
        if self.is_exact or self.is_changed or self.stamped_ms is None:
            return written_ms
        return min(self.stamped_ms, written_ms)


def find_documents(frame: Frame, ids: Iterable[str]) -> dict[str, Document]:
    wanted = sorted(set(ids))
    rows = frame.rows("purge/documents", ids=wanted) if wanted else []
    return {row[2]: Document(row[0], row[1], *row[3:]) for row in rows}


def grouped(
    artifacts: Mapping[str, Artifact],
    owners: Mapping[str, tuple[str, str]],
    documents: Mapping[str, Document],
    touched_ms: Mapping[str, float],
) -> dict[str, list[Member]]:
    groups: dict[str, list[Member]] = {}
    for id_, document in documents.items():
        root, level = id_, 0
        while root in owners:
            root, level = owners[root][1], level + 1
        artifact = artifacts.get(id_)
        above = artifacts[root]
        groups.setdefault(root, []).append(
            Member(
                component=document.component,
                table=document.table,
                id=id_,
                tier=artifact.tier if artifact else above.tier,
                rules=artifact.rules if artifact else ("owned-by-artifact",),
                reason=artifact.reason if artifact else "it belongs to an artifact",
                via=artifact.via if artifact else owners[id_][1],
                level=level,
                touched_ms=touched_ms.get(id_, document.touched_ms),
                written_ns=document.revision_ns,
            )
        )
    for members in groups.values():
        members.sort(key=lambda member: (-member.level, member.table, member.id))
    return groups


def find_references(frame: Frame, documents: Mapping[str, Document]) -> set[Reference]:
    """Return the references from and to documents that the store knows of."""
    ids = sorted(documents)
    if not ids:
        return set()
    found = {Reference(*row) for row in frame.rows("purge/references", ids=ids)}
    own = ((d.component, d.table, id_, d.leftovers) for id_, d in documents.items() if d.leftovers)
    for component, table, id_, text in [*frame.rows("purge/mentions", ids=ids), *own]:
        for name, value in orjson.loads(text).items():
            for path, target in in_value(name, value):
                if target != id_ and (target in documents or id_ in documents):
                    found.add(Reference(component, table, id_, path, target))
    return found
