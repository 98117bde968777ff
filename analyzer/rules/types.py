"""What a set of rules is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from analyzer.model import Tier
from analyzer.predicate import Predicate

EdgeKind = Literal["owning", "owner", "reference"]
EdgePolicy = Literal["block", "ignore", "scrub"]
ANY_TABLE = "*"


class Rule(NamedTuple):
    """A predicate that selects artifacts among the documents of one table of the root component."""

    id: str
    version: int  # >= 1; a rule replaces one of the same id and a lower version
    table: str  # table name, or "*" for every table
    tier: Tier  # certain, likely or suspect
    reason: str  # one clause, fit after "because"
    where: Predicate


class StructuralRule(NamedTuple):
    """A rule about how documents stand to each other; built in."""

    id: str
    version: int
    tier: str  # a tier, or whose tier it passes on
    reason: str


class Edge(NamedTuple):
    """How documents of one table refer to those of another."""

    table: str
    field: str
    to: str
    kind: EdgeKind  # owning: belongs to it; owner: shares its tier; reference: neither
    on_purge: EdgePolicy = "block"  # what a document that stays and refers to one that would go means for a purge


class InternalLists(NamedTuple):
    """People and repositories whose documents are left out of health, and are no artifacts for that."""

    emails: tuple[str, ...] = ()  # compared without regard to case
    users: tuple[str, ...] = ()  # ids, or names compared without regard to case
    repos: tuple[str, ...] = ()  # "owner/name", compared without regard to case


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All that is known of artifacts before a document is looked at."""

    rules: tuple[Rule, ...]
    edges: tuple[Edge, ...]  # sorted by table and field
    tables: frozenset[str]  # names that rules and edges may speak of

    def rule(self, rule_id: str) -> Rule | StructuralRule | None:
        """Return the rule with this id, or None."""
        named: tuple[Rule | StructuralRule, ...] = (*self.rules, *STRUCTURAL)
        return next((rule for rule in named if rule.id == rule_id), None)

    def edges_with(self, policy: EdgePolicy) -> frozenset[str]:
        """Return the edges with a policy, as "table.field"."""
        return frozenset(f"{edge.table}.{edge.field}" for edge in self.edges if edge.on_purge == policy)

    def owned_by(self, to: str) -> tuple[str, ...]:
        """Return the tables whose documents belong to those of `to`, sorted."""
        return tuple(sorted(edge.table for edge in self.edges if edge.to == to and edge.kind != "reference"))


MARK = StructuralRule("mark", 1, "certain", "a person marked it as a test")
OWNED = StructuralRule("owned-by-artifact", 1, "the owner's", "it belongs to an artifact")
WAS_OWNED = StructuralRule("was-artifact", 1, "that artifact's", "its task is gone and was an artifact before")
ORPHAN = StructuralRule("orphan", 1, "orphan", "its task is gone, and nothing says whose it was")
STRUCTURAL = (MARK, OWNED, WAS_OWNED, ORPHAN)
