"""What must be true at single moments: before a plan is made, before each group goes, and when somebody consents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from analyzer.model import Snapshot
from analyzer.purge.facts import Caps
from analyzer.purge.guards import refused
from analyzer.purge.live import Found
from analyzer.purge.plan_file import Plan, PlannedGroup
from analyzer.purge.references import Reference
from analyzer.units import age, percent

SNAPSHOT_LIFE_NS = 15 * 60 * 10**9


def check_coverage(snapshot: Snapshot) -> None:
    """Refuse a view with holes: whoever refers to a document from an unread table is not seen.

    raises  GuardRefused
    """
    holes = sorted(c.table.name for c in snapshot.coverage if c.status != "collected")
    if holes or not snapshot.coverage:
        found = f"no documents of {', '.join(holes)}" if holes else "no table at all"
        raise refused("whole view", "every table collected", found, "collect everything, then plan again")


def check_snapshot(snapshot: Snapshot, deployment: str, now_ns: int) -> None:
    """Refuse a snapshot of another deployment, or one that is not fresh by the deployment's own clock.

    raises  GuardRefused
    """
    if snapshot.deployment.name != deployment:
        raise refused("deployment", f"a snapshot of {deployment}", f"one of {snapshot.deployment.name}")
    age_ns = now_ns - snapshot.as_of_ns
    if not -SNAPSHOT_LIFE_NS <= age_ns <= SNAPSHOT_LIFE_NS:
        found = f"one that is {age(age_ns / 10**6)} old"
        raise refused("snapshot age", "a snapshot of the last 15m", found, "`analyzer collect`, then plan again")


def group_problem(
    group: PlannedGroup,
    found: Mapping[str, Found | None],
    references: Iterable[Reference],
    going: Collection[str],
    ignored: Collection[str],
    *,
    scrubbed: Collection[str] = (),
) -> str | None:
    """Return why a group cannot go now; None: it is as it was planned, and nothing that stays refers to it.

    found       its documents, its evidence, and what loses references to it, read just now
    references  to its members, from the whole deployment, just now
    going       ids that go in the same transaction or are gone already
    ignored     edges whose references may dangle
    scrubbed    ids of documents that lost their references already
    """
    for document in group.documents:
        item = found.get(document.id)
        if item is None:
            return f"{document.table} {document.id} is gone"
        if item.sha256 != document.sha256:
            return f"{document.table} {document.id} changed since the plan"
    for evidence in group.evidence:
        item = found.get(evidence.id)
        if item is None or item.sha256 != evidence.sha256:
            return f"{evidence.table} {evidence.id}, the reason for it, changed since the plan"
    for scrub in group.scrubs:
        item = found.get(scrub.id)
        if item is None or item.sha256 != (scrub.after_sha256 if scrub.id in scrubbed else scrub.sha256):
            return f"{scrub.table} {scrub.id}, which refers to it, changed since the plan"
    taken_out = {(scrub.id, target) for scrub in group.scrubs for target in scrub.targets}
    members = {document.id for document in group.documents}
    for reference in references:
        is_ours = reference.id in members or reference.id in going or (reference.id, reference.target) in taken_out
        if reference.target in members and not is_ours and reference.edge not in ignored:
            return f"{reference.edge} of {reference.id} refers to {reference.target}"
    return None


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Refuse a confirmation that is not this plan's.

    raises  GuardRefused
    """
    if typed is None or typed.strip() != plan.confirm:
        found = "nothing" if not typed else "another text"
        raise refused("confirmation", "this plan's confirmation, typed in full", found)


def warnings(plan: Plan, caps: Caps, totals: Sequence[tuple[str, float]]) -> list[str]:
    """Return what a reviewer should know that refuses nothing by itself."""
    found = []
    if len(plan.documents) > caps.documents:
        found.append(f"{len(plan.documents):,} documents are more than the cap of {caps.documents:,}")
    found += [f"{percent(share)} of {table} would go" for table, share in totals if share > caps.share]
    if plan.functions is None and plan.documents and not plan.rehearsal:
        found.append("the deployment does not tell how often its functions fail, so an apply cannot stop when they do")
    return found
