"""`analyzer query`: the list, named queries in every format, and read-only SQL that cannot get out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from analyzer import cli, sql
from tests.analysis.leftovers import helper_task, message, placeholder, prompt, task, trace, user
from tests.storing import NOW_MS, put

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = {
        "users": [user(1)],
        "tasks": [task(1, title="=1+1"), helper_task(2, title="\x1b[31mred\u202e")],
        "chatMessages": [message(1, 1), prompt(2, 2), placeholder(3, 2, 2), message(4, 1, status="failed")],
        "workflowTraces": [trace(1, 1), trace(2, 2, status="FAILED")],
    }
    return put(tmp_path_factory.mktemp("made"), documents)


def run(*words: str, path: Path | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["query", *words, *(["--db", str(path)] if path else [])])


def test_the_list_names_every_query_with_its_meaning_and_needs_no_store() -> None:
    result = run()
    assert result.exit_code == 0
    for name in sql.names():
        assert f"{name} " in result.stdout
    rows = json.loads(run("--format", "json").stdout)["rows"]
    assert {"query": "health/counts", "spark": "yes", "meaning": sql.load("health/counts").title} in rows
    assert {row["query"] for row in rows if row["spark"] == "no"} >= {"purge/documents", "functions/calls"}


def test_help_of_a_query_describes_its_parameters_and_columns_without_a_store() -> None:
    result = run("health/counts", "--help")
    assert result.exit_code == 0
    for word in ("window_ms BIGINT", "length of the window, > 0", "document_count BIGINT", "Reads stg_messages"):
        assert word in result.stdout
    assert "--param" in run("--help").stdout


def test_a_named_query_takes_windows_and_filter_from_the_settings_unless_given(path: Path) -> None:
    as_csv = run("health/counts", "--format", "csv", path=path)
    assert as_csv.stdout.splitlines() == [
        "table_name,measure,status,document_count",
        "chatMessages,window,complete,2",
        "chatMessages,window,failed,1",
        "chatMessages,window,pending,1",
        "workflowTraces,recent,COMPLETED,1",
        "workflowTraces,recent,FAILED,1",
        "workflowTraces,window,COMPLETED,1",
        "workflowTraces,window,FAILED,1",
    ]
    assert run("health/counts", "-p", "window_ms=1", "-p", "stuck_ms=1", "--format", "csv", path=path).stdout == (
        "table_name,measure,status,document_count\n"
    )


def test_a_query_brings_the_tables_it_reads_and_takes_the_parameters_of_those_that_fill_them(path: Path) -> None:
    window = {"base_from_ms": 0, "base_to_ms": 1, "after_from_ms": 1, "after_to_ms": NOW_MS}
    params = [word for name, value in window.items() for word in ("-p", f"{name}={value}")]
    result = run("compare/counts", *params, "--format", "csv", path=path)
    assert result.exit_code == 0, result.output
    assert "after,chatMessages,2,0,0,1,1" in result.stdout
    assert "compare/counts needs --param base_from_ms=" in run("compare/counts", path=path).stderr
    assert "base_from_ms BIGINT" in run("compare/counts", "--help").stdout


def test_a_named_query_sees_the_documents_at_the_clock(path: Path) -> None:
    early = run("health/counts", "--at", str(NOW_MS - 60_001), "--format", "json", path=path)
    assert json.loads(early.stdout) == {"schema": "query/1", "rows": []}


@pytest.mark.parametrize(("filter_name", "messages"), [("evidence", 2), ("none", None)])
def test_queries_about_artifacts_and_filters_find_their_tables_made(
    filter_name: str, messages: int | None, path: Path
) -> None:
    result = run("health/excluded", "--filter", filter_name, "--format", "json", path=path)
    found = {row["table_name"]: row["document_count"] for row in json.loads(result.stdout)["rows"]}
    assert found.get("chatMessages") == messages
    assert run("artifacts/tiers", path=path).exit_code == 0


def test_a_table_is_aligned_and_safe_to_print(path: Path) -> None:
    result = run("artifacts/list", "-p", "tiers=certain", "-p", "limit=9", path=path)
    assert "\x1b" not in result.stdout
    assert "\\x1b[31mred\\u202e" in result.stdout
    lines = result.stdout.splitlines()
    assert len({line.index(" certain ") for line in lines[1:]}) == 1


def test_csv_holds_no_formula(path: Path) -> None:
    rows = list(
        csv.reader(
            io.StringIO(run("--sql", "select title from stg_tasks order by 1", "--format", "csv", path=path).stdout)
        )
    )
    assert ["'=1+1"] in rows


def test_more_rows_than_are_held_at_once_are_refused_and_not_shown_in_part(path: Path) -> None:
    result = run("--sql", "select * from range(1000000000000)", "--format", "csv", path=path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        "error: more than 1,000,000 rows, which is the most that are shown\nhint:  write them"
    )
    most = run("--sql", "select count(*) as n from range(1000001)", "--format", "csv", path=path)
    assert most.stdout.splitlines() == ["n", "1000001"]


@pytest.mark.parametrize(
    "words", [["artifacts/tiers"], ["--sql", "select tier, count(*) as n from artifact group by all"]]
)
def test_parquet_holds_the_rows_also_over_an_older_file(words: list[str], path: Path, tmp_path: Path) -> None:
    for _ in range(2):
        result = run(*words, "--format", "parquet", "-o", "out.parquet", path=path)
        assert result.exit_code == 0, result.output
    rows = duckdb.execute(f"from '{tmp_path / 'out.parquet'}'").fetchall()
    assert "certain" in {row[0] for row in rows}


def test_output_goes_to_a_file_when_one_is_named(path: Path, tmp_path: Path) -> None:
    result = run("artifacts/tiers", "--format", "csv", "-o", "out.csv", path=path)
    assert (result.stdout, result.stderr) == ("", "3 rows: out.csv\n")
    assert (tmp_path / "out.csv").read_text().startswith("tier,component,table_name,document_count\n")


def test_sql_of_ones_own_reads_views_tables_and_values_of_every_type(path: Path) -> None:
    query = """select id, content_sha256, is_null, list(1), {'a': 2} as s,
        170141183460469231731687303715884105727 as big, date '2025-12-16' as d, 'nan'::double as n, true as b
        from (select id, content_sha256, null as is_null from stg_messages order by id limit 1) group by all -- end"""
    row = json.loads(run("--sql", query, "--format", "json", path=path).stdout)["rows"][0]
    assert len(row["content_sha256"]) == 64
    assert (row["is_null"], row["s"], row["d"], row["n"], row["b"]) == (None, {"a": 2}, "2025-12-16", None, True)
    assert row["big"] == "170141183460469231731687303715884105727"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("drop table snapshot", "one SELECT is wanted, got: DROP"),
        ("select 1; select 2", "got: SELECT, SELECT"),
        ("", "got: none"),
        ("selec 1", "this is no SQL"),
        ("copy stg_tasks to 'x.csv'", "got: COPY"),
        ("attach 'x.duckdb'", "got: ATTACH"),
        ("set threads = 1", "got: SET"),
        ("install httpfs", "got: LOAD"),
        ("from read_text('/etc/passwd')", "file system operations are disabled"),
        ("from '/etc/passwd.csv'", "file system operations are disabled"),
        ("from glob('/etc/*')", "file system operations are disabled"),
        ("from settings", "does not exist"),
        ("with x as (delete from snapshot returning *) select * from x", "error: this "),
        ("select title::integer from stg_tasks", "this SQL failed"),
    ],
)
def test_sql_of_ones_own_cannot_write_nor_leave_the_store(query: str, words: str, path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    (tmp_path / "x.csv").write_text("kept")
    result = run("--sql", query, path=path)
    assert result.exit_code == 2
    assert words in result.stderr and "\nhint:  " in result.stderr
    assert "\x1b" not in result.stderr, "what DuckDB quotes of a document is made safe to print"
    assert path.read_bytes() == before
    assert (tmp_path / "x.csv").read_text() == "kept"


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["health/nothing"], "there is no query named 'health/nothing'"),
        (["../schema/0001_first"], "there is no query"),
        (["health/series"], "health/series needs --param first_ms=…"),
        (["health/counts", "-p", "window=1"], "is none of health/counts's"),
        (["health/counts", "-p", "window_ms"], "is none of health/counts's"),
        (["health/counts", "-p", "window_ms=1h"], "window_ms=1h is no BIGINT"),
        (["artifacts/tiers", "--format", "parquet"], "--format parquet needs a file"),
        (["artifacts/tiers", "--sql", "select 1"], "--sql goes with neither a name nor --param"),
        (["artifacts/tiers", "--master", "local[2]"], "go with --engine spark"),
        (["--engine", "spark"], "--engine spark runs named queries alone"),
        (["--engine", "spark", "--sql", "select 1"], "--engine spark runs named queries alone"),
        (["artifacts/tiers", "--engine", "spark", "--format", "parquet", "-o", "x"], "writes no Parquet file"),
        (["artifacts/tiers", "--engine", "spark", "--parquet", "x", "--at", "1"], "settled when the folder was"),
        (["artifacts/tiers", "--engine", "spark", "--master", "mesos://x"], "mesos://x is no Spark master"),
        (["artifacts/tiers", "--engine", "spark", "--master", "yarn"], "reads no temporary folder"),
        (["purge/table_counts", "--engine", "spark"], "a purge is planned on the store itself"),
        (["functions/spans", "--engine", "spark"], "an export does not hold observed_span"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_valid(words: list[str], fact: str, path: Path) -> None:
    result = run(*words, path=path)
    assert result.exit_code == 2
    assert fact in result.stderr
    assert "hint: " in result.stderr
