"""Which documents are to be deleted: whole groups, and the reason for each that stays. Reads the store alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analyzer.analysis.artifacts import list_artifacts
from analyzer.errors import UsageError
from analyzer.model import ROOT, Tier
from analyzer.purge.members import Member, find_documents, find_owners, find_references, grouped
from analyzer.purge.references import Reference, closed, merged
from analyzer.rules import RuleSet
from analyzer.store import Frame
from analyzer.units import age, visible

PURGEABLE = (Tier.CERTAIN, Tier.LIKELY)  # suspects and orphans never
DEFAULT_IDLE_MS = 900_000


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants deleted."""

    tiers: tuple[Tier, ...] = (Tier.CERTAIN,)
    idle_ms: int = DEFAULT_IDLE_MS  # nothing in a group may be younger
    older_than_ms: int | None = None  # everything in a group must be older; None: off
    tasks: tuple[str, ...] = ()  # only what belongs to these tasks; none: all
    rules: tuple[str, ...] = ()  # only groups whose root one of these selected; none: all
    excluded: frozenset[str] = frozenset()  # groups that hold one of these ids stay
    ignored: frozenset[str] = frozenset()  # edges, "table.field", that may be left dangling
    scrubbed: frozenset[str] = frozenset()  # edges that may be taken out of documents that stay


@dataclass(frozen=True, slots=True)
class Group:
    """A root artifact and all that belongs to it."""

    root: str
    members: tuple[Member, ...]  # children first, the root last


@dataclass(frozen=True, slots=True)
class Blocked:
    """A group that stays."""

    root: str
    reason: str
    referrer: Reference | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What goes and what stays."""

    groups: tuple[Group, ...]  # in the order in which they can go
    blocked: tuple[Blocked, ...]
    references: tuple[Reference, ...]  # from and to members of selected and blocked groups
    unknown_targets: tuple[str, ...] = ()  # ids in members that are no documents: stored files, or long gone
    scrubs: Mapping[str, tuple[Reference, ...]] = field(default_factory=dict)  # by root: from documents that stay


@dataclass
class _Draft:
    """Groups on their way to a selection."""

    groups: dict[str, list[Member]]
    blocked: dict[str, Blocked] = field(default_factory=dict)

    def block(self, root: str, reason: str, referrer: Reference | None = None) -> None:
        self.blocked.setdefault(root, Blocked(root, reason, referrer))

    @property
    def open(self) -> dict[str, list[Member]]:
        return {root: members for root, members in self.groups.items() if root not in self.blocked}


def select(
    frame: Frame,
    rules: RuleSet,
    choice: Choice,
    *,
    at_ms: int | None = None,
    discovered: Iterable[Reference] = (),
    touched_ms: Mapping[str, float] | None = None,
) -> Selection:
    """Choose groups among the artifacts of a prepared frame.

    at_ms       the deployment's clock; default: the frame's
    discovered  references that the store cannot know, as found in the documents themselves
    touched_ms  when documents were written, where that is known better
    raises      UsageError for an excluded id that stands in no group
    """
    artifacts = {item.id: item for item in list_artifacts(frame, choice.tiers) if item.tier in PURGEABLE}
    owners = find_owners(frame, rules, artifacts)
    documents = find_documents(frame, {*artifacts, *owners})
    at_ms = frame.at_ms if at_ms is None else at_ms
    draft = _Draft(grouped(artifacts, owners, documents, touched_ms or {}))
    references = {*find_references(frame, documents), *discovered}
    _narrow(draft, choice, references, at_ms)
    _check_people(frame, draft)
    for root in draft.groups:
        _check_members(draft, root, idle_ms=choice.idle_ms, at_ms=at_ms)
    targets = {reference.target for reference in references if reference.id in documents} - documents.keys()
    known = {*find_documents(frame, targets), *documents}
    _close(draft, references, known, {f"{edge.table}.{edge.field}" for edge in rules.edges}, choice)
    return _selection(draft, references, sorted(targets - known), choice)


def _narrow(draft: _Draft, choice: Choice, references: Collection[Reference], at_ms: int) -> None:
    """Leave out the groups that were not asked for; they are documents that stay like any other."""
    candidates = {member.id for members in draft.groups.values() for member in members}
    if unknown := sorted(choice.excluded - candidates):  # mistyped, it would protect nothing
        raise UsageError(
            f"{visible(unknown[0])} cannot be excluded: no group that may go holds a document with this id",
            hint=f"leave it out, or ask what it is: analyzer artifacts why {visible(unknown[0])}",
        )
    of_task = {r.id for r in references if r.field == "taskId" and r.target in choice.tasks}
    for root, members in list(draft.groups.items()):
        ids = {member.id for member in members}
        selected_by = members[-1].rules
        is_wanted = (
            (not choice.tasks or root in choice.tasks or root in of_task)
            and (not choice.rules or bool(set(choice.rules) & set(selected_by)))
            and not ids & choice.excluded
            and (
                choice.older_than_ms is None
                or all(member.touched_ms <= at_ms - choice.older_than_ms for member in members)
            )
        )
        if not is_wanted:
            del draft.groups[root]


def _check_people(frame: Frame, draft: _Draft) -> None:
    """Block what a person said is real, and what a person does: a test gives no task that it made another title."""
    marked = {mark.id: mark.verdict for mark in frame.marks()}
    members = [(root, member) for root, own in draft.groups.items() for member in own]
    tasks = sorted(member.id for _, member in members if member.table == "tasks" and member.component == ROOT)
    renamed = {id_ for (id_,) in frame.rows("purge/renamed_tasks", ids=tasks)} if tasks else set()
    for root, member in members:
        if marked.get(member.id) == "real":
            draft.block(root, f"a person marked {member.table} {member.id} as real")
        elif member.id in renamed and marked.get(member.id) != "test":
            fact = f"tasks {member.id} had another title before: a person may use it"
            draft.block(root, f"{fact}, unless `analyzer artifacts mark --test` says otherwise")


def _check_members(draft: _Draft, root: str, *, idle_ms: int, at_ms: int) -> None:
    members = draft.groups[root]
    for member in members:
        if member.component != ROOT:
            draft.block(root, f"{member.id} is in the component {member.component}, where nothing is deleted")
    newest = max(members, key=lambda member: (member.touched_ms, member.id))
    if newest.touched_ms > at_ms - idle_ms:
        ago = age(max(at_ms - newest.touched_ms, 0))
        draft.block(root, f"{newest.table} {newest.id} was created or changed {ago} ago: it may be in use")


def _close(
    draft: _Draft,
    references: Collection[Reference],
    known: Collection[str],
    declared: Collection[str],
    choice: Choice,
) -> None:
    """Block what would leave a reference dangling, or has one to a document that stays and nobody declared.

    known   ids of all documents that references lead to, those of groups that were not asked for among them
    """
    while True:
        groups = {root: [member.id for member in members] for root, members in draft.open.items()}
        going, dangling = closed(groups, held(references, choice), choice.ignored)
        for item in dangling:
            draft.block(item.root, item.reason, item.reference)
        group_of = {member: root for root in going for member in groups[root]}
        before = len(draft.blocked)
        for reference in sorted(references):
            root = group_of.get(reference.id)
            if root is None or reference.edge in declared or reference.edge in choice.ignored:
                continue
            if reference.target in known and reference.target not in group_of:
                of = f"{reference.edge} of {reference.id}"
                fact = f"{of} is no declared edge, and refers to {reference.target}, which stays"
                draft.block(root, fact, reference)
        if len(draft.blocked) == before:
            return


def held(references: Iterable[Reference], choice: Choice) -> list[Reference]:
    """Return the references that hold what they refer to: those that may be scrubbed do not."""
    return [r for r in references if not (r.edge in choice.scrubbed and r.component == ROOT)]


def scrubs(
    groups: Mapping[str, Collection[str]], references: Iterable[Reference], choice: Choice
) -> dict[str, tuple[Reference, ...]]:
    """Return by root the references that have to be taken out of documents that stay."""
    group_of = {member: root for root, members in groups.items() for member in members}
    found: dict[str, list[Reference]] = {}
    for reference in sorted(set(references) - set(held(references, choice))):
        root = group_of.get(reference.target)
        if root is not None and reference.id not in group_of:
            found.setdefault(root, []).append(reference)
    return {root: tuple(own) for root, own in found.items()}


def _together(found: Mapping[str, Iterable[Reference]]) -> list[Reference]:
    """Tie groups together that one document loses references to: it is changed once."""
    members: dict[str, list[str]] = {}
    for own in found.values():
        for reference in own:
            members.setdefault(reference.id, []).append(reference.target)
    pairs = [(a, b) for targets in members.values() for a, b in zip(targets, targets[1:] + targets[:1], strict=True)]
    return [Reference(ROOT, "", a, "", b) for a, b in pairs if a != b]


def _selection(draft: _Draft, references: Collection[Reference], unknown: Sequence[str], choice: Choice) -> Selection:
    groups = draft.open
    members_of = {root: [m.id for m in members] for root, members in groups.items()}
    to_scrub = scrubs(members_of, references, choice)
    steps = merged(members_of, [*references, *_together(to_scrub)])
    found = []
    for roots in steps:
        members = sorted(
            (member for root in roots for member in groups[root]),
            key=lambda member: (
                -member.level,
                roots.index(member.id) if member.id in roots else -1,
                member.table,
                member.id,
            ),
        )
        found.append(Group(members[-1].id, tuple(members)))
    blocked = tuple(sorted(draft.blocked.values(), key=lambda item: item.root))
    final = {group.root: [member.id for member in group.members] for group in found}
    return Selection(
        tuple(found),
        blocked,
        tuple(sorted(set(references))),
        tuple(unknown),
        scrubs(final, references, choice),
    )
