"""Compiles predicates over document fields to SQL over the staging views.

This is where rules become SQL. Only names that were checked when the rules were read, and names from `columns`, enter
the text; every value is a bound parameter. A field with a column of its own is read there; a value of another type,
and any field without a column, is read from `leftovers`, where the type of the JSON value is checked first. Text that
was reduced on arrival is judged by its hash, its length and the fingerprints it matched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from analyzer.predicate import All, Leaf, Predicate, Scalar, fingerprint_id, leaves
from analyzer.store.columns import CREATION_TIME, OTHER, REVISION_TABLES, ColumnType, RevisionTable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NUMBER_TYPES = "('DOUBLE', 'UBIGINT', 'BIGINT', 'HUGEINT', 'UHUGEINT')"


class Selection(NamedTuple):
    """A SELECT and the values of its parameters."""

    sql: str
    params: dict[str, Any]


def select_matches(table: str, where: Predicate, *, evidence: str, source: str | None = None) -> Selection:
    """Select the root documents of a table that fulfil a predicate.

    table     table name, or "*" for all
    evidence  temporary table (id, rule, ...) of what earlier rules selected; `refers_to` looks there
    source    a table with the columns of the staging view, read instead of it
    returns   SELECT of component, table_name, id, via: the document through which `refers_to` was fulfilled, or NULL
    """
    names = [*REVISION_TABLES] if table == "*" else [table]
    params: dict[str, Any] = {}
    parts = []
    for name in names:
        kind = REVISION_TABLES.get(name, REVISION_TABLES[OTHER])
        compiler = _Compiler(kind, name, _checked(evidence), params)
        condition = compiler.predicate(where)
        if kind is REVISION_TABLES[OTHER]:
            condition = f"d.component = '' and {condition}"
            if name != OTHER:
                condition = f"d.table_name = {compiler.bind(name)} and {condition}"
        table_name = "d.table_name" if kind is REVISION_TABLES[OTHER] else f"'{name}'"
        parts.append(
            f"select '' as component, {table_name} as table_name, d.id, {compiler.via(where)} as via\n"
            f"from {_checked(source or kind.staging)} as d where {condition}"
        )
    return Selection("\nunion all\n".join(parts), params)


def select_leaves(table: str, parts: Sequence[Leaf], document_id: str, *, evidence: str) -> Selection:
    """Select for one root document, by leaf, whether it holds and what was found.

    returns  SELECT of two columns a leaf: BOOLEAN never NULL, and the value found as JSON text, NULL if missing;
             reduced text is found as {"$text": {"length": characters, "sha256": hex}}
    """
    kind = REVISION_TABLES.get(table, REVISION_TABLES[OTHER])
    compiler = _Compiler(kind, table, _checked(evidence), {})
    columns = [part for leaf in parts for part in (f"coalesce({compiler.leaf(leaf)}, false)", compiler.found(leaf))]
    condition = f"d.id = {compiler.bind(document_id)}"
    if kind is REVISION_TABLES[OTHER]:
        condition += f" and d.component = '' and d.table_name = {compiler.bind(table)}"
    return Selection(f"select {', '.join(columns)} from {kind.staging} as d where {condition}", compiler.params)


def reads_reduced_text(table: str, leaf: Leaf) -> bool:
    """Whether a leaf looks for a pattern in text that is reduced while loading."""
    kind = REVISION_TABLES.get(table, REVISION_TABLES[OTHER])
    return leaf.operator == "matches" and leaf.field == kind.text_field


class _Compiler:
    """Compiles leaves for one staging view, aliased `d`, and collects the parameters."""

    def __init__(self, kind: RevisionTable, table: str, evidence: str, params: dict[str, Any]) -> None:
        self.kind = kind
        self.table = table
        self.evidence = evidence
        self.params = params
        self.columns: dict[str, tuple[str, ColumnType]] = {"_id": ("d.id", "varchar")}
        for column in (CREATION_TIME, *kind.columns):
            self.columns[column.field] = (f"d.{column.name}", column.type)

    def bind(self, value: object) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def predicate(self, where: Predicate) -> str:
        if isinstance(where, Leaf):
            return self.leaf(where)
        word = " and " if isinstance(where, All) else " or "
        return f"({word.join(self.predicate(part) for part in where.parts)})"

    def leaf(self, leaf: Leaf) -> str:
        if leaf.operator == "empty":
            return self._empty(leaf.field)
        if leaf.operator == "matches":
            return self._matches(leaf.field, str(leaf.values[0]))
        if leaf.operator == "refers_to":
            return self._refers(leaf)
        return self._is_one_of(leaf.field, leaf.values)

    def via(self, where: Predicate) -> str:
        """Return SQL for the first value by which a `refers_to` is fulfilled."""
        cases = [
            f"case when {self._refers(leaf)} then {self._text(leaf.field)} end"
            for leaf in leaves(where)
            if leaf.operator == "refers_to"
        ]
        return f"coalesce({', '.join([*cases, 'null::varchar'])})"

    def found(self, leaf: Leaf) -> str:
        """Return SQL for the value of a leaf's field as JSON text."""
        left = f"json_extract(d.leftovers, {self._path(leaf.field)})"
        if leaf.field in self.columns:
            column, _ = self.columns[leaf.field]
            return f"(case when {column} is not null then to_json({column}) else {left} end)::varchar"
        if leaf.field == self.kind.text_field:
            return (
                f"(case when d.content_text is not null then to_json(d.content_text)"
                f" when d.content_length is not null then to_json({{'$text': {{'length': d.content_length,"
                f" 'sha256': lower(hex(d.content_sha256))}}}}) else {left} end)::varchar"
            )
        return f"{left}::varchar"

    def _is_one_of(self, name: str, values: Iterable[Scalar]) -> str:
        texts = [value for value in values if isinstance(value, str)]
        truths = [value for value in values if isinstance(value, bool)]
        numbers = [value for value in values if isinstance(value, float) and not isinstance(value, bool)]
        parts = []
        if texts:
            parts.append(self._is_text(name, texts))
        if truths:
            value = f"(json_extract_string(d.leftovers, {self._path(name)}) = 'true')"
            parts.append(self._is_typed(name, truths, "boolean", "('BOOLEAN')", value))
        if numbers:
            value = f"try_cast(json_extract_string(d.leftovers, {self._path(name)}) as double)"
            parts.append(self._is_typed(name, numbers, "double", _NUMBER_TYPES, value))
        return f"({' or '.join(parts)})"

    def _is_text(self, name: str, values: Sequence[str]) -> str:
        hashes = [hashlib.sha256(value.encode()) for value in values]
        if name == self.kind.text_field:
            return f"d.content_sha256 in ({', '.join(self.bind(digest.digest()) for digest in hashes)})"
        wanted = ", ".join(self.bind(value) for value in values)
        if self._type(name) == "varchar":
            return f"{self.columns[name][0]} in ({wanted})"
        reduced = ", ".join(self.bind(digest.hexdigest()) for digest in hashes)
        sha256 = f"json_extract_string(d.leftovers, {self._path(name, '$text', 'sha256')})"
        return f"({self._text(name)} in ({wanted}) or {sha256} in ({reduced}))"

    def _is_typed(self, name: str, values: Sequence[Scalar], type_: ColumnType, json_types: str, value: str) -> str:
        wanted = ", ".join(self.bind(item) for item in values)
        if self._type(name) == type_:
            return f"{self.columns[name][0]} in ({wanted})"
        return f"(case when {self._json_type(name)} in {json_types} then {value} in ({wanted}) end)"

    def _matches(self, name: str, pattern: str) -> str:
        if name == self.kind.text_field:
            known = self.bind(fingerprint_id(self.table, name, pattern))
            return (
                f"(case when d.content_text is not null then regexp_full_match(d.content_text, {self.bind(pattern)})"
                f" else list_contains(d.content_fingerprints, {known}) end)"
            )
        return f"regexp_full_match({self._text(name)}, {self.bind(pattern)})"

    def _refers(self, leaf: Leaf) -> str:
        rules = ", ".join(self.bind(value) for value in leaf.values)
        return f"{self._text(leaf.field)} in (select e.id from {self.evidence} as e where e.rule in ({rules}))"

    def _empty(self, name: str) -> str:
        length = f"json_extract_string(d.leftovers, {self._path(name, '$text', 'length')})"
        left = (
            f"coalesce({self._json_type(name)} = 'NULL' or coalesce({length} = '0', false)"
            f" or ({self._json_type(name)} = 'VARCHAR'"
            f" and json_extract_string(d.leftovers, {self._path(name)}) = ''), true)"
        )
        if name == self.kind.text_field:
            return f"(d.content_length = 0 or (d.content_length is null and {left}))"
        if name not in self.columns:
            return left
        column, type_ = self.columns[name]
        is_blank = f"{column} = '' or " if type_ == "varchar" else ""
        return f"({is_blank}({column} is null and {left}))"

    def _type(self, name: str) -> ColumnType | None:
        return self.columns[name][1] if name in self.columns else None

    def _text(self, name: str) -> str:
        """Return SQL for a field's value where that is text, else NULL."""
        if self._type(name) == "varchar":
            return self.columns[name][0]
        return (
            f"(case when {self._json_type(name)} = 'VARCHAR'"
            f" then json_extract_string(d.leftovers, {self._path(name)}) end)"
        )

    def _json_type(self, name: str) -> str:
        return f"json_type(d.leftovers, {self._path(name)})"

    @staticmethod
    def _path(name: str, *inner: str) -> str:
        return "'$." + ".".join(f'"{key}"' for key in (_checked(name), *inner)) + "'"


def _checked(name: str) -> str:
    """Return a name that may stand in SQL text; the rules were checked when read, so anything else is our own slip."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name")
    return name
