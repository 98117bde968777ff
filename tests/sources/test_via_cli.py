from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames
from analyzer.errors import SourceError, SourceUnreachable, UsageError
from analyzer.model import Flag, SourceInfo
from analyzer.sources import open_source, via_cli
from tests.convex.exports import export, message

CASE = json.loads((Path(__file__).parents[1] / "recorded/golden-health.json").read_text())[1]
FLAGS = ("ENABLE_WORKFLOW", "LOG_PROVIDER_ENABLED")


@pytest.fixture
def npx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program called npx on the PATH; returns the folder that configures it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("fake_npx.py"), folder / "fake_npx.py")
    script = folder / "npx"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S {shlex.quote(str(folder))}/fake_npx.py "$@"\n')
    script.chmod(0o755)
    (folder / "answers").mkdir()
    for function in DEFAULT_NAMES.all():
        value = CASE["expected"][function.rpartition(":")[2]]
        (folder / "answers" / function.replace("/", ".")).write_text(json.dumps(value, indent=2) + "\n")
    (folder / "variables").mkdir()
    (folder / "variables/ENABLE_WORKFLOW").write_text("true")
    export(folder / "export.zip", {":chatMessages": [message(1)]})
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def calls(npx: Path) -> list[list[str]]:
    return [json.loads(line) for line in (npx / "calls.jsonl").read_text().splitlines()]


def info(folder: Path) -> SourceInfo:
    with closing(open_source(folder, deployment=None, taken_at_ns=None, flag_names=FLAGS)) as source:
        return source.info


def record(folder: Path, **options: Any) -> list[str]:
    return via_cli.record(folder, **({"flag_names": FLAGS} | options))


def test_the_users_own_cli_makes_a_recording_that_reads_like_any_other(tmp_path: Path, npx: Path) -> None:
    told: list[str] = []
    assert record(tmp_path / "recording", progress=told.append) == []
    source = open_source(tmp_path / "recording", deployment=None, taken_at_ns=None, flag_names=FLAGS)
    assert source.info.deployment.name == "happy-animal-123"
    assert source.info.time_basis == "file-name"
    assert [answer.function for answer in source.info.answers] == list(DEFAULT_NAMES.all())
    assert source.info.flags == (Flag("ENABLE_WORKFLOW", "true"), Flag("LOG_PROVIDER_ENABLED", None))
    assert [table.name for table in source.tables()] == ["chatMessages"]
    source.close()
    assert len(told) == 8
    assert told[0] == "npx convex run monitoring/dashboard:getSystemHealth"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "recording").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "recording").stat().st_mode) == 0o700


def test_the_commands_shown_are_the_commands_run(tmp_path: Path, npx: Path) -> None:
    selection = ("--deployment", "happy-animal-123", "--env-file", "my env")
    commands = via_cli.plan_commands(tmp_path / "r", flag_names=FLAGS, selection=selection)
    record(tmp_path / "r", selection=selection)
    assert [["npx", *words] for words in calls(npx)] == commands
    assert commands[0] == ["npx", "convex", "run", "monitoring/dashboard:getSystemHealth", *selection]
    assert commands[5] == ["npx", "convex", "env", "get", "ENABLE_WORKFLOW", *selection]
    assert commands[-1] == ["npx", "convex", "export", "--path", f"{tmp_path}/r/", *selection]


def test_the_printed_commands_run_in_a_shell(tmp_path: Path, npx: Path) -> None:
    folder = tmp_path / "a recording; of 'ours'"
    steps = via_cli.plan(folder, flag_names=FLAGS, selection=("--prod",))
    subprocess.run(["sh", "-e", "-c", via_cli.printed(folder, steps)], check=True, capture_output=True)
    source = open_source(folder, deployment=None, taken_at_ns=None, flag_names=FLAGS)
    assert len(source.info.answers) == 5
    assert [table.name for table in source.tables()] == ["chatMessages"]
    source.close()


def test_a_function_that_fails_is_left_out_and_says_why_without_the_key(tmp_path: Path, npx: Path) -> None:
    (npx / "answers/monitoring.dashboard:getSystemHealth").unlink()
    (npx / "answers/monitoring.dashboard:checkAlerts").write_text("{ timestamp: 5 } // coloured")
    (npx / "answers/monitoring.dashboard:getRecentTraces").write_text("")
    first, second = record(tmp_path / "r")
    assert first == ("monitoring/dashboard:getSystemHealth could not be run: Error: key [secret] is wrong (exit 1)")
    assert "checkAlerts printed something else than JSON" in second
    assert not (tmp_path / "r/monitoring.dashboard.getSystemHealth.json").exists()
    assert (tmp_path / "r/monitoring.dashboard.getRecentTraces.json").read_text() == "null\n"


def test_a_cli_that_wants_the_name_of_a_file_is_given_one(tmp_path: Path, npx: Path) -> None:
    (npx / "wants-a-file").touch()
    record(tmp_path / "r")
    found = info(tmp_path / "r")
    assert found.time_basis == "answer-timestamp"
    assert (tmp_path / "r/export.zip").exists()


def test_an_export_that_fails_is_an_error(tmp_path: Path, npx: Path) -> None:
    (npx / "export.zip").unlink()
    with pytest.raises(SourceError, match=r"convex export --path .* failed: ✖ Export failed"):
        record(tmp_path / "r")


def test_int64_and_null_are_read_as_the_cli_prints_them(tmp_path: Path, npx: Path) -> None:
    health = CASE["expected"]["checkAlerts"] | {"alertCount": {"$integer": "AwAAAAAAAAA="}}
    (npx / "answers/monitoring.dashboard:checkAlerts").write_text(json.dumps(health))
    record(tmp_path / "r")
    found = {answer.function: answer.value for answer in info(tmp_path / "r").answers}
    assert found[DEFAULT_NAMES.alerts]["alertCount"] == 3


def test_without_npx_the_user_is_told_what_else_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="there is no `npx` on the PATH") as caught:
        record(tmp_path / "r")
    assert "export" in caught.value.hint


def test_a_command_that_does_not_end_is_given_up(tmp_path: Path, npx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (npx / "npx").write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    monkeypatch.setattr(via_cli, "ANSWER_TIMEOUT_S", 0.2)
    with pytest.raises(SourceUnreachable, match="did not end within"):
        record(tmp_path / "r")


def test_a_folder_with_files_is_not_written_into(tmp_path: Path, npx: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/file").touch()
    with pytest.raises(UsageError, match="is not an empty folder"):
        record(tmp_path / "r")
    assert not (npx / "calls.jsonl").exists()


@pytest.mark.parametrize(
    "selection",
    [
        ("--admin-key", "prod:a|b"),
        ("--url", "https://a.convex.cloud"),
        ("--deployment",),
        ("--deployment", "--prod"),
        ("--deployment", "prod:a|eyJ2"),
        ("prod",),
        ("--push",),
    ],
)
def test_no_key_and_no_other_option_goes_on_a_command_line(tmp_path: Path, selection: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        via_cli.plan(tmp_path / "r", flag_names=FLAGS, selection=selection)
    assert "eyJ2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("flag", "function"),
    [("--prod", "a:b"), ("A B", "a:b"), ("", "a:b"), ("A", "--push"), ("A", "a:b; rm"), ("A", "")],
)
def test_names_that_could_be_options_are_refused(tmp_path: Path, flag: str, function: str) -> None:
    with pytest.raises(UsageError):
        via_cli.plan(tmp_path / "r", flag_names=(flag,), functions=FunctionNames(system_health=function))
