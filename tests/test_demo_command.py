"""`analyzer demo`: the tool and the deployment's own functions, written apart, agree on the whole story."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer import rules
from analyzer.cli import main
from analyzer.errors import SourceError
from analyzer.flows import demo

DEMO = Path(__file__).parents[1] / "data" / "demo"
sys.path.insert(0, str(DEMO))

import generate  # noqa: E402
from demo_rollout import schedule, story  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]
LAST = schedule.STEPS[-1]


def analyzer(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analyzer", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def shown(home: Path) -> str:
    """Run the demo in an empty folder, with what an earlier one left in its way."""
    out = home / "data" / "demo-out"
    out.mkdir(parents=True)
    (out / "demo.duckdb").write_bytes(b"not a store")
    done = analyzer("demo", cwd=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def told() -> story.Story:
    return story.tell(generate.SEED)


def asked(home: Path, *words: str) -> Any:
    done = CliRunner().invoke(main, [*words, "--db", str(home / "data/demo-out/demo.duckdb"), "--format", "json"])
    return json.loads(done.stdout)


def lines_of(shown: str) -> dict[str, list[str]]:
    rows = [re.split(r" {2,}", line) for line in shown.splitlines() if re.match(r"\d\d-", line)]
    return {row[0]: row[1:] for row in rows}


def test_each_step_shows_reported_raw_and_without_tests(shown: str, told: story.Story) -> None:
    expected = {}
    for step in schedule.STEPS:
        said = story.answers(told, step.at_ms)["monitoring.dashboard.getSystemHealth"]
        status, total = said["health"]["status"], str(said["messages"]["total"])
        expected[step.name] = [status, status, "degraded" if "12h" in step.name else "healthy", total]
    assert {name: row[1:5] for name, row in lines_of(shown).items()} == expected


def test_blame_stands_beside_each_degraded_step(shown: str) -> None:
    blamed = {name: row[6] for name, row in lines_of(shown).items() if len(row) > 6}
    assert blamed == {
        "06-after-tests-0658": "<- our tests",
        "07-after-cleanup-0705": "<- our tests",
        "10-t-plus-12h-1859": "<- the product",
    }


def test_the_degraded_check_is_explained_in_twelve_lines(shown: str) -> None:
    _, _, after = shown.partition("Why does 06-after-tests-0658 say degraded?\n\n")
    explanation = after.partition("\n\n")[0].splitlines()
    assert 5 <= len(explanation) <= 12
    assert any("Ours, not the product's" in line for line in explanation)
    assert any("clears 2025-12-16T13:58:09Z" in line for line in explanation)


def test_no_line_is_wider_than_a_terminal_of_100_columns(shown: str) -> None:
    assert max(map(len, shown.splitlines())) <= 100


def test_the_chart_is_a_png(shown: str, home: Path) -> None:
    assert "chart  data/demo-out/health.png" in shown
    assert (home / "data" / "demo-out" / "health.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_nothing_else_is_written(shown: str, home: Path) -> None:
    found = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    names = [".gitignore", "demo.duckdb", "health.png"]
    assert found == [f"data/demo-out/{name}" for name in names]


@pytest.mark.external
def test_what_it_says_to_type_next_works(shown: str, home: Path) -> None:
    commands = [line.split()[1:] for line in shown.splitlines() if line.startswith("  analyzer ")]
    assert len(commands) == 3
    for command in commands:
        done = analyzer(*command, cwd=home)
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout


def test_the_rules_find_what_the_helpers_left_nothing_more_and_nothing_less(
    shown: str, home: Path, told: story.Story
) -> None:
    for step in (schedule.STEPS[0], schedule.STEPS[5], LAST):
        there = {d["_id"] for documents in told.deployment.as_of(step.at_ms).values() for d in documents}
        found = asked(home, "artifacts", "list", "--snapshot", step.name)["artifacts"]
        strong = {a["id"] for a in found if a["tier"] in ("certain", "likely")}
        assert strong == told.deployment.leftovers & there, step.name


@pytest.mark.parametrize("step", schedule.STEPS, ids=lambda step: step.name)
def test_raw_health_equals_what_was_reported_field_for_field(
    shown: str, home: Path, told: story.Story, step: schedule.Step
) -> None:
    found = asked(home, "health", "--snapshot", step.name)
    expected = story.answers(told, step.at_ms)
    assert found["raw"]["systemHealth"] == expected["monitoring.dashboard.getSystemHealth"]
    assert found["raw"]["alerts"] == expected["monitoring.dashboard.checkAlerts"]
    assert found["raw"] == found["reported"]
    assert not [finding for finding in found["findings"] if finding["id"].startswith("reported")]


def test_without_recordings_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no recordings"):
        demo.replay(tmp_path, tmp_path, flag_names=(), rules=rules.load_all(), now_ms=0, tell=print)
