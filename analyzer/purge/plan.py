"""Makes plans: a rehearsal from files alone, or a plan from a live deployment that can be applied. Changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analyzer import clock, units
from analyzer.analysis.artifacts import prepare
from analyzer.convex import functions, ids
from analyzer.convex.client import Client
from analyzer.model import ROOT
from analyzer.purge import checks, live, plan_file, scrub
from analyzer.purge.members import NS_PER_MS
from analyzer.purge.plan_file import BlockedGroup, Evidence, Plan, Planned, PlannedGroup, Scrub, TableTotal
from analyzer.purge.rates import function_errors
from analyzer.purge.references import Reference, closed, of_document
from analyzer.purge.select import Blocked, Choice, Group, Selection, select
from analyzer.rules import InternalLists, RuleSet, rules_hash
from analyzer.sources.live import LiveSource
from analyzer.store import Frame

NO_LISTS = InternalLists()


@dataclass(frozen=True, slots=True)
class Judged:
    """What decides who is an artifact, and what the user wants deleted of them."""

    rules: RuleSet
    lists: InternalLists = NO_LISTS
    choice: Choice = field(default_factory=Choice)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What only the deployment could tell; empty in a rehearsal."""

    documents: Mapping[str, live.Found]
    evidence: Mapping[str, live.Found]
    counts: Mapping[str, int]
    tables: Mapping[str, str]
    functions: Mapping[str, int] | None = None
    scrubs: Mapping[str, tuple[Scrub, ...]] = field(default_factory=dict)  # by root


NOTHING_ASKED = _Asked({}, {}, {}, {})


def rehearse(frame: Frame, judged: Judged) -> Plan:
    """Show what a plan would hold, from what was collected. The result can be read and not applied.

    raises  GuardRefused when tables are missing that may hold references
    """
    checks.check_coverage(frame.snapshot)
    prepare(frame, judged.rules, judged.lists)
    selection = select(frame, judged.rules, judged.choice)
    return _plan(frame, judged, selection, NOTHING_ASKED, origin=None)


def make(source: LiveSource, frame: Frame, judged: Judged) -> Plan:
    """Make a plan that can be applied: every document is asked for again, and everything that refers to one.

    frame   of a snapshot of the same deployment, at most 15 minutes old by its clock
    raises  GuardRefused; SourceError when the deployment does not answer in full
    """
    client, snapshot = source.connection.client, frame.snapshot
    now_ns = functions.now_ns(client)
    checks.check_coverage(snapshot)
    checks.check_snapshot(snapshot, source.connection.deployment.name, now_ns)
    prepare(frame, judged.rules, judged.lists)
    first = select(frame, judged.rules, judged.choice, at_ms=now_ns // NS_PER_MS)
    members = frozenset(member.id for group in first.groups for member in group.members)
    watch = live.Watch(source, members, members)
    if members:
        watch.refresh()
    selection = select(
        frame,
        judged.rules,
        judged.choice,
        at_ms=now_ns // NS_PER_MS,
        discovered=watch.references(),
        touched_ms={id_: ns / NS_PER_MS for id_, ns in watch.written_ns.items()} if watch.tells_times else None,
    )
    asked, drifted = _ask(source, frame, selection, watch)
    if drifted:
        selection = _without(selection, drifted, judged.choice)
    return _plan(frame, judged, selection, asked, origin=source.connection.target.origin)


def _ask(
    source: LiveSource, frame: Frame, selection: Selection, watch: live.Watch
) -> tuple[_Asked, dict[str, Blocked]]:
    """Read every selected document again; returns what was found, and the groups that are not as the store has them."""
    client = source.connection.client
    mapping = live.table_mapping(client)
    wanted = [(member.table, member.id) for group in selection.groups for member in group.members]
    found = live.read_documents(client, wanted)
    before = None
    if wanted and not watch.tells_times:
        before = live.read_documents(client, wanted, as_of_ns=frame.snapshot.as_of_ns)
    drifted: dict[str, Blocked] = {}
    for group in selection.groups:
        for member in group.members:
            now, old = found[member.id], before[member.id] if before else None
            if before is not None:
                is_same = now is not None and old is not None and now.sha256 == old.sha256
            else:
                is_same = now is not None and watch.written_ns.get(member.id, 2**63) <= frame.snapshot.as_of_ns
            if not is_same:
                fact = f"{member.table} {member.id} changed after the snapshot that it was judged by"
                drifted.setdefault(group.root, Blocked(group.root, fact))
    to_change = _scrubs(client, selection, drifted)
    asked = _Asked(
        documents={id_: item for id_, item in found.items() if item is not None},
        evidence={id_: item for id_, item in _evidence(client, frame, selection, drifted).items() if item is not None},
        counts={table: live.table_count(client, table) for table in sorted({table for table, _ in wanted})},
        tables=mapping,
        functions=function_errors(client),
        scrubs=to_change,
    )
    return asked, drifted


def _evidence(
    client: Client, frame: Frame, selection: Selection, drifted: dict[str, Blocked]
) -> dict[str, live.Found | None]:
    """Read the documents that groups are artifacts through; blocks where one is not as the store has it."""
    reasons = _reasons(frame, selection.groups)
    wanted = sorted(set(reasons.values()))
    found = live.read_documents(client, wanted)
    before = live.read_documents(client, wanted, as_of_ns=frame.snapshot.as_of_ns)
    changed = {id_ for id_, now in found.items() if (old := before[id_]) is None or now is None or now.line != old.line}
    for group in selection.groups:
        for id_ in sorted(changed & {member.via for member in group.members}):
            fact = f"{reasons[id_][0]} {id_}, the reason for it, changed after the snapshot that it was judged by"
            drifted.setdefault(group.root, Blocked(group.root, fact))
    return found


def _scrubs(client: Client, selection: Selection, drifted: dict[str, Blocked]) -> dict[str, tuple[Scrub, ...]]:
    """Read the documents that would lose references, and see what that makes of them; blocks where it cannot be."""
    found: dict[str, tuple[Scrub, ...]] = {}
    for root, references in selection.scrubs.items():
        documents = live.read_documents(client, sorted({(r.table, r.id) for r in references}))
        made = []
        for id_, item in documents.items():
            own = [r for r in references if r.id == id_]
            targets = sorted({r.target for r in own})
            changed = (
                scrub.changes(item.document, sorted({r.field.removesuffix("[]") for r in own}), targets) if item else {}
            )
            after = scrub.applied(item.document, changed) if item else None
            left = {target for _, target in _inside(after)} if after else set(targets)
            if item is None or after is None or left & set(targets):
                fact = f"{own[0].edge} of {id_} cannot be taken out: it is not the id alone, or stands there twice"
                drifted.setdefault(root, Blocked(root, fact, own[0]))
                continue
            place = own[0]
            made.append(
                Scrub(
                    place.component, place.table, id_, item.sha256, after.sha256, tuple(sorted(changed)), tuple(targets)
                )
            )
        found[root] = tuple(made)
    return found


def _inside(found: live.Found) -> Iterable[tuple[str, str]]:
    return ((r.field, r.target) for r in of_document(ROOT, "", found.document))


def _reasons(frame: Frame, groups: Iterable[Group]) -> dict[str, tuple[str, str]]:
    """Return (table, id) by id of the documents outside a member's own group that it is an artifact through."""
    wanted = set()
    for group in groups:
        own = {member.id for member in group.members}
        wanted |= {member.via for member in group.members if member.via and member.via not in own}
    rows = frame.rows("purge/documents", ids=sorted(wanted)) if wanted else []
    return {row[2]: (row[1], row[2]) for row in rows if row[0] == ROOT}


def _without(selection: Selection, drifted: Mapping[str, Blocked], choice: Choice) -> Selection:
    """Let groups stay, and those that only they would have freed."""
    groups = {group.root: group for group in selection.groups if group.root not in drifted}
    members = {root: [member.id for member in group.members] for root, group in groups.items()}
    planned = {reference for own in selection.scrubs.values() for reference in own}
    going, dangling = closed(members, [r for r in selection.references if r not in planned], choice.ignored)
    blocked = [*selection.blocked, *drifted.values()]
    blocked += [Blocked(item.root, item.reason, item.reference) for item in dangling]
    return Selection(
        tuple(group for root, group in groups.items() if root in going),
        tuple(sorted(blocked, key=lambda item: item.root)),
        selection.references,
        selection.unknown_targets,
        {root: own for root, own in selection.scrubs.items() if root in going},
    )


def _plan(frame: Frame, judged: Judged, selection: Selection, asked: _Asked, *, origin: str | None) -> Plan:
    snapshot, created_ms = frame.snapshot, clock.now_ms()
    places = _reasons(frame, selection.groups)
    groups = tuple(_planned(group, asked, places) for group in selection.groups)
    if origin is not None and any(document.sha256 is None for group in groups for document in group.documents):
        raise AssertionError("a document was planned that nobody read")
    return Plan(
        deployment=snapshot.deployment.name,
        type=snapshot.deployment.type.value,
        origin=origin,
        snapshot_ts=snapshot.as_of_ns,
        created_at=units.instant(created_ms),
        expires_at=units.instant(created_ms + plan_file.LIFE_MS),
        nonce=secrets.token_hex(8),
        rules_hash=rules_hash(judged.rules, judged.lists, frame.marks()),
        groups=groups,
        blocked=tuple(_blocked(item) for item in selection.blocked),
        totals=_totals(frame, groups, asked.counts),
        rehearsal=origin is None,
        tables=dict(asked.tables),
        selection=_chosen(judged.choice),
        stored_files=_stored_files(frame, selection.unknown_targets),
        functions=asked.functions,
    )


def _planned(group: Group, asked: _Asked, places: Mapping[str, tuple[str, str]]) -> PlannedGroup:
    documents = []
    for member in group.members:
        found = asked.documents.get(member.id)
        documents.append(
            Planned(
                component=member.component,
                table=member.table,
                id=member.id,
                ts=member.written_ns,
                sha256=found.sha256 if found else None,
                tier=member.tier.value,
                rules=member.rules,
                reason=member.reason,
                via=member.via,
                bytes=len(found.line) if found else None,
            )
        )
    own = {member.id for member in group.members}
    needed = sorted({member.via for member in group.members if member.via and member.via not in own} & places.keys())
    evidence = [(places[id_][0], id_, asked.evidence.get(id_)) for id_ in needed]
    return PlannedGroup(
        group.root,
        tuple(documents),
        tuple(Evidence(ROOT, table, id_, found.sha256 if found else None) for table, id_, found in evidence),
        asked.scrubs.get(group.root, ()),
    )


def _blocked(item: Blocked) -> BlockedGroup:
    return BlockedGroup(item.root, item.reason, _place(item.referrer) if item.referrer else None)


def _place(reference: Reference) -> dict[str, str]:
    return {
        "component": reference.component,
        "table": reference.table,
        "id": reference.id,
        "field": reference.field,
        "target": reference.target,
    }


def _totals(frame: Frame, groups: Sequence[PlannedGroup], counts: Mapping[str, int]) -> dict[str, TableTotal]:
    stored = {table: count for component, table, count in frame.rows("purge/table_counts") if component == ROOT}
    found: dict[str, TableTotal] = {}
    by_table: dict[str, list[Planned]] = {}
    for document in (document for group in groups for document in group.documents):
        by_table.setdefault(document.table, []).append(document)
    for table, documents in sorted(by_table.items()):
        whole = max(counts.get(table, stored.get(table, 0)), len(documents))
        sizes = [document.bytes for document in documents if document.bytes is not None]
        size = sum(sizes) if len(sizes) == len(documents) else None
        found[table] = TableTotal(len(documents), len(documents) / whole, size)
    return found


def _chosen(choice: Choice) -> dict[str, object]:
    return {
        "tiers": [tier.value for tier in choice.tiers],
        "idle": units.duration(choice.idle_ms),
        "older_than": None if choice.older_than_ms is None else units.duration(choice.older_than_ms),
        "tasks": list(choice.tasks),
        "rules": list(choice.rules),
        "excluded": sorted(choice.excluded),
        "ignored": sorted(choice.ignored),
        "scrubbed": sorted(choice.scrubbed),
    }


def _stored_files(frame: Frame, unknown: Sequence[str]) -> tuple[str, ...]:
    """Return ids that are of no table of documents: files, which stay."""
    numbers = {covered.table.number for covered in frame.snapshot.coverage}
    return tuple(id_ for id_ in unknown if ids.is_valid(id_) and ids.decode(id_).table_number not in numbers)
