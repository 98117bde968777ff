"""Who refers to whom: ids that stand in a document, and what follows for groups that are to be deleted. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from analyzer.convex import ids
from analyzer.convex.text import TEXT_KEY

OWN_FIELDS = ("_id", "_creationTime")
MAX_DEPTH = 64  # levels of a document; the platform allows 16


class Reference(NamedTuple):
    """One id that stands in one document."""

    component: str  # of the document that refers, "" is the root
    table: str
    id: str
    field: str  # path in the document: "taskId", "meta.parents[]"
    target: str  # the id that stands there

    @property
    def edge(self) -> str:
        """Return how a configuration names it: "table.field"."""
        return f"{self.table}.{self.field}"


def of_document(component: str, table: str, document: Mapping[str, Any]) -> Iterator[Reference]:
    """Return every id that stands in a document, wherever it stands: in fields, nested, in arrays, in keys, in text.

    document  parsed export_json, or fields whose text was reduced: then the ids that were found in the text
    """
    own = str(document.get("_id", ""))
    for field, value in document.items():
        if field not in OWN_FIELDS:
            for path, target in in_value(field, value):
                if target != own:
                    yield Reference(component, table, own, path, target)


def in_value(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Return (path, id) of every id in a value."""
    if isinstance(value, str):
        if len(value) >= ids.MIN_LENGTH:
            yield from ((path, found) for found in ids.find(value))
    elif depth > MAX_DEPTH:
        raise ValueError("a document is nested too deep")
    elif isinstance(value, list):
        for item in value:
            yield from in_value(f"{path}[]", item, depth + 1)
    elif isinstance(value, dict):
        if set(value) == {TEXT_KEY}:
            yield from ((path, str(found)) for found in value[TEXT_KEY].get("ids", ()))
            return
        for name, item in value.items():
            if len(name) >= ids.MIN_LENGTH:
                yield from ((path, found) for found in ids.find(name))
            yield from in_value(f"{path}.{name}", item, depth + 1)


@dataclass(frozen=True, slots=True)
class Dangling:
    """Why a group cannot go: a document that stays refers to a member."""

    root: str
    reference: Reference

    @property
    def reason(self) -> str:
        """Say it in a clause."""
        return f"{self.reference.edge} of {self.reference.id}, which stays, refers to {self.reference.target}"


def closed(
    groups: Mapping[str, Collection[str]], references: Iterable[Reference], ignored: Collection[str] = ()
) -> tuple[frozenset[str], tuple[Dangling, ...]]:
    """Find the largest set of groups that can go together without leaving a reference to what is gone.

    groups      ids of members by root; no id is in two groups
    references  all that lead to a member
    ignored     edges, "table.field", whose references may be left dangling
    returns     the roots that can go, and for each that cannot the first reference that holds it
    """
    group_of = {member: root for root, members in groups.items() for member in members}
    holding: dict[str, list[Reference]] = {}
    going = set(groups)
    dangling: list[Dangling] = []
    doubtful: list[tuple[str, Reference]] = []
    for reference in sorted(set(references)):
        root, referrer = group_of.get(reference.target), group_of.get(reference.id)
        if root is None or root == referrer or reference.edge in ignored:
            continue
        if referrer is None:
            doubtful.append((root, reference))
        else:
            holding.setdefault(referrer, []).append(reference)
    while doubtful:
        following: list[tuple[str, Reference]] = []
        for root, reference in doubtful:
            if root in going:
                going.discard(root)
                dangling.append(Dangling(root, reference))
                following += [(group_of[held.target], held) for held in holding.get(root, ())]
        doubtful = following
    return frozenset(going), tuple(dangling)


def merged(groups: Mapping[str, Sequence[str]], references: Iterable[Reference]) -> list[tuple[str, ...]]:
    """Order groups so that who refers goes before whom it refers to; groups that refer to each other become one.

    returns  roots by step; a step of several roots has to go all at once
    """
    group_of = {member: root for root, members in groups.items() for member in members}
    to: dict[str, set[str]] = {root: set() for root in groups}
    for reference in references:
        source, target = group_of.get(reference.id), group_of.get(reference.target)
        if source is not None and target is not None and source != target:
            to[source].add(target)
    return _Tarjan({root: sorted(found) for root, found in sorted(to.items())}).steps()


class _Tarjan:
    """Strongly connected components, without recursion: chains of groups may be long."""

    def __init__(self, to: Mapping[str, Sequence[str]]) -> None:
        self._to = to
        self._index: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._stack: list[str] = []
        self._on_stack: set[str] = set()
        self._found: list[tuple[str, ...]] = []

    def steps(self) -> list[tuple[str, ...]]:
        """Return the components, each before those that it refers to."""
        for root in self._to:
            if root not in self._index:
                self._visit(root)
        return self._found[::-1]

    def _visit(self, start: str) -> None:
        work = [(start, iter(self._to[start]))]
        self._enter(start)
        while work:
            node, following = work[-1]
            for target in following:
                if target not in self._index:
                    self._enter(target)
                    work.append((target, iter(self._to[target])))
                    break
                if target in self._on_stack:
                    self._low[node] = min(self._low[node], self._index[target])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    self._low[above] = min(self._low[above], self._low[node])
                if self._low[node] == self._index[node]:
                    self._leave(node)

    def _enter(self, node: str) -> None:
        self._index[node] = self._low[node] = len(self._index)
        self._stack.append(node)
        self._on_stack.add(node)

    def _leave(self, node: str) -> None:
        members = []
        while True:
            member = self._stack.pop()
            self._on_stack.discard(member)
            members.append(member)
            if member == node:
                break
        self._found.append(tuple(sorted(members)))
