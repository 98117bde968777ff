"""Everything that must be true before the first change, in one list; `checks` has what must be true at other moments.

A guard names itself, what it wants and what it found. Nothing here asks or changes anything: the facts are gathered by
who calls, with requests that only read, and an absent fact is never consent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from analyzer.convex import danger, ids
from analyzer.convex.identity import KeyPowers
from analyzer.convex.permissions import PAUSE, UNPAUSE, WRITE_DATA
from analyzer.errors import GuardRefused
from analyzer.model import ROOT, Deployment, DeploymentType
from analyzer.purge.facts import Consent, Facts
from analyzer.purge.plan_file import SCHEMA, Plan, Planned, Scrub
from analyzer.units import count, percent, visible

SMALL_TABLE = 20  # documents: so few may all belong to tests without a rule having run wild
PURGEABLE_TIERS = ("certain", "likely")


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition."""

    name: str
    wants: str
    finds: Callable[[Facts], str | None]  # what is wrong; None: nothing
    hint: str = "nothing was changed"


def check_all(facts: Facts) -> None:
    """Let every guard look.

    raises  GuardRefused by the first that finds something
    """
    for guard in GUARDS:
        if found := guard.finds(facts):
            raise refused(guard.name, guard.wants, found, guard.hint)


def refused(name: str, wants: str, found: str, hint: str = "nothing was changed") -> GuardRefused:
    """Return the error of a guard."""
    return GuardRefused(f"guard {name}: wanted {wants}, found {visible(found)}", hint=hint)


def _version(facts: Facts) -> str | None:
    if facts.plan.rehearsal or any(document.sha256 is None for document in facts.plan.documents):
        return "a rehearsal, made from files alone"
    return None if facts.plan.schema == SCHEMA else facts.plan.schema


def _deployment(facts: Facts) -> str | None:
    return None if facts.deployment.name == facts.plan.deployment else facts.deployment.name


def _origin(facts: Facts) -> str | None:
    return None if facts.deployment.origin == facts.plan.origin else str(facts.deployment.origin)


def _unknown_type(facts: Facts) -> str | None:
    is_unknown = facts.deployment.type is DeploymentType.UNKNOWN or facts.server_type is None
    return facts.deployment.type_reason if is_unknown else None


def _type(facts: Facts) -> str | None:
    return None if facts.deployment.type.value == facts.plan.type else facts.deployment.type.value


def _named(facts: Facts) -> str | None:
    if not danger.counts_as_production(facts.deployment.type) or facts.consent.is_named:
        return None
    return f"{facts.deployment.type} {facts.deployment.name}, which it does not name"


def _unattended(facts: Facts) -> str | None:
    if not facts.is_unattended:
        return None
    if facts.server_type not in danger.HARMLESS or danger.counts_as_production(facts.deployment.type):
        return f"{facts.deployment.type}"
    if not facts.consent.is_unattended:
        return f"{facts.deployment.name} without it"
    tiers = sorted({document.tier for document in facts.plan.documents} - {"certain"})
    return f"documents that are {', '.join(tiers)}" if tiers else None


def _key(facts: Facts) -> str | None:
    if facts.powers is None:
        return "a server that does not tell what the key may do"
    return None if facts.powers.may(WRITE_DATA) and not facts.powers.is_read_only else "a key that may not"


def _pause(facts: Facts) -> str | None:
    if not facts.pauses:
        return None
    return pause_problem(facts.deployment, facts.powers, facts.consent, facts.state)


def pause_problem(deployment: Deployment, powers: KeyPowers | None, consent: Consent, state: str) -> str | None:
    """Return why a deployment in some state may not be paused with a key; None: it may."""
    if danger.counts_as_production(deployment.type) and not consent.is_pausable:
        return f"{deployment.type} {deployment.name}, whose people would be locked out"
    if powers is None or not (powers.may(PAUSE) and powers.may(UNPAUSE)):
        return f"a key without {PAUSE} and {UNPAUSE}"
    return None if state in ("running", "paused") else f"one that is {state}"


def _scrub(facts: Facts) -> str | None:
    is_paused = facts.pauses or facts.state == "paused"
    if facts.plan.scrubs and not is_paused:
        return f"{count(len(facts.plan.scrubs), 'document')} to be changed, and an app that may write to them meanwhile"
    return None


def _used(facts: Facts) -> str | None:
    return "one that was carried out" if facts.is_used else None


def _expired(facts: Facts) -> str | None:
    if facts.now_ms >= facts.plan.expires_ms:
        return f"one that expired at {facts.plan.expires_at}"
    return "one from the future" if facts.plan.created_ms > facts.now_ms + 60_000 else None


def _rules(facts: Facts) -> str | None:
    return None if facts.rules_hash == facts.plan.rules_hash else "others: rules, lists or marks changed"


def _empty(facts: Facts) -> str | None:
    return None if facts.plan.documents else "none"


def _tiers(facts: Facts) -> str | None:
    other = sorted({document.tier for document in facts.plan.documents} - set(PURGEABLE_TIERS))
    return ", ".join(other) or None


def _named_documents(plan: Plan) -> tuple[Planned | Scrub, ...]:
    return (*plan.documents, *plan.scrubs)


def _twice(facts: Facts) -> str | None:
    seen: set[str] = set()
    for document in _named_documents(facts.plan):
        if document.id in seen:
            return f"{document.id} twice"
        seen.add(document.id)
    roots = [group.root for group in facts.plan.groups]
    return "a group twice" if len(set(roots)) != len(roots) else None


def _tables(facts: Facts) -> str | None:
    for document in _named_documents(facts.plan):
        try:
            number = ids.decode(document.id).table_number
        except ValueError as wrong:
            return f"{document.id}: {wrong}"
        name = facts.tables.get(str(number))
        if name is None:
            return f"{document.id} of table number {number}, which is no table of the app"
        if name.startswith("_") or document.table.startswith("_"):
            return f"{document.id} of the platform's own table {name}"
        if name != document.table or document.component != ROOT:
            return f"{document.id} of {name}, planned as one of {document.component or 'the root'}/{document.table}"
    return None


def _mapping(facts: Facts) -> str | None:
    changed = [n for n, name in facts.plan.tables.items() if facts.tables.get(n) != name]
    return f"table number {changed[0]} is now {facts.tables.get(changed[0], 'gone')}" if changed else None


def _cap(facts: Facts) -> str | None:
    found = len(facts.plan.documents) + len(facts.plan.scrubs)
    return f"{found:,}, and the cap is {facts.caps.documents:,}" if found > facts.caps.documents else None


def _shares(facts: Facts) -> str | None:
    if not facts.caps.is_share_binding:
        return None
    for table, share in shares(facts.plan, facts.counts, facts.deleted).items():
        if share > facts.caps.share:
            return f"{percent(share)} of {table}, and the cap is {percent(facts.caps.share)}"
    return None


def _whole_table(facts: Facts) -> str | None:
    """A rule that ran wild shows in the tables it selects from, so those are never emptied, and on production none is.

    Elsewhere a table of few documents may go whole when each only belongs to something that goes: a deployment on
    which nothing but tests ran has such tables, and leaving one document in each would help nobody.
    """
    is_production = danger.counts_as_production(facts.deployment.type)
    roots = {group.root for group in facts.plan.groups}
    with_roots = {document.table for document in facts.plan.documents if document.id in roots}
    for table, share in shares(facts.plan, facts.counts, facts.deleted).items():
        size = sum(document.table == table for document in facts.plan.documents)
        if share >= 1 and (is_production or table in with_roots or size > SMALL_TABLE):
            return f"all {count(size, 'document')} of {table}"
    return None


def _reads(facts: Facts) -> str | None:
    left = [document for document in facts.plan.documents if document.id not in facts.deleted]
    if any(document.id not in facts.documents for document in left):
        return "documents that were not read"
    if left and all(facts.documents[document.id] is None for document in left):
        return "not one of them: a failed read, or somebody was faster"
    return None


def _stop(facts: Facts) -> str | None:
    return "one" if facts.has_stop_file else None


def shares(plan: Plan, counts: Mapping[str, int], deleted: Collection[str]) -> dict[str, float]:
    """Return which share of each table a plan deletes; 1 where the table's size is not known.

    counts   documents by table now
    deleted  planned ids that are gone already, and so not counted any more
    """
    planned: dict[str, int] = {}
    gone: dict[str, int] = {}
    for document in plan.documents:
        planned[document.table] = planned.get(document.table, 0) + 1
        gone[document.table] = gone.get(document.table, 0) + (document.id in deleted)
    return {
        table: number / max(counts.get(table, 0) + gone[table], number) for table, number in sorted(planned.items())
    }


_PLAN_AGAIN = "make a new plan with `analyzer purge plan`; nothing was changed"
_NAME_IT = "add `[deployments.NAME]` with `purge = true` to analyzer.toml if you mean it; nothing was changed"
_LESS = "plan less, for example with --exclude ID; nothing was changed"
PAUSE_WANTS = "a deployment that may be paused"
PAUSE_IT = (
    "leave --pause out, or add `[deployments.NAME]` with `pause = true` and use a key that may; nothing was changed"
)
_BARRIER = "add --pause, or plan without [purge] scrub_edges; nothing was changed"
_RUN = "use `purge plan` and `purge apply`, with a person who reads the plan; nothing was changed"
GUARDS = (
    Guard("plan version", f"a plan of schema {SCHEMA}, made from the deployment", _version, _PLAN_AGAIN),
    Guard("plan used", "a plan that was not carried out", _used, _PLAN_AGAIN),
    Guard("plan expired", "a plan that is in force", _expired, _PLAN_AGAIN),
    Guard("zero rows", "documents to delete", _empty),
    Guard("deployment", "the deployment that the plan is for", _deployment),
    Guard("origin", "the address that the plan is for", _origin),
    Guard("unknown type", "a server that says which type of deployment it is", _unknown_type),
    Guard("type", "the type that the plan was made for", _type, _PLAN_AGAIN),
    Guard("production named", "a production deployment to be named in the configuration", _named, _NAME_IT),
    Guard("unattended", "a named dev or preview deployment with `unattended = true`", _unattended, _RUN),
    Guard("key", f"a key with {WRITE_DATA}", _key, "set ANALYZER_WRITE_KEY; nothing was changed"),
    Guard("pause", PAUSE_WANTS, _pause, PAUSE_IT),
    Guard("scrub", "a paused deployment to change documents that stay", _scrub, _BARRIER),
    Guard("rules", "the rules, lists and marks that the plan was made with", _rules, _PLAN_AGAIN),
    Guard("tier", "certain and likely documents only", _tiers),
    Guard("id twice", "each id once", _twice),
    Guard("table of id", "ids of the tables that the plan names", _tables),
    Guard("table mapping", "the tables that the plan was made with", _mapping, _PLAN_AGAIN),
    Guard("cap", "no more documents than the cap", _cap, "narrow the plan, or raise it with --max-docs"),
    Guard("share", "no larger share of a table than the cap", _shares, "narrow the plan, or raise it with --max-share"),
    Guard("whole table", "something to be left of each table", _whole_table, _LESS),
    Guard("empty read", "the planned documents in the deployment", _reads, _PLAN_AGAIN),
    Guard("stop file", "no stop file beside the plan", _stop, "remove it to go on; nothing was changed"),
)
