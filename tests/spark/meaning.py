"""Puts every expression that is mended, or taken for the same, to both engines over values at the edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from analyzer import sql
from analyzer.spark.dialect import Translator
from analyzer.spark.session import Session

EDGES = r"""
create table edge as select row_number() over () as k, d, n, i, s, items from (values
    (1.5::double, 5::bigint, 1::integer, 'a', ['a', 'b']),
    (2.5, -7, 0, 'it''s \ ${env:HOME}', ['b', null]),
    (-2.5, 7, -1, 'İΣ x', []::varchar[]),
    ('nan', 0, 9, null, null),
    ('inf', -1, 2, '{"a": "x\u00e9\n"}', ['x']),
    ('-inf', 3, 3, '{"a": 1}', [null]),
    (1e300, 4, 4, '{"a": null, "b": 2}', ['a', 'a']),
    (-0.0, 5, 1, '{}', ['Z', 'a']),
    (null, null, null, 'ΑΣ', ['b', 'a', null]),
    (4503599627370497.0, 1, 1, 'ẞ', ['1'])
) as t (d, n, i, s, items)
"""
# Letters of Unicode 16 and later, which DuckDB does not lower yet, are left out.
LETTERS = """
create table letter as select chr(u::integer) as s, lower(chr(u::integer)) as lowered
from range(1, 65536) as t (u) where (u < 55296 or u > 57343) and u <> 7305 and u not between 42955 and 42972
"""
VALUE = r"it's \ ${env:HOME}"
EACH = (
    "floor(e.d)", "ceil(e.d)", "isnan(e.d)", "sign(e.d)", "case when abs(e.d) < 1e15 then e.d::bigint end",
    "lower(e.s)", "contains(e.s, 'Σ')", "array_length(e.items)", "list_sort(e.items)", "list_contains(e.items, 'a')",
    "list_contains(e.items, e.s)", "list_has_any(e.items, ['a', 'q'])", "e.items[e.i]", "list_extract(e.items, e.i)",
    "list_position(e.items, 'a')", "list_slice(e.items, 1, 1)", "list_filter(e.items, lambda x, j: j = 1)",
    "list_filter(e.items, lambda x: x = 'a')", "e.n // 2", "e.n % 2", "e.d / 2", "greatest(e.d, e.n)",
    "least(e.d, e.n)", "e.s is distinct from 'a'", "e.d = 'nan'::double", "$value", "$value = e.s",
)  # fmt: skip
ALL = (
    "list(e.s order by e.s)", "list(e.s order by e.s) filter (where e.n > 3)", "list(e.s) filter (where e.n > 99)",
    "arg_min(e.s, e.n)", "arg_max(e.s, e.k)", "bool_and(e.n > 0)",
)  # fmt: skip
HEADER = "-- Test.\n-- grain none\n-- params {}\n-- returns none\n-- reads edge\n"


def differing(session: Session, folder: Path) -> list[str]:
    """Return the expressions whose values differ, with those of DuckDB and of Spark."""
    queries = {text: f"select e.k, {text} as v from edge as e order by e.k" for text in EACH}
    queries |= {text: f"select {text} as v from edge as e" for text in ALL}
    plain = "case when json_type(e.s, '$.a') = 'VARCHAR' then (e.s->>'$.a') end"
    queries[plain] = f"select e.k, {plain} as v from edge as e where e.k in (5, 6, 7, 8) order by e.k"
    queries["every letter"] = (
        "select c.s, c.lowered, lower(c.s) as v from letter as c"
        " where lower(c.s) is distinct from c.lowered order by c.s"
    )
    found = []
    with duckdb.connect() as duck:
        columns: dict[str, Any] = {}
        for table, made in (("edge", EDGES), ("letter", LETTERS)):
            duck.execute(made)
            (folder / table).mkdir(parents=True)
            duck.execute(f"copy {table} to '{folder / table / 'part-0.parquet'}' (format parquet)")
            columns[table] = {row[0]: row[1] for row in duck.execute(f"describe {table}").fetchall()}
            session.read(table, folder.as_uri(), columns[table], is_empty=False)
        translator = Translator({}, columns)
        for text, select in queries.items():
            given = {"value": VALUE} if "$value" in text else {}
            query = sql.parse("test/one", HEADER.format("$value VARCHAR a text" if given else "none") + select)
            wanted = duck.execute(query.text, given or None).fetchall()
            rows = list(session.run(translator.spark_sql(query, given))[1])
            if repr(rows) != repr(wanted):
                found.append(f"{text}: {[pair for pair in zip(wanted, rows, strict=False) if pair[0] != pair[1]]}")
    return found
