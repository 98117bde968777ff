"""Turns a query of queries/ into Spark SQL that means the same. With `mending` sqlglot's only door.

sqlglot reads and writes the two dialects; what it would carry over with another meaning is mended here. Whatever is
neither known to mean the same nor mended is refused by name: a query runs as it is meant, or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from analyzer.errors import QueryError
from analyzer.spark.mending import MENDED, UnlikeError, mend
from analyzer.sql import Query
from analyzer.units import visible

MAX_LIMIT = 2**31 - 1  # of Spark, which cannot hand over more rows anyway

# Expressions that mean the same in DuckDB and in Spark as `session` sets it up, as sqlglot writes them.
SAME: tuple[type[exp.Expr], ...] = (
    # the frame of a statement
    exp.Alias, exp.CTE, exp.Column, exp.Distinct, exp.From, exp.Group, exp.Identifier, exp.Join, exp.Limit, exp.Order,
    exp.Ordered, exp.Paren, exp.Select, exp.Star, exp.Subquery, exp.Table, exp.TableAlias, exp.Tuple, exp.Union,
    exp.Values, exp.Where, exp.With,
    # values
    exp.Array, exp.Boolean, exp.DataType, exp.Null,
    # logic
    exp.And, exp.Coalesce, exp.EQ, exp.GT, exp.GTE, exp.If, exp.In, exp.Is, exp.LT, exp.LTE, exp.NEQ, exp.Not,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Nullif, exp.Or,
    # numbers and texts; a division by zero, which is infinite in DuckDB, is an error in Spark
    exp.Abs, exp.Add, exp.Contains, exp.Div, exp.Greatest, exp.IntDiv, exp.Least, exp.Mod, exp.Mul, exp.Neg, exp.Sub,
    # over many rows
    exp.Count, exp.Explode, exp.GenerateSeries, exp.LogicalAnd, exp.LogicalOr, exp.Max, exp.Min, exp.RowNumber, exp.Sum,
)  # fmt: skip

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates the queries of one exported frame."""

    variables: Mapping[str, int]  # of the frame, as getvariable() reads them
    schema: dict[str, object]  # table -> column -> DuckDB's name of its type; grows with derived tables

    def spark_sql(
        self, query: Query, params: Mapping[str, Any], *, ordered: bool = True, where: str | None = None
    ) -> str:
        """Return one SELECT for Spark, with the values in it.

        ordered  False where its rows become a table, which has no order
        where    column that selects the same rows as the query's own condition, and is asked instead
        raises   QueryError naming the query and what Spark does not have
        """
        try:
            return self._translated(query, params, ordered=ordered, where=where)
        except UnlikeError as unlike:
            raise refused(query.name, str(unlike)) from None
        except SqlglotError as error:
            raise refused(query.name, visible(str(error).splitlines()[0])) from None

    def _translated(self, query: Query, params: Mapping[str, Any], *, ordered: bool, where: str | None) -> str:
        tree = sqlglot.parse_one(query.text, read="duckdb")
        if where is not None and isinstance(tree, exp.Select):
            tree = tree.where(where, append=False)
        _bind(tree, {p.name: literal(p.type, params[p.name]) for p in query.params}, self.variables)
        tree = qualify(
            tree,
            schema=self.schema,
            dialect="duckdb",
            expand_alias_refs=False,
            quote_identifiers=False,
            validate_qualify_columns=False,
        )
        tree = annotate_types(tree, schema=self.schema, dialect="duckdb")
        _check(tree)
        if not ordered and not tree.args.get("limit"):
            tree.set("order", None)
        _without_vain_limit(tree)
        for cte in tree.find_all(exp.CTE):
            cte.set("materialized", None)
        return mend(tree).sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)


def refused(name: str, why: str) -> QueryError:
    """Return the error that names a query and why Spark cannot run it."""
    return QueryError(f"query {name} does not run on Spark: {why}", hint="leave --engine out: DuckDB runs every query")


def literal(type_: str, value: Any) -> exp.Expr:
    """Return a value as an expression of a DuckDB type; text is escaped when it is written, never pasted.

    raises  UnlikeError for a value that no literal can be made of
    """
    if value is None:
        return exp.cast(exp.null(), type_, dialect="duckdb")
    if type_.endswith("[]"):
        items = [literal(type_.removesuffix("[]"), item) for item in value]
        return exp.cast(exp.Array(expressions=items), type_, dialect="duckdb")
    if type_ == "BOOLEAN":
        return exp.Boolean(this=bool(value))
    if type_ in ("BIGINT", "INTEGER"):
        return exp.cast(_text(str(int(value))), type_, dialect="duckdb")
    if type_ == "DOUBLE":
        number = float(value)
        words = repr(number) if math.isfinite(number) else _NOT_FINITE[str(number)]
        return exp.cast(_text(words), type_, dialect="duckdb")
    if type_ == "VARCHAR":
        return _text(str(value))
    raise UnlikeError(f"a parameter of type {type_}")


def _text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def _bind(tree: exp.Expr, params: Mapping[str, exp.Expr], variables: Mapping[str, int]) -> None:
    for place in list(tree.find_all(exp.Placeholder)):
        place.replace(params[place.name].copy())
    for call in list(tree.find_all(exp.Anonymous)):
        if call.name.lower() == "getvariable":
            name = call.expressions[0].name
            if name not in variables:
                raise UnlikeError(f"it reads the variable {name}, which an export does not hold")
            call.replace(literal("BIGINT", variables[name]))


def _check(tree: exp.Expr) -> None:
    """Refuse what is not known to mean the same."""
    for node in tree.walk():
        if type(node) in SAME or type(node) in MENDED:
            continue
        if isinstance(node, exp.Literal):
            if node.is_string or node.this.isdigit() or "e" in node.this.lower():
                continue
            raise UnlikeError(f"{node.this} is a decimal number, whose arithmetic differs; write {node.this}e0")
        if isinstance(node, exp.Anonymous) and node.name.lower() in MENDED:
            continue
        name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
        raise UnlikeError(f"{name.lower()} is not known to mean the same there")


def _without_vain_limit(tree: exp.Expr) -> None:
    """Take away a limit above all that Spark could return: it only knows smaller ones."""
    limit = tree.args.get("limit")
    if limit is None:
        return
    number = limit.expression
    if isinstance(number, exp.Cast) and isinstance(number.this, exp.Literal):
        rows = int(number.this.this)
        if rows < 0:
            raise UnlikeError("a limit below 0")
        tree.set("limit", None if rows > MAX_LIMIT else exp.Limit(expression=exp.Literal.number(rows)))
