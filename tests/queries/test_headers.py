"""Every query file is what its header says: one SELECT, these parameters, these columns, these tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from analyzer import sql
from analyzer.analysis import artifacts, health
from analyzer.model import FilterName
from analyzer.rules import load_all
from analyzer.store import Store
from tests.analysis.leftovers import helper_task, message, task
from tests.queries.samples import SAMPLES
from tests.storing import put

NAMES = sql.names()
STAGING = sorted(f"staging/{path.stem}" for path in (sql.folder() / "staging").glob("*.sql"))
CHECKS = sorted(f"check/{path.stem}" for path in (sql.folder() / "check").glob("*.sql"))
KEPT_BY_COMMANDS = {  # temporary tables that a command makes while it runs, and the query that gives them
    "every_artifact": "explain/every_artifact",
    "compare_document": "compare/document",
    "function_latency": "compare/function_latency",
    "every_revision": "check/every_revision",
    "check_ends": "check/ends",
    "check_minutes": "check/minutes",
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a database in which everything that queries read is an empty table, also what is a view elsewhere."""
    documents = {"tasks": [task(1), helper_task(2)], "chatMessages": [message(1, 1)]}
    with Store.read(put(tmp_path_factory.mktemp("headers"), documents)) as store:
        frame = store.frame(store.snapshot())
        artifacts.prepare(frame, load_all(), orphans=True)
        health.leave_out(frame, FilterName.EVIDENCE)
        described = frame._connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() where not internal order by column_index"
        ).fetchall()
    tables: dict[str, list[str]] = {}
    for table, column, type_ in described:
        tables.setdefault(table, []).append(f'"{column}" {type_}')
    for table, name in KEPT_BY_COMMANDS.items():
        tables[table] = [f'"{column.name}" {column.type}' for column in sql.load(name).returns]
    with duckdb.connect() as made:
        for table, columns in tables.items():
            made.execute(f"create table {table} ({', '.join(columns)})")
        for variable in ("deployment_no", "as_of_ns", "at_ms", "valid_at_ns"):
            made.execute(f"set variable {variable} = 1::bigint")
        yield made


def _samples(query: sql.Query) -> dict[str, Any]:
    return {param.name: SAMPLES[param.type] for param in query.params}


def _tables(reads: tuple[str, ...]) -> set[str]:
    """Return the tables among what a header says is read; variables come last."""
    tables = []
    for word in reads:
        if word.startswith("variable"):
            break
        tables.append(word)
    return set(tables)


def test_there_are_queries() -> None:
    assert len(NAMES) > 20
    assert not any(name.startswith(("schema/", "staging/", "check/")) for name in NAMES)


@pytest.mark.parametrize("name", [*NAMES, *STAGING, *CHECKS])
def test_a_file_is_one_select_with_the_parameters_of_its_header(name: str) -> None:
    query = sql.parse(name, (sql.folder() / f"{name}.sql").read_text(encoding="utf-8"))
    statements = duckdb.extract_statements(query.text)
    assert [statement.type for statement in statements] == [duckdb.StatementType.SELECT]
    assert {param.name for param in query.params} == set(statements[0].named_parameters)
    assert all(param.meaning for param in query.params), "a parameter without a meaning"
    assert {param.type for param in query.params} <= set(SAMPLES)
    variables = set(re.findall(r"getvariable\('(\w+)'\)", query.text))
    named = re.findall(r"\bvariables? (.*)", " ".join(query.reads).replace(",", ""))
    words = set(" ".join(named).split())
    assert words <= variables, "the header names a variable that the query does not read"


@pytest.mark.parametrize("name", [*NAMES, *CHECKS])
def test_a_query_gives_the_columns_and_reads_the_tables_of_its_header(
    name: str, connection: duckdb.DuckDBPyConnection
) -> None:
    query = sql.load(name)
    result = connection.execute(query.text, _samples(query) or None)
    found = [(column[0], str(column[1])) for column in result.description or ()]
    assert found == [(column.name, column.type) for column in query.returns]
    literal = re.sub(r"\$\w+", "(null)", query.text)
    assert _tables(query.reads) == connection.get_table_names(literal)


@pytest.mark.parametrize("name", [*NAMES, *STAGING, *CHECKS])
def test_a_file_keeps_the_forms_that_other_engines_and_versions_read(name: str) -> None:
    text = (sql.folder() / f"{name}.sql").read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    bare = re.sub(r"'[^']*'", "''", code)
    assert bare == bare.lower()
    for form in (" asof ", " qualify ", ";"):
        assert form not in f" {bare} ", form
    if name not in STAGING:
        assert "order by" in bare, "a total order, so that the same store gives the same bytes"


def test_a_title_says_in_one_line_what_a_query_is_about() -> None:
    titles = [sql.load(name).title for name in [*NAMES, *CHECKS]]
    assert all(title.endswith(".") and len(title) <= 120 for title in titles)
    assert len(set(titles)) == len(titles)


def test_every_file_of_the_folder_can_be_named() -> None:
    files = {path.relative_to(sql.folder()).with_suffix("").as_posix() for path in sql.folder().glob("*/*.sql")}
    assert {name for name in files if not name.startswith("schema/")} == {*NAMES, *STAGING, *CHECKS}
