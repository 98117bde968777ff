"""`analyzer artifacts`: what it prints in each format, what it refuses, and with which code it ends."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from tests import storing
from tests.analysis.leftovers import Document, helper_task, make_id, message, placeholder, prompt, task, user

DOCUMENTS: dict[str, list[Document]] = {
    "users": [user(1)],
    "tasks": [helper_task(1, title="=cmd|' /C calc'!A0 \x1b[31m"), task(2, title="test \u202e it")],
    "chatMessages": [message(1, 1), prompt(2, 3), placeholder(3, 9, 999), message(4, 9)],
    "billing/todos": [storing.document("todos", 1)],
}


pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return storing.put(tmp_path_factory.mktemp("made"), DOCUMENTS)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """Return a store of this test's own."""
    return Path(shutil.copy(made, tmp_path / "own.duckdb"))


def run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["artifacts", *words, "--db", str(path)])


def test_list_as_json_has_exactly_the_documented_shape(path: Path) -> None:
    result = run(path, "list", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "schema": "artifacts/1",
        "artifacts": [
            {
                "table": "chatMessages",
                "id": make_id("chatMessages", 1),
                "tier": "certain",
                "rules": ["owned-by-artifact"],
                "reason": "it belongs to an artifact",
                "via": make_id("tasks", 1),
            },
            {
                "table": "chatMessages",
                "id": make_id("chatMessages", 2),
                "tier": "certain",
                "rules": ["helper-prompt", "helper-message", "helper-model"],
                "reason": "its model is test-model and its text is the prompt of testPromptMessageId",
                "via": None,
            },
            {
                "table": "tasks",
                "id": make_id("tasks", 1),
                "tier": "certain",
                "rules": ["helper-task", "name"],
                "reason": "repository, workspace and scratchpad flag are those of createTestTask",
                "via": None,
            },
            {
                "table": "chatMessages",
                "id": make_id("chatMessages", 3),
                "tier": "likely",
                "rules": ["helper-placeholder", "helper-model"],
                "reason": "an assistant message of test-model that is pending and has no text",
                "via": None,
            },
            {
                "table": "tasks",
                "id": make_id("tasks", 2),
                "tier": "suspect",
                "rules": ["name"],
                "reason": 'its title contains "test", or its repository is under test/',
                "via": None,
            },
            {
                "table": "chatMessages",
                "id": make_id("chatMessages", 4),
                "tier": "orphan",
                "rules": ["orphan"],
                "reason": "its task is gone, and nothing says whose it was",
                "via": make_id("tasks", 9),
            },
        ],
    }


def test_list_as_json_is_not_cut_unless_told(path: Path) -> None:
    assert len(json.loads(run(path, "list", "--format", "json", "--limit", "2").stdout)["artifacts"]) == 2
    assert run(path, "list", "--limit", "9" * 30).exit_code == 0  # more than any store holds


def test_list_gives_the_tiers_asked_for(path: Path) -> None:
    result = run(path, "list", "--format", "json", "--tier", "likely", "--tier", "orphan")
    assert [artifact["tier"] for artifact in json.loads(result.stdout)["artifacts"]] == ["likely", "orphan"]


def test_list_as_csv_has_one_row_an_artifact_and_lists_as_json(path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(path, "list", "--format", "csv").stdout)))
    assert len(rows) == 6
    assert json.loads(rows[1]["rules"]) == ["helper-prompt", "helper-message", "helper-model"]
    assert rows[1]["via"] == ""


def test_list_as_text_totals_the_tiers_and_says_what_it_left_out(path: Path) -> None:
    result = run(path, "list", "--limit", "2")
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "6 artifacts (3 certain, 1 likely, 1 suspect, 1 orphan) in happy-animal-123 as of 2025-12-16T12:58:00Z"
    )
    assert lines[-1] == "4 more: choose with --tier, or raise --limit"


def test_list_as_text_shows_titles_escaped(path: Path) -> None:
    text = run(path, "list").stdout
    assert "=cmd|' /C calc'!A0 \\x1b[31m" in text
    assert "test \\u202e it" in text
    assert "\x1b" not in text


def test_list_without_an_artifact_says_so_and_is_fine(tmp_path: Path) -> None:
    result = run(storing.put(tmp_path, {"tasks": [task(1)]}), "list")
    assert (result.exit_code, result.stdout) == (0, "no artifact in happy-animal-123 as of 2025-12-16T12:58:00Z\n")


def test_what_could_not_be_judged_is_told_beside_the_result(tmp_path: Path) -> None:
    result = run(storing.put(tmp_path, {}, absent=["users"]), "list", "--format", "json")
    assert json.loads(result.stdout)["artifacts"] == []
    assert "not judged: helper-user: users was not collected" in result.stderr
    shown = run(tmp_path / "store.duckdb", "list").stdout
    assert shown == "no artifact in happy-animal-123 as of 2025-12-16T12:58:00Z; 2 rules could not be judged\n"


def test_why_tells_rules_signs_and_references(path: Path) -> None:
    text = run(path, "why", make_id("chatMessages", 1)).stdout
    assert "artifact, certain: it belongs to an artifact" in text
    assert f"through tasks {make_id('tasks', 1)}: helper-task (certain)" in text


def test_why_as_json_has_what_the_text_has(path: Path) -> None:
    data = json.loads(run(path, "why", make_id("chatMessages", 3), "--format", "json").stdout)
    (place,) = data["places"]
    assert (place["table"], place["tier"]) == ("chatMessages", "likely")
    assert [rule["rule"] for rule in place["fired"]] == ["helper-placeholder", "helper-model"]
    assert data["mark"] is None


def test_why_of_an_id_that_nobody_knows_is_no_data(path: Path) -> None:
    result = run(path, "why", "k57nobody\x1b[2J")
    assert result.exit_code == 5
    assert "holds no document with the id" in result.stderr
    assert "\x1b" not in result.stderr


def test_mark_is_kept_and_seen_by_the_list(path: Path) -> None:
    result = run(path, "mark", make_id("tasks", 1), "--real", "--because", "Ada's own", "--by", "Ada")
    assert result.exit_code == 0
    assert "marked as real by Ada" in result.stdout
    listed = json.loads(run(path, "list", "--format", "json", "--tier", "certain").stdout)["artifacts"]
    assert [artifact["id"] for artifact in listed] == [make_id("chatMessages", 2)]
    run(path, "mark", make_id("tasks", 1), "--clear", "--because", "a slip")
    listed = json.loads(run(path, "list", "--format", "json", "--tier", "certain").stdout)["artifacts"]
    assert len(listed) == 3


def test_mark_without_a_name_takes_the_account(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert "by grace" in run(path, "mark", make_id("tasks", 2), "--test", "--because", "our suite").stdout


def test_a_document_of_a_component_is_listed_with_its_component(path: Path) -> None:
    run(path, "mark", make_id("todos", 1), "--test", "--because", "probe")
    listed = json.loads(run(path, "list", "--format", "json").stdout)["artifacts"]
    assert [a["table"] for a in listed if a["rules"] == ["mark"]] == ["billing/todos"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((make_id("tasks", 1), "--because", "x"), 2, "one verdict"),
        ((make_id("tasks", 1), "--test", "--real", "--because", "x"), 2, "one verdict, got --test and --real"),
        ((make_id("tasks", 1), "--test", "--because", "  "), 2, "--because"),
        ((make_id("tasks", 1), "--test"), 2, "--because"),
        ((make_id("tasks", 77), "--test", "--because", "x"), 5, "no document with the id"),
    ],
)
def test_mark_refuses_what_cannot_be_meant(path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    result = run(path, "mark", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for words in (("list",), ("why", "x"), ("mark", "x", "--test", "--because", "y")):
        assert run(tmp_path / "none.duckdb", *words).exit_code == 3
    assert not (tmp_path / "none.duckdb").exists()


def test_values_of_documents_can_be_left_out_of_the_reasons(tmp_path: Path) -> None:
    store = storing.put(
        tmp_path, {"users": [storing.document("users", 1, email="workflow-test@test.local", name="Workflow Test User")]}
    )
    words = ["artifacts", "why", storing.make_id("users", 1), "--db", str(store)]
    for more in ([], ["--format", "json"]):
        shown = CliRunner().invoke(cli.main, [*words, *more])
        hidden = CliRunner().invoke(cli.main, [*words, *more, "--redact"])
        assert shown.exit_code == hidden.exit_code == 0
        assert "helper-user" in hidden.stdout
    assert json.loads(shown.stdout)["places"][0]["fired"][0]["signs"][0]["found"] == "workflow-test@test.local"
    assert set(json.loads(hidden.stdout)["places"][0]["fired"][0]["signs"][0]["found"]) == {"$text"}
