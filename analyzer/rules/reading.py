"""Reads one TOML file of rules and edges, strictly: what is not known is an error that names file, rule and key."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args

from analyzer.errors import ConfigError
from analyzer.model import Tier
from analyzer.predicate import All, AnyOf, Leaf, Predicate, Scalar
from analyzer.rules.patterns import problem
from analyzer.rules.types import ANY_TABLE, STRUCTURAL, Edge, EdgeKind, EdgePolicy, Rule
from analyzer.units import visible

MAX_FILE_BYTES = 1_000_000
MAX_ENTRIES = 1000  # rules or edges of one file
MAX_LEAVES = 100  # of one rule
MAX_DEPTH = 8
MAX_VALUES = 1000  # of one `in`
MAX_TEXT_CHARS = 10_000
LARGEST_EXACT = 2**53  # numbers of documents are doubles

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_OPERATORS = ("equals", "in", "matches", "empty", "refers_to")
_TIERS = (Tier.CERTAIN, Tier.LIKELY, Tier.SUSPECT)


class RulesFile(NamedTuple):
    """What one file says."""

    path: Path
    rules: tuple[Rule, ...] = ()
    edges: tuple[Edge, ...] = ()
    tables: tuple[str, ...] = ()  # names of further tables that rules may speak of


def read(path: Path) -> RulesFile:
    """Read one file.

    raises  ConfigError when it cannot be read or says something that is not known
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="name a file of rules that exists"
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} has {len(raw)} bytes, more than {MAX_FILE_BYTES}", hint="rules are small files")
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, a number of thousands of digits
        said = visible(str(error))
        raise ConfigError(f"{path} is no TOML: {said}", hint="see the shipped rules.toml for the form") from error
    return _Reader(path).file(data)


class _Reader:
    """Turns parsed TOML into rules; `self.where` names the place for errors."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = ""

    def fail(self, fact: str, hint: str) -> NoReturn:
        place = f"{self.path}: {visible(self.where)}: " if self.where else f"{self.path}: "
        raise ConfigError(f"{place}{fact}", hint=hint)

    def file(self, data: Mapping[str, Any]) -> RulesFile:
        self._keys(data, required=(), optional=("rule", "edge", "tables"))
        tables = self._names(data.get("tables", []), "tables")
        edges = tuple(edge for n, item in enumerate(self._tables_of(data, "edge"), 1) for edge in self._edges(item, n))
        rules = tuple(self._rule(item, n) for n, item in enumerate(self._tables_of(data, "rule"), 1))
        self.where = ""
        for kind, keys in (
            ("rule id", [rule.id for rule in rules]),
            ("edge", [f"{edge.table}.{edge.field}" for edge in edges]),
        ):
            double = sorted({key for key in keys if keys.count(key) > 1})
            if double:
                self.fail(f"{kind} {double[0]} stands there more than once", hint="keep one of them")
        return RulesFile(self.path, rules, edges, tables)

    def _tables_of(self, data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        found = data.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            self.fail(f"{key} is no list of tables", hint=f"write [[{key}]]")
        if len(found) > MAX_ENTRIES:
            self.fail(f"there are {len(found)} [[{key}]], more than {MAX_ENTRIES}", hint="split the file")
        return found

    def _edges(self, item: Mapping[str, Any], number: int) -> list[Edge]:
        self.where = f"edge {number}"
        self._keys(item, required=("tables", "field", "to", "kind"), optional=("on_purge",))
        kind, policy = item["kind"], item.get("on_purge", "block")
        if kind not in get_args(EdgeKind):
            self.fail(f"kind is {kind!r}", hint=f"choose one of {', '.join(get_args(EdgeKind))}")
        if policy not in get_args(EdgePolicy):
            self.fail(f"on_purge is {policy!r}", hint=f"choose one of {', '.join(get_args(EdgePolicy))}")
        to, name = self._name(item["to"], "to"), self._name(item["field"], "field")
        return [Edge(table, name, to, kind, policy) for table in self._names(item["tables"], "tables")]

    def _rule(self, item: Mapping[str, Any], number: int) -> Rule:
        self.where = f"rule {item['id'] if isinstance(item.get('id'), str) else number}"
        self._keys(item, required=("id", "version", "table", "tier", "reason", "where"), optional=())
        rule_id, version, table, tier, reason = (item[key] for key in ("id", "version", "table", "tier", "reason"))
        if not isinstance(rule_id, str) or not _ID.fullmatch(rule_id) or len(rule_id) > 64:
            self.fail("id is no short name of lower-case words joined by hyphens", hint='write it like id = "my-rule"')
        if rule_id in {structural.id for structural in STRUCTURAL}:
            self.fail("this id is built in", hint="choose another id")
        if type(version) is not int or not 1 <= version <= 1_000_000:
            self.fail("version is no whole number from 1", hint="write version = 1")
        if tier not in [tier.value for tier in _TIERS]:
            self.fail(f"tier is {tier!r}", hint=f"choose one of {', '.join(_TIERS)}")
        if not isinstance(reason, str) or not 1 <= len(reason) <= 200 or not reason.isprintable():
            self.fail("reason is no text of 1 to 200 printable characters", hint="say in one clause why")
        return Rule(
            id=rule_id,
            version=version,
            table=ANY_TABLE if table == ANY_TABLE else self._name(table, "table"),
            tier=Tier(tier),
            reason=reason,
            where=self._where(item["where"]),
        )

    def _where(self, item: Any) -> Predicate:
        budget = [MAX_LEAVES]
        return self._predicate(item, MAX_DEPTH, budget)

    def _predicate(self, item: Any, depth: int, budget: list[int]) -> Predicate:
        if not isinstance(item, dict):
            self.fail("where holds something that is no table", hint='write where = { field = "…", equals = "…" }')
        if depth == 0:
            self.fail(f"where is nested more than {MAX_DEPTH} levels deep", hint="split the rule")
        if "field" in item:
            budget[0] -= 1
            if budget[0] < 0:
                self.fail(f"where has more than {MAX_LEAVES} tests", hint="split the rule, or use `in`")
            return self._leaf(item)
        if len(item) != 1 or next(iter(item)) not in ("all", "any"):
            self.fail(
                f"where has {', '.join(sorted(map(repr, item))) or 'nothing'} instead of a test",
                hint="a test has `field` and one operator; tests are combined by `all` or by `any`",
            )
        key, parts = next(iter(item.items()))
        if not isinstance(parts, list) or not parts:
            self.fail(f"{key} is no list of tests", hint=f"write {key} = [ {{ … }}, {{ … }} ]")
        made = tuple(self._predicate(part, depth - 1, budget) for part in parts)
        return All(made) if key == "all" else AnyOf(made)

    def _leaf(self, item: Mapping[str, Any]) -> Leaf:
        name = self._name(item["field"], "field")
        operators = [key for key in item if key != "field"]
        unknown = [key for key in operators if key not in _OPERATORS]
        if unknown or len(operators) != 1:
            self.fail(
                f"field {name}: {unknown[0]!r} is no operator" if unknown else f"field {name} has not one operator",
                hint=f"choose one of {', '.join(_OPERATORS)}",
            )
        operator, value = operators[0], item[operators[0]]
        if operator == "empty":
            if value is not True:
                self.fail(f"field {name}: empty is not true", hint="write empty = true")
            return Leaf(name, "empty")
        if operator == "equals":
            return Leaf(name, "equals", (self._scalar(value, name),))
        if operator == "matches":
            return Leaf(name, "matches", (self._pattern(value, name),))
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
            self.fail(f"field {name}: {operator} is no list of 1 to {MAX_VALUES} values", hint="write [ … ]")
        if operator == "refers_to":
            if not all(isinstance(rule_id, str) for rule_id in value):
                self.fail(f"field {name}: refers_to is no list of rule ids", hint='write ["rule-id"]')
            return Leaf(name, "refers_to", tuple(value))
        return Leaf(name, "in", tuple(self._scalar(part, name) for part in value))

    def _scalar(self, value: Any, name: str) -> Scalar:
        fits = (
            isinstance(value, bool)
            or (isinstance(value, float) and math.isfinite(value))
            or (isinstance(value, int) and abs(value) <= LARGEST_EXACT)
            or (isinstance(value, str) and len(value) <= MAX_TEXT_CHARS)
        )
        if not fits:
            self.fail(
                f"field {name}: {str(value)[:40]!r} is no text, number or boolean that a document can hold",
                hint="numbers are exact up to 2^53",
            )
        scalar: Scalar = float(value) if type(value) is int else value
        return scalar

    def _pattern(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            self.fail(f"field {name}: matches is no text", hint="write a regular expression in quotes")
        wrong = problem(value)
        if wrong is not None:
            self.fail(f"field {name}: bad regular expression: {wrong}", hint="RE2 syntax; it must match the whole text")
        return value

    def _names(self, value: Any, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > MAX_VALUES:
            self.fail(f"{key} is no list of names", hint=f'write {key} = ["…"]')
        return tuple(self._name(name, key) for name in value)

    def _name(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self.fail(f"{key} holds {str(value)[:40]!r}", hint="a name has letters, digits and underscores")
        return value

    def _keys(self, item: Mapping[str, Any], *, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
        unknown = sorted(set(item) - set(required) - set(optional))
        if unknown:
            self.fail(f"unknown key {unknown[0]!r}", hint=f"known are {', '.join((*required, *optional))}")
        missing = [key for key in required if key not in item]
        if missing:
            self.fail(f"{missing[0]!r} is missing", hint=f"needed are {', '.join(required)}")
