"""`analyzer health`: JSON by contract, text, brief, CSV, series, charts, exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.model import Deployment, DeploymentType
from analyzer.units import width
from tests.analysis.leftovers import helper_task, message, placeholder, prompt, task, trace, user
from tests.storing import NOW_MS, put
from tests.support import collected_case, golden_cases

CASE = golden_cases()["artifact_prompt_test_on_healthy_prod"]
MINUTE = 60_000


pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collected_case(CASE, tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Degraded by leftovers alone: one real message, and a helper's two."""
    documents = {
        "users": [user(1)],
        "tasks": [task(1), helper_task(2, title="\x1b[31m $x$ <b>")],
        "chatMessages": [message(1, 1), prompt(2, 2), placeholder(3, 2, 2)],
        "workflowTraces": [trace(1, 1, totalDurationMs=4_000.0)],
    }
    deployment = Deployment("dev\x1b[2J-1", type=DeploymentType.DEV)
    return put(tmp_path_factory.mktemp("mixed"), documents, deployment=deployment)


def run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["health", *words, "--db", str(path)])


def _json(path: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(path, *words, "--format", "json").stdout)
    return found


def test_json_is_health_1_field_for_field(recorded: Path) -> None:
    result = run(recorded, "--at", str(CASE["now_ms"]), "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    sides = {
        side: {"systemHealth": CASE[key]["getSystemHealth"], "alerts": CASE[key]["checkAlerts"]}
        for side, key in (("raw", "expected"), ("without_tests", "expected_without_artifacts"))
    }
    held = {name: len(CASE["documents"][name]) for name in ("chatMessages", "workflowTraces", "tasks", "users")}
    assert found == {
        "schema": "health/1",
        "deployment": "happy-animal-123",
        "type": "unknown",
        "snapshot": 1,
        "at_ms": CASE["now_ms"],
        "policy": "deployed",
        "filter": "evidence",
        "status": "healthy",
        "raw_status": "degraded",
        "reported": None,
        **sides,
        "excluded": {"chatMessages": 2, "tasks": 1, "users": 1},
        "coverage": {n: {"status": "collected", "documents": d, "reason": ""} for n, d in held.items()},
        "tolerated": False,
        "findings": [],
    }
    assert list(found)[:8] == ["schema", "deployment", "type", "snapshot", "at_ms", "policy", "filter", "status"]


def test_numbers_print_as_the_app_prints_them(recorded: Path) -> None:
    text = run(recorded, "--at", str(CASE["now_ms"]), "--format", "json").stdout
    assert '"completionRate": 0.9,' in text
    assert '"completionRate": 1,' in text
    assert "NaN" not in text


def test_the_same_store_and_arguments_give_the_same_bytes(mixed: Path) -> None:
    for words in ([], ["--format", "json"], ["--every", "10m", "--format", "csv"]):
        first, second = run(mixed, *words), run(mixed, *words)
        assert first.stdout_bytes == second.stdout_bytes


@pytest.mark.parametrize("words", [[], ["--format", "brief"], ["--every", "1h"]])
@pytest.mark.parametrize("name", ["none", "name", "evidence", "wide"])
def test_the_filter_in_force_stands_in_the_first_line(name: str, words: list[str], mixed: Path) -> None:
    result = run(mixed, "--filter", name, *words)
    assert result.stdout.splitlines()[0].startswith(f"filter {name} · ")


def test_text_shows_three_witnesses_and_what_makes_the_difference(recorded: Path) -> None:
    lines = run(recorded, "--at", str(CASE["now_ms"])).stdout.splitlines()
    assert lines[3] == "healthy without tests; degraded with them: what tests left behind is the cause"
    assert lines[5].split() == ["reported", "raw", "without", "tests"]
    rows = {line[:19].strip(): line[19:].split() for line in lines[7:23]}
    assert rows["app's status"] == ["–", "degraded", "healthy"]
    assert rows["messages"] == ["–", "10", "8"]
    assert "fails: message completion rate 0.9, must be > 0.9, n = 10 (raw)" in lines
    assert "left out: 2 chatMessages, 1 tasks, 1 users" in lines
    assert "\x1b" not in "".join(lines), "no colour but on a terminal"


def test_brief_has_at_most_12_lines_of_80_columns_whatever_is_in_the_documents(mixed: Path) -> None:
    for words in ([], ["--policy", "rollout"], ["--filter", "none"], ["--at", str(NOW_MS - 1)], ["--max-age", "1ms"]):
        lines = run(mixed, "--format", "brief", *words).stdout.splitlines()
        assert 8 <= len(lines) <= 12
        assert max(map(width, lines)) <= 80


@pytest.mark.parametrize("fmt", ["text", "brief"])
def test_names_cannot_reach_the_terminal_as_control_characters(fmt: str, mixed: Path) -> None:
    result = run(mixed, "--format", fmt)
    assert "dev\\x1b[2J-1" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 0),
        (["--judge", "raw"], 1),
        (["--judge", "raw", "--exit-zero"], 0),
        (["--filter", "none"], 1),
        (["--filter", "name"], 1),
        (["--policy", "strict", "--judge", "raw"], 1),
        (["--max-age", "1ms"], 4),
        (["--at", str(NOW_MS - 24 * 60 * MINUTE)], 5),
        (["--at", str(NOW_MS + 24 * 60 * MINUTE)], 5),
        (["--at", "2025-12-16T12:58:00"], 2),
        (["--every", "0s"], 2),
        (["--since", str(NOW_MS)], 2),
        (["--chart", "a.png"], 2),
        (["--every", "1h", "--chart", "a.gif"], 2),
        (["--every", "1h", "--format", "brief"], 2),
        (["--every", "1h", "--max-age", "1h"], 2),
        (["--every", "1h", "--since", str(NOW_MS), "--until", str(NOW_MS - 1)], 2),
        (["--every", "1ms"], 2),
        (["--window", "0s"], 2),
        (["--policy", "nope"], 2),
        (["--snapshot", "nope"], 2),
        (["--every", "1h"], 0),
    ],
)
def test_exit_codes(words: list[str], code: int, mixed: Path) -> None:
    result = run(mixed, *words)
    assert result.exit_code == code, result.output
    assert (result.stderr == "") or code in (2, 5)


def test_what_is_unknown_is_told_with_cause_and_action_beside_the_numbers(mixed: Path) -> None:
    result = run(mixed, "--max-age", "1ms")
    assert ["policy", "deployed", "–", "unknown", "unknown"] in [line.split() for line in result.stdout.splitlines()]
    assert "unknown how the deployment is now: the snapshot was taken" in result.stdout
    found = _json(mixed, "--max-age", "1ms")
    assert (found["status"], found["raw_status"]) == ("unknown", "unknown")
    assert found["findings"][0]["id"] == "stale"
    assert found["raw"]["systemHealth"]["messages"]["total"] == 3


def test_tolerated_leftovers_keep_the_status_and_end_with_0(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "analyzer.toml").write_text('[health]\ntolerate = ["dev"]\n')
    result = run(mixed, "--filter", "none")
    assert result.exit_code == 0
    assert "degraded by test leftovers only, tolerated on dev" in result.stdout
    found = _json(mixed, "--filter", "none")
    assert (found["tolerated"], found["status"]) == (True, "degraded")


def test_settings_choose_policy_filter_and_thresholds(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "analyzer.toml").write_text(
        '[health]\npolicy = "mine"\nfilter = "none"\n[policy.mine]\nmin_completion_rate = 0.5\nwindow = "2h"\n'
    )
    found = _json(mixed)
    assert (found["policy"], found["filter"], found["status"]) == ("mine", "none", "healthy")
    assert found["raw"]["systemHealth"]["window"] == "2h"
    assert _json(mixed, "--window", "30m")["raw"]["systemHealth"]["window"] == "30m"


def test_rollout_targets_are_shown_beside_the_limits(mixed: Path) -> None:
    found = _json(mixed, "--policy", "rollout")
    targets = next(finding for finding in found["findings"] if finding["id"] == "targets")["details"]
    assert targets["response_p95_ms"] == {"value": 4000.0, "operator": "<", "target": 5000, "met": True}
    assert "note: 7 of 7 targets met" in run(mixed, "--policy", "rollout").stdout


# ---- series --------------------------------------------------------------------------------------------------------


def test_a_series_has_at_every_tick_what_health_has_at_that_clock(mixed: Path) -> None:
    words = ["--every", "30s", "--since", str(NOW_MS - 90_000), "--until", str(NOW_MS)]
    found = _json(mixed, *words)
    assert (found["schema"], found["filter"], found["every_ms"]) == ("health-series/1", "evidence", 30_000)
    assert [tick["at_ms"] for tick in found["ticks"]] == [NOW_MS - 90_000 + 30_000 * n for n in range(4)]
    for tick in found["ticks"]:
        alone = _json(mixed, "--at", str(tick["at_ms"]))
        assert tick == {key: alone[key] for key in ("at_ms", "status", "raw_status", "raw", "without_tests")}


def test_a_series_as_csv_has_a_row_a_tick_and_empty_rates_where_there_is_nothing(mixed: Path) -> None:
    words = ["--every", "30s", "--since", str(NOW_MS - 90_000), "--until", str(NOW_MS), "--format", "csv"]
    rows = list(csv.DictReader(io.StringIO(run(mixed, *words).stdout)))
    assert [row["filter"] for row in rows] == ["evidence"] * 4
    assert [row["status"] for row in rows] == ["unknown", "healthy", "healthy", "healthy"]
    assert [row["raw_message_total"] for row in rows] == ["0", "3", "3", "3"]
    assert [row["without_tests_message_completion_rate"] for row in rows] == ["", "1.0", "1.0", "1.0"]
    assert float(rows[1]["raw_message_completion_rate"]) == 2 / 3, "unrounded"


def test_a_series_without_since_and_until_is_the_day_before_the_snapshot(mixed: Path) -> None:
    ticks = _json(mixed, "--every", "6h")["ticks"]
    assert [NOW_MS - tick["at_ms"] for tick in ticks] == [h * 3_600_000 for h in (24, 18, 12, 6, 0)]
    assert _json(mixed, "--every", "6h", "--at", str(NOW_MS - 5))["ticks"][-1]["at_ms"] == NOW_MS - 5


@pytest.mark.parametrize(("name", "start"), [("c.png", b"\x89PNG"), ("c.svg", b"<?xml")])
def test_a_chart_is_written_beside_the_result(name: str, start: bytes, mixed: Path, tmp_path: Path) -> None:
    result = run(mixed, "--every", "10m", "--chart", name)
    assert result.exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(start)
    assert result.stderr == f"chart: {name}\n"


def test_a_chart_that_cannot_be_written_is_a_fault(mixed: Path) -> None:
    result = run(mixed, "--every", "10m", "--chart", "no/such/folder/c.png")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: cannot write no/such/folder/c.png")
