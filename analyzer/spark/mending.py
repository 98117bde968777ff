"""Mends what sqlglot carries from DuckDB to Spark with another meaning, each by a template in Spark's own words.

Every entry was found by running both engines over the same values; `make spark` does it again.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlglot
from sqlglot import exp

EXACT = 2**52  # from here on every double is whole, and Spark's floor and ceil, which give BIGINT, would not fit

TEMPLATES: dict[object, str] = {
    # floor and ceil of a double are doubles, also of NaN, of infinity and of what no BIGINT holds
    exp.Floor: f"case when abs(:x) < {EXACT} then cast(floor(:x) as double) else :x end",
    exp.Ceil: f"case when abs(:x) < {EXACT} then cast(ceil(:x) as double) else :x end",
    exp.IsNan: "case when :x is not null then isnan(:x) end",  # there: false of NULL
    exp.Sign: "case when isnan(:x) then 0 else cast(signum(:x) as int) end",  # there: NaN of NaN
    exp.Lower: "lower(translate(:x, 'İΣ', 'iσ'))",  # there their neighbours count; Unicode 16 differs
    exp.ArraySize: "cast(size(:x) as bigint)",  # there: INT
    exp.ArraySort: "array_sort(:x)",
    exp.ArrayContains: "case when :y is not null and :x is not null then coalesce(array_contains(:x, :y), false) end",
    exp.ArrayOverlaps: "case when :y is not null and :x is not null then coalesce(arrays_overlap(:x, :y), false) end",
    exp.Bracket: "case when :y <> 0 then try_element_at(:x, cast(:y as int)) end",  # there: an error, or counted from 0
    "list_position": "nullif(cast(array_position(:x, :y) as int), 0)",  # there: 0 where it is not found
    "list": "case when count(*) > 0 then transform(collect_list(named_struct('item', :x)), row -> row.item) end",
    "list_filtered": (
        "case when count(*) filter (where :y) > 0"
        " then transform(collect_list(named_struct('item', :x)) filter (where :y), row -> row.item) end"
    ),  # there: without NULLs, and [] of no rows
    "text_of_json": (
        "case when schema_of_variant(variant_get(parse_json(:x), :y, 'variant')) = 'STRING'"
        " then variant_get(parse_json(:x), :y, 'string') end"
    ),
}


class UnlikeError(Exception):
    """Part of a query means something else in Spark, and nothing here mends it."""


def mend(tree: exp.Expr) -> exp.Expr:
    """Replace, from the leaves up, all that Spark would understand differently; types must be annotated."""
    for node in reversed(list(tree.walk())):
        key = node.name.lower() if isinstance(node, exp.Anonymous) else type(node)
        if key in MENDED and node.parent is not None:
            type_, made = node.type, MENDED[key](node)
            if made is not node:
                made.type = type_  # a cast around it asks for it
                node.replace(made)
    return tree


def _template(key: object, **parts: exp.Expr) -> exp.Expr:
    made = sqlglot.parse_one(TEMPLATES[key], read="spark")
    for place in list(made.find_all(exp.Placeholder)):
        place.replace(parts[place.name].copy())
    for call in list(made.find_all(exp.ParseJSON)):  # sqlglot takes JSON for text, and leaves the call out
        call.replace(exp.Anonymous(this="parse_json", expressions=[call.this]))
    return exp.paren(made, copy=False)


def _of_double(node: exp.Expr) -> exp.Expr:
    if not node.this.is_type("double"):
        raise UnlikeError(f"{type(node).__name__.lower()} of {_type(node.this)}")
    return _template(type(node), x=node.this)


def _one(node: exp.Expr) -> exp.Expr:
    if any(value for name, value in node.args.items() if name != "this"):
        raise UnlikeError(f"{type(node).__name__.lower()} with options")
    return _template(type(node), x=node.this)


def _sorted(node: exp.Expr) -> exp.Expr:
    if node.args.get("asc") is not None:  # said by list_sort(x, 'ASC' or 'DESC')
        raise UnlikeError("list_sort with an order")
    return _template(exp.ArraySort, x=node.this)


def _two(node: exp.Expr) -> exp.Expr:
    return _template(type(node), x=node.this, y=node.expression)


def _position(node: exp.Expr) -> exp.Expr:
    items, item = node.expressions
    return _template("list_position", x=items, y=item)


def _bracket(node: exp.Expr) -> exp.Expr:
    (index,) = node.expressions
    if isinstance(index, exp.Literal):  # sqlglot has made it count from 0
        index = exp.Literal.number(int(index.this) + 1)
    elif isinstance(index, exp.Slice):
        raise UnlikeError("a slice in brackets; list_slice is known")
    return _template(exp.Bracket, x=node.this, y=index)


def _extract(node: exp.Expr) -> exp.Expr:
    items, index = node.expressions
    return _template(exp.Bracket, x=items, y=index)


def _slice(node: exp.Expr) -> exp.Expr:
    items, first, last = node.expressions
    last = last.this if isinstance(last, exp.Cast) else last
    if first.name != "1" or not last.name.isdigit():
        raise UnlikeError("list_slice from elsewhere than 1, or to a number that is not given")
    return exp.func("slice", items, exp.Literal.number(1), exp.Literal.number(min(int(last.name), 2**31 - 1)))


def _cast(node: exp.Expr) -> exp.Expr:
    from_, to = node.this, node.args["to"]
    if isinstance(from_, exp.Literal | exp.Null) or (from_.is_type("unknown") and isinstance(from_, exp.Array)):
        return node
    whole = (*exp.DataType.INTEGER_TYPES,)
    if to.is_type(*whole) and from_.is_type("double", "float"):
        return exp.cast(exp.func("rint", from_.copy(), dialect="spark"), to.copy())  # there: cut off
    is_plain = from_.is_type(*whole, "boolean") or from_.type == to
    if is_plain or (from_.is_type("null") or (from_.is_type("array") and to.is_type("array"))):
        return node
    raise UnlikeError(f"a cast from {_type(from_)} to {to.sql('duckdb')}")


def _window(node: exp.Expr) -> exp.Expr:
    """Number rows by BIGINT."""
    return exp.cast(node.copy(), "bigint") if isinstance(node.this, exp.RowNumber) else node


def _arg(node: exp.Expr) -> exp.Expr:
    """Leave out rows without a value, as arg_min and arg_max do."""
    condition = exp.and_(node.this.is_(exp.null()).not_(), node.expression.is_(exp.null()).not_())
    if isinstance(node.parent, exp.Filter):
        raise UnlikeError("a filter of arg_min or arg_max")
    return exp.Filter(this=node.copy(), expression=exp.Where(this=condition))


def _list(node: exp.Expr) -> exp.Expr:
    """Return list(x), with its order and filter, as an array that keeps NULLs."""
    if isinstance(node.parent, exp.Filter) and node.arg_key == "this":
        return node  # with its filter: see _filtered
    return _ordered(node, _template("list", x=_items(node)))


def _filtered(node: exp.Expr) -> exp.Expr:
    if not isinstance(node.this, exp.ArrayAgg):
        return node
    return _ordered(node.this, _template("list_filtered", x=_items(node.this), y=node.expression.this))


def _items(node: exp.Expr) -> exp.Expr:
    found: exp.Expr = node.this.this if isinstance(node.this, exp.Order) else node.this
    return found


def _ordered(node: exp.Expr, made: exp.Expr) -> exp.Expr:
    """Sort what is collected; only by the collected value itself, ascending, which is all that array_sort knows."""
    if not isinstance(node.this, exp.Order):
        return made
    orders = node.this.expressions
    if len(orders) != 1 or orders[0].this != node.this.this or orders[0].args.get("desc"):
        raise UnlikeError("list(x order by y)")
    return _template(exp.ArraySort, x=made)


def _lambda(node: exp.Expr) -> exp.Expr:
    """Let the second parameter of a lambda, the position, count from 1."""
    if len(node.expressions) < 2:
        return node
    position = node.expressions[1].name
    for name in [found for found in node.this.find_all(exp.Identifier) if found.name == position]:
        inside = name.parent if isinstance(name.parent, exp.Column) else name
        if isinstance(inside, exp.Column) and inside.table:
            continue
        inside.replace(exp.paren(exp.Add(this=inside.copy(), expression=exp.Literal.number(1))))
    return node


def _case(node: exp.Expr) -> exp.Expr:
    """Mend `case when json_type(x, path) = 'VARCHAR' then (x->>path) end`, the text at a path where it is text."""
    kinds = list(node.find_all(exp.JSONType))
    if not kinds:
        return node
    (kind, *others), branches = kinds, node.args["ifs"]
    test = branches[0].this
    value = branches[0].args["true"].unnest()
    if (
        others
        or len(branches) != 1
        or node.args.get("default") is not None
        or node.this is not None
        or not (isinstance(test, exp.EQ) and test.this is kind and test.expression.name == "VARCHAR")
        or not (isinstance(value, exp.JSONExtractScalar) and value.this == kind.this)
        or _path(value.expression) != _path(kind.expression)
    ):
        raise UnlikeError("JSON other than a text at a path")
    return _template("text_of_json", x=kind.this, y=exp.Literal.string(_path(value.expression)))


def _path(node: exp.Expr) -> str:
    return node.this if isinstance(node, exp.Literal) else node.sql("spark").strip("'")


def _in_case(node: exp.Expr) -> exp.Expr:
    """Leave to `_case` what only has a meaning in there."""
    if node.find_ancestor(exp.Case) is None:
        raise UnlikeError("JSON other than a text at a path")
    return node


def _type(node: exp.Expr) -> str:
    return node.type.sql("duckdb") if node.type else "an unknown type"


MENDED: dict[object, Callable[[exp.Expr], exp.Expr]] = {
    exp.Floor: _of_double,
    exp.Ceil: _of_double,
    exp.Sign: _of_double,
    exp.IsNan: _one,
    exp.Lower: _one,
    exp.ArraySize: _one,
    exp.ArraySort: _sorted,
    exp.ArrayContains: _two,
    exp.ArrayOverlaps: _two,
    exp.Bracket: _bracket,
    exp.Cast: _cast,
    exp.ArgMin: _arg,
    exp.ArgMax: _arg,
    exp.ArrayAgg: _list,
    exp.Filter: _filtered,
    exp.Window: _window,
    exp.ArrayFilter: lambda node: node,
    exp.Transform: lambda node: node,
    exp.Lambda: _lambda,
    exp.Case: _case,
    exp.JSONType: _in_case,
    exp.JSONExtractScalar: _in_case,
    exp.JSONPath: _in_case,
    exp.JSONPathRoot: _in_case,
    exp.JSONPathKey: _in_case,
    "list_extract": _extract,
    "list_position": _position,
    "list_slice": _slice,
}
