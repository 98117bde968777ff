"""Checks that need all rules at once: what they refer to, and whether their tier is earned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import product
from pathlib import Path

from analyzer.errors import ConfigError
from analyzer.model import Tier
from analyzer.predicate import AnyOf, Leaf, Predicate, leaves
from analyzer.rules.types import ANY_TABLE, Rule, RuleSet

NAMES = frozenset({("tasks", "title"), ("users", "name")})  # fields that hold what someone called a thing
OWNING_FIELDS = {"taskId": "tasks", "messageId": "chatMessages"}  # references that the store keeps apart
MAX_RULES = 500  # of all files
MAX_WAYS = 1000  # of fulfilling one rule

Way = frozenset[Leaf]


def check(rules: RuleSet, paths: Mapping[str, Path]) -> None:
    """Refuse rules that speak of what does not exist, run in circles or claim more than their signs show.

    paths   the file of each rule, for errors
    raises  ConfigError naming file, rule and key
    """
    if len(rules.rules) > MAX_RULES:
        raise ConfigError(f"there are {len(rules.rules)} rules, more than {MAX_RULES}", hint="join some by `any`")
    for rule in rules.rules:
        place = f"{paths[rule.id]}: rule {rule.id}"
        if rule.table != ANY_TABLE and rule.table not in rules.tables:
            raise ConfigError(
                f"{place}: table: there is no table {rule.table!r}",
                hint=f'known are {", ".join(sorted(rules.tables))}; add others with tables = ["{rule.table}"]',
            )
        for leaf in leaves(rule.where):
            unknown = [name for name in leaf.values if leaf.operator == "refers_to" and not _is_rule(rules, name)]
            if unknown:
                raise ConfigError(
                    f"{place}: refers_to: there is no rule {unknown[0]!r}",
                    hint=f"known are {', '.join(sorted(known.id for known in rules.rules))}",
                )
        _check_tier(rule, rules, place)
    _check_order(rules, paths)
    _check_edges(rules)


def in_order(rules: RuleSet) -> tuple[Rule, ...]:
    """Return the rules so that each comes after those it refers to.

    raises  graphlib.CycleError when they refer to each other in a circle
    """
    graph = {rule.id: sorted(_referred(rule)) for rule in rules.rules}
    by_id = {rule.id: rule for rule in rules.rules}
    return tuple(by_id[rule_id] for rule_id in TopologicalSorter(graph).static_order())


def _referred(rule: Rule) -> set[str]:
    return {str(name) for leaf in leaves(rule.where) if leaf.operator == "refers_to" for name in leaf.values}


def _is_rule(rules: RuleSet, name: object) -> bool:
    return any(rule.id == name for rule in rules.rules)


def _check_order(rules: RuleSet, paths: Mapping[str, Path]) -> None:
    try:
        in_order(rules)
    except CycleError as error:
        circle = error.args[1]
        raise ConfigError(
            f"{paths[circle[0]]}: rule {circle[0]}: refers_to runs in a circle: {' -> '.join(circle)}",
            hint="split off a rule that refers to none of the others",
        ) from None


def _check_tier(rule: Rule, rules: RuleSet, place: str) -> None:
    """Certain and likely need a sign that is no name, in every way of fulfilling the rule; likely needs two signs."""
    if rule.tier is Tier.SUSPECT:
        return
    for way in _ways(rule.where, place):
        if not any(_is_strong(leaf, rule.table, rules) for leaf in way):
            raise ConfigError(
                f"{place}: tier: {rule.tier} needs a field that is not a name, and {_described(way)} has none",
                hint='add such a field, or set tier = "suspect"',
            )
        if rule.tier is Tier.LIKELY and len({leaf.field for leaf in way}) < 2:
            raise ConfigError(
                f"{place}: tier: likely needs two independent signs, and {_described(way)} is one",
                hint='add another field, or set tier = "suspect"',
            )


def _is_strong(leaf: Leaf, table: str, rules: RuleSet) -> bool:
    """Whether a leaf is more than a name, an absence or a reference to what is only suspected."""
    named = (table, leaf.field) in NAMES or (table == ANY_TABLE and leaf.field in {field for _, field in NAMES})
    suspects = {rule.id for rule in rules.rules if rule.tier is Tier.SUSPECT}
    return leaf.operator != "empty" and not named and not (leaf.operator == "refers_to" and suspects & {*leaf.values})


def _ways(predicate: Predicate, place: str) -> Iterator[Way]:
    """Yield the sets of leaves each of which fulfils a predicate."""
    found = _combined(predicate)
    if found is None:
        raise ConfigError(f"{place}: where can be fulfilled in more than {MAX_WAYS} ways", hint="split the rule")
    yield from sorted(found, key=_described)


def _combined(predicate: Predicate) -> set[Way] | None:
    if isinstance(predicate, Leaf):
        return {frozenset({predicate})}
    parts = []
    for part in predicate.parts:
        ways = _combined(part)
        if ways is None:
            return None
        parts.append(ways)
    found: set[Way] = set()
    if isinstance(predicate, AnyOf):
        found = found.union(*parts)
        return found if len(found) <= MAX_WAYS else None
    size = 1
    for ways in parts:
        size *= len(ways)
    return {frozenset().union(*chosen) for chosen in product(*parts)} if size <= MAX_WAYS else None


def _described(way: Way) -> str:
    return " and ".join(sorted(f"{leaf.field} {leaf.operator}" for leaf in way))


def _check_edges(rules: RuleSet) -> None:
    """Membership follows the references that the store keeps in columns of their own."""
    for edge in rules.edges:
        fits = {
            "owning": OWNING_FIELDS.get(edge.field) == edge.to and edge.table not in ("users", "tasks", edge.to),
            "owner": (edge.table, edge.field, edge.to) == ("tasks", "userId", "users"),
            "reference": True,
        }[edge.kind]
        if not fits:
            raise ConfigError(
                f"edge {edge.table}.{edge.field}: kind {edge.kind} cannot lead from there to {edge.to}",
                hint="owning is taskId to tasks or messageId to chatMessages; owner is userId of tasks to users",
            )
