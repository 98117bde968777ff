"""The translation to Spark's SQL, without a Spark: every query that is listed for it, and what is refused."""

from __future__ import annotations

import functools
from typing import Any

import duckdb
import pytest

from analyzer import exported, sql
from analyzer.errors import QueryError
from analyzer.spark.dialect import Translator
from tests.queries.samples import SAMPLES

RUNNING = [name for name in sql.names() if exported.why_not(sql.load(name)) is None]
EDGE = {"edge": {"s": "VARCHAR", "d": "DOUBLE", "n": "BIGINT", "items": "VARCHAR[]", "b": "BOOLEAN"}}


def one(select: str, *params: str, **values: Any) -> str:
    """Translate a SELECT that is no file; params as a header has them, "$name TYPE"."""
    header = "-- Test.\n-- grain none\n-- params {}\n-- returns none\n-- reads edge\n"
    query = sql.parse("test/one", header.format("\n--        ".join(params) or "none") + select)
    return Translator({"at_ms": 7}, dict(EDGE)).spark_sql(query, values)


@functools.cache
def tables() -> dict[str, dict[str, str]]:
    """Return the columns of every table that queries read, by the headers and the schema of the store."""
    tables: dict[str, dict[str, str]] = {}
    with duckdb.connect() as empty:
        for path in sorted((sql.folder() / "schema").glob("*.sql")):
            empty.execute(path.read_text(encoding="utf-8"))
        for table, column, type_ in empty.execute(
            "select table_name, column_name, data_type from duckdb_columns()"
        ).fetchall():
            tables.setdefault(table, {})[column] = type_
    for other in [*sql.names(), *(f"staging/{path.stem}" for path in (sql.folder() / "staging").glob("*.sql"))]:
        query = sql.parse(other, (sql.folder() / f"{other}.sql").read_text(encoding="utf-8"))
        tables[other.split("/")[1]] = {column.name: column.type for column in query.returns}
    return tables | {"rule_evidence": tables["evidence"], "compare_document": tables["document"]}


@pytest.mark.parametrize("name", RUNNING)
def test_every_query_that_is_listed_for_spark_has_a_translation(name: str) -> None:
    query = sql.load(name)
    variables = dict.fromkeys(("deployment_no", "as_of_ns", "at_ms", "valid_at_ns"), 1)
    text = Translator(variables, dict(tables())).spark_sql(query, {p.name: SAMPLES[p.type] for p in query.params})
    assert "getvariable" not in text.lower()
    assert ":" not in text, "a parameter that was not bound, or a cast of DuckDB's"


def test_all_of_health_artifacts_and_comparisons_run_but_applying_a_rule_and_what_reads_the_log() -> None:
    wanted = {name for name in sql.names() if name.startswith(("health/", "artifacts/", "compare/"))}
    from_the_log = {
        name for name in wanted if {"function_call", "function_latency", "observed_span"} & set(sql.load(name).reads)
    }
    assert wanted - set(RUNNING) == {"artifacts/with_rule"} | from_the_log


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ("select regexp_full_match(e.s, 'a') as x from edge as e", "is not known to mean the same"),
        ("select quantile_disc(e.d, 0.5) as x from edge as e", "is not known to mean the same"),
        ("select e.d * 1.5 as x from edge as e", "1.5 is a decimal number"),
        ("select floor(e.n) as x from edge as e", "floor of BIGINT"),
        ("select e.d::varchar as x from edge as e", "a cast from DOUBLE to TEXT"),
        ("select e.s::double as x from edge as e", "a cast from TEXT to DOUBLE"),
        ("select len(e.items) as x from edge as e", "length is not known"),
        ("select (e.s->>'$.a') as x from edge as e", "JSON other than a text at a path"),
        (
            "select case when json_type(e.s, '$.a') = 'VARCHAR' then (e.s->>'$.b') end as x from edge as e",
            "JSON other than a text at a path",
        ),
        ("select list(e.s order by e.n) as x from edge as e", "list(x order by y)"),
        ("select list_sort(e.items, 'DESC') as x from edge as e", "list_sort with an order"),
        ("select list_slice(e.items, 2, 3) as x from edge as e", "list_slice from elsewhere than 1"),
        ("select getvariable('other') as x from edge as e", "it reads the variable other"),
        ("select e.s from edge as e using sample 10%", "is not known to mean the same"),
        ("select e.s as x, e.n from edge as e order by all", "is not known to mean the same"),
    ],
)
def test_what_might_mean_something_else_is_refused_by_name(select: str, words: str) -> None:
    with pytest.raises(QueryError, match="query test/one does not run on Spark") as refused:
        one(select)
    assert words in str(refused.value)
    assert "DuckDB" in refused.value.hint


def test_values_become_literals_that_no_text_can_break_out_of() -> None:
    text = one(
        "select e.s from edge as e where e.s = $s and e.n < $n and list_contains($l, e.s)",
        "$s VARCHAR a text",
        "$n BIGINT a number",
        "$l VARCHAR[] texts",
        s="it's \\' or 1=1 --",
        n=-(2**63),
        l=[],
    )
    assert r"e.s = 'it\'s \\\' or 1=1 --'" in text
    assert "CAST('-9223372036854775808' AS BIGINT)" in text
    assert "CAST(ARRAY() AS ARRAY<STRING>)" in text


def test_a_limit_that_spark_does_not_know_is_none() -> None:
    select, param = "select e.s from edge as e order by e.s limit $limit", "$limit BIGINT how many"
    assert one(select, param, limit=2**62).endswith("ORDER BY e.s NULLS LAST")
    assert one(select, param, limit=5).endswith("LIMIT 5")
    with pytest.raises(QueryError, match="a limit below 0"):
        one(select, param, limit=-1)
