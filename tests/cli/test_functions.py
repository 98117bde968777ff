"""`analyzer functions` as typed, over what live collects of a stand-in kept."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from tests.collect.test_live import gather
from tests.collect.test_observing import call
from tests.deployment import Deployment

FN = "chat:send"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("functions") / "s.duckdb"
    with Deployment(seed=3) as d:
        gather(d, path)
        for _ in range(30):
            d.clock.advance_s(60)
            call(d, 3)
            call(d, 3, path="chat:list", kind="Query", is_cached=True, execution_s=0.0001)
            call(d, path="chat:list", kind="Query")
        d.set_env(ENABLE_WORKFLOW="true")
        for _ in range(9):
            d.clock.advance_s(60)
            call(d, 3, error="Uncaught TypeError: \x1b[31mprivate")
            call(d, 4, path="chat:list", kind="Query")
        d.clock.advance_s(60)
        gather(d, path)
    return path


def run(store: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["functions", "--db", str(store), *words])


def test_text_shows_one_line_a_function_with_its_signs(store: Path) -> None:
    result = run(store, "--window", "40m")
    assert result.exit_code == 1, result.stderr
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert "errors above 5%" in lines[FN]
    assert "ENABLE_WORKFLOW: caches were emptied, no regression" in lines["chat:list"]
    assert "cache hits fell" not in lines["chat:list"]
    assert "private" not in result.stdout and "\x1b" not in result.stdout


def test_json_has_rates_as_shares_and_null_for_unknown(store: Path) -> None:
    found = json.loads(run(store, "--window", "40m", "--format", "json").stdout)
    assert found["schema"] == "functions/1"
    by_name = {row["function"]: row for row in found["functions"]}
    assert by_name[FN]["error_rate"] == pytest.approx(27 / 117)
    assert by_name[FN]["cache_hit_share"] is None
    assert by_name["chat:list"]["cache_hit_share"] == 0.75
    assert by_name["chat:list"]["dip_after_variable_change"] is True
    assert [event["subject"] for event in found["events"] if "variable" in event["action"]] == ["ENABLE_WORKFLOW"]
    assert found["coverage"]["metric_minutes"] == 40


def test_csv_has_one_row_a_function(store: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(store, "--format", "csv").stdout)))
    assert {row["function"] for row in rows} >= {FN, "chat:list"}
    assert all(row["minutes"] == "60" for row in rows)


def test_a_window_before_everything_is_unknown_and_exits_4(store: Path) -> None:
    result = run(store, "--at", "2025-01-01T00:00:00Z")
    assert (result.exit_code, "no function was seen" in result.stdout) == (4, True)


def test_the_same_store_gives_the_same_bytes(store: Path) -> None:
    assert run(store, "--format", "json").stdout == run(store, "--format", "json").stdout


def test_a_store_of_exports_alone_has_nothing_to_show(tmp_path: Path) -> None:
    from tests.storing import put

    result = run(put(tmp_path, {}))
    assert (result.exit_code, result.stdout) == (5, "")
