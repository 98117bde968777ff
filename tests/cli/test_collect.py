"""`analyzer collect` as typed: from files, and with the user's own `npx convex`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.convex import ids
from analyzer.convex.archive_writer import write_export

NUMBER = 10_001
NPX = """#!/bin/sh
echo "$@" >> calls
case "$2 $3" in
"run "*) echo '{"timestamp": 1765889880000}' ;;
"env get") echo true ;;
"export "*) cp export.zip "$4/snapshot_tall-forest-1234_1765889880000000000.zip" ;;
esac
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an export in it, and a program called npx first on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANALYZER_DB", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "npx").write_text(NPX)
    (tmp_path / "npx").chmod(0o755)
    user = {"_id": ids.encode(NUMBER, bytes(16)), "_creationTime": 1765889870000.0, "name": "Ada"}
    write_export(tmp_path / "export.zip", {("", "users"): [user]}, table_numbers={("", "users"): NUMBER})
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, words)


def test_an_export_is_stored_under_its_label_in_the_default_store(folder: Path) -> None:
    result = run("collect", "export.zip", "--deployment", "tall-forest-1234", "--label", "baseline", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["schema"], found["already_present"]) == ("collect/1", False)
    assert (found["snapshot"]["deployment"], found["snapshot"]["label"]) == ("tall-forest-1234", "baseline")
    assert (folder / "data/analyzer.duckdb").stat().st_mode & 0o777 == 0o600


def test_the_same_export_again_is_said_to_be_there_already() -> None:
    run("collect", "export.zip")
    result = run("collect", "export.zip")
    assert (result.exit_code, "already in the store" in result.stdout) == (0, True)


def test_the_users_own_convex_cli_makes_a_recording_that_is_stored_and_not_kept(folder: Path) -> None:
    before = set(folder.iterdir())
    result = run("collect", "--via-cli", "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["snapshot"]["deployment"] == "tall-forest-1234"
    assert {path.name for path in set(folder.iterdir()) - before} == {"calls", "data"}
    calls = (folder / "calls").read_text().splitlines()
    assert calls[0] == "convex run monitoring/dashboard:getSystemHealth"
    assert calls[-1].startswith("convex export --path ")


def test_a_kept_recording_can_be_collected_again(folder: Path) -> None:
    run("collect", "--via-cli", "--keep", "recording")
    assert (folder / "recording/flags.json").is_file()
    shutil.rmtree(folder / "data")
    assert run("collect", "recording").exit_code == 0


def test_the_choice_of_a_deployment_is_handed_to_the_convex_cli(folder: Path) -> None:
    run("collect", "--via-cli", "--prod")
    assert all(line.endswith("--prod") for line in (folder / "calls").read_text().splitlines())


def test_print_shows_the_commands_and_runs_none(folder: Path) -> None:
    result = run("collect", "--via-cli", "--print", "--preview-name", "my-branch")
    assert result.exit_code == 0
    assert "npx convex run monitoring/dashboard:checkAlerts --preview-name my-branch > recording/" in result.stdout
    assert not (folder / "calls").exists() and not (folder / "data").exists()


@pytest.mark.parametrize("words", [[], ["export.zip", "--via-cli"]])
def test_a_source_and_the_convex_cli_exclude_each_other(words: list[str]) -> None:
    result = run("collect", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_without_npx_the_error_says_where_to_run_it(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder / "nowhere"))
    result = run("collect", "--via-cli")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-2:] == [
        "error: there is no `npx` on the PATH",
        "hint:  run it where the app's `npx convex` works, or give an export instead",
    ]


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["export.zip", "--every", "1m"], "--every watches a live deployment, not a file"),
        (["--via-cli", "--every", "1m"], "--every watches a live deployment, not a file"),
        (["--for", "1h"], "--for says how long"),
        (["--every", "1s"], "--every is shorter than 5s"),
    ],
)
def test_a_watch_that_makes_no_sense_is_refused(words: list[str], fact: str) -> None:
    result = run("collect", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert fact in result.stderr


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        ("export.zip --print", "--keep and --print belong to --via-cli"),
        ("--keep kept", "--keep and --print belong to --via-cli"),
        ("export.zip --url https://happy-animal-123.convex.cloud", "SOURCE is a file, and --url"),
        ("export.zip --prod", "SOURCE is a file, and --url"),
        ("export.zip --max-time 5s", "SOURCE is a file, and --url"),
        ("--taken-at 0", "a live deployment tells its own time"),
        ("export.zip --taken-at 9999-12-31T23:59:59Z", "--taken-at lies after the year 2199"),
        ("export.zip --label=", "--label names nothing"),
        ("export.zip --deployment=", "--deployment names nothing"),
        ("export.zip --db=", "--db names nothing"),
    ],
)
def test_what_would_have_no_effect_or_names_nothing_is_refused_before_anything_is_read(words: str, fact: str) -> None:
    result = run("collect", *words.split())
    error, hint = result.stderr.splitlines()
    assert (result.exit_code, error[:7], hint[:7]) == (2, "error: ", "hint:  ")
    assert error.removeprefix("error: ").startswith(fact)
    assert not Path("data").exists()


def test_snapshots_of_a_deployment_that_the_store_does_not_hold_are_not_called_none_yet() -> None:
    run("collect", "export.zip", "--deployment", "tall-forest-1234")
    result = run("snapshots", "--deployment", "other-forest-1")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "holds no snapshot of other-forest-1" in result.stderr
    assert run("snapshots").exit_code == 0
