"""The top of the command line: what it lists, how each end becomes a code, and what it costs to ask for help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from analyzer import cli, config
from analyzer.cli import output, state


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, with the commands of `commands_that_fail` listed as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANALYZER_DB", raising=False)
    for name in ("end", "told", "endless"):
        monkeypatch.setitem(cli.COMMANDS, name, f"tests.cli.commands_that_fail:{name}")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, words)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_listed_command_exists_and_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: analyzer {name}")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_option_of_every_command_says_what_it_is_for(name: str) -> None:
    context = click.Context(cli.main)
    command = cli.main.get_command(context, name)
    assert command is not None and command.help
    subcommands = command.commands.values() if isinstance(command, click.Group) else []
    for each in (command, *subcommands):
        silent = [p.name for p in each.params if isinstance(p, click.Option) and not p.help]
        assert not silent, f"{each.name}: {silent}"


def test_help_lists_every_command_with_a_summary_on_one_line() -> None:
    assert list(cli.SUMMARIES) == [name for name in cli.COMMANDS if name not in ("end", "told", "endless")]
    shown = run("--help").stdout
    for name, summary in cli.SUMMARIES.items():
        assert any(line.split() == [name, *summary.split()] for line in shown.splitlines()), name


def test_a_command_that_does_not_exist_is_usage_and_lists_those_that_do() -> None:
    result = run("helth")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "there is no command 'helth'; valid: collect, snapshots, health" in result.stderr


@pytest.mark.parametrize(
    ("how", "code", "fact", "hint"),
    [
        ("bad-input", 3, "export.zip: users/documents.jsonl line 3 is not an object", "export it again"),
        ("refused", 6, "the deployment is another one", None),
        ("nothing", 5, "no message and no trace to judge", None),
        ("end-of-file", 3, "internal fault: EOFError: Compressed file ended", "--debug"),
        ("no-file", 3, "/nowhere/at/all: No such file or directory", "check that the path is right"),
    ],
)
def test_a_failure_is_one_line_of_fact_one_of_help_and_a_code(how: str, code: int, fact: str, hint: str | None) -> None:
    result = run("end", how)
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, lines[0]) == (code, "", f"error: {fact}")
    assert [line.startswith("hint:  ") for line in lines[1:]] == ([] if hint is None else [True])
    assert (hint or "") in lines[-1]


def test_a_crash_is_3_and_shows_neither_traceback_nor_key() -> None:
    result = run("end", "crash")
    assert result.exit_code == 3
    assert "internal fault: KeyError: 'prod:happy-animal-123|[secret] in the environment'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [("--debug", "end", "crash"), ("end", "crash", "--debug")])
def test_debug_shows_the_traceback_still_without_the_key(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 3
    assert "Traceback" in result.stderr and "commands_that_fail.py" in result.stderr
    assert "eyJ2MiI6" not in result.stderr.replace('"prod:happy-animal-123|', "")


def test_a_key_of_the_environment_is_struck_out_whatever_it_looks_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEX_DEPLOY_KEY", "no such command as this")
    result = run("no such command as this")
    assert "no such command as this" not in result.stderr
    assert "[secret]" in result.stderr


@pytest.mark.parametrize("how", ["interrupt", "interrupted-query", "abort"])
def test_an_interrupt_is_130(how: str) -> None:
    result = run("end", how)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6])
def test_the_code_that_a_command_returns_is_the_exit_code(code: int) -> None:
    assert run("end", str(code)).exit_code == code


@pytest.mark.parametrize(("how", "code"), [("1", 0), ("4", 0), ("5", 0), ("nothing", 0), ("3", 3), ("6", 6), ("2", 2)])
def test_exit_zero_excuses_answers_but_no_fault(how: str, code: int) -> None:
    assert run("end", how, "--exit-zero").exit_code == code


def test_exit_zero_still_says_that_there_was_nothing_to_judge() -> None:
    assert run("end", "nothing", "--exit-zero").stderr == "no message and no trace to judge\n"


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 4], 4), ([4, 5], 5), ([5, 1], 1), ([1, 6], 6), ([6, 3], 3), ([3, 2], 2), ([4, 5, 1, 6, 3, 2, 0], 2)],
)
def test_where_several_codes_apply_the_gravest_counts(codes: list[int], code: int) -> None:
    assert output.worst(codes) == code


def test_shared_flags_arrive_as_settings_and_the_rest_as_arguments() -> None:
    words = "--db x.duckdb --deployment d --wait 1m --policy strict --filter wide --snapshot 7 --format json"
    result = run("told", *words.split(), "--at", "2025-12-16T06:58:00-06:00")
    assert result.stdout == "x.duckdb d 60.0 strict wide 7 1765889880000 json\n"


def test_without_flags_the_defaults_arrive() -> None:
    assert run("told").stdout == f"{Path('data/analyzer.duckdb')} None 10.0 deployed evidence None None text\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--at", "2025-12-16T06:58:00"], "has no offset; add Z for UTC"),
        (["--at", "yesterday"], "is no instant"),
        (["--wait", "10"], "is no duration; write it like 30s"),
        (["--filter", "all"], "'none', 'name', 'evidence', 'wide'"),
        (["--policy", "lax"], "valid: deployed, strict, rollout"),
        (["--format", "xml"], "'text', 'json'"),
        (["--dbb", "x"], "No such option"),
    ],
)
def test_a_wrong_flag_is_usage_and_says_what_is_valid(words: list[str], part: str) -> None:
    result = run("told", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert part in result.stderr
    assert result.stderr.startswith("error: ") and "\nhint:  " in result.stderr


def test_a_group_without_subcommand_shows_its_help_as_usage() -> None:
    result = run("artifacts")
    assert result.exit_code == 2
    assert "Usage: analyzer artifacts" in result.stderr


def test_alone_without_a_store_it_names_the_three_ways_to_start() -> None:
    result = run()
    assert result.exit_code == 0
    assert "There is no snapshot in data/analyzer.duckdb yet" in result.stdout
    assert [line.split("  ")[1] for line in result.stdout.splitlines()[2:]] == [
        "analyzer demo",
        "analyzer collect EXPORT.zip",
        "analyzer collect",
    ]


@pytest.mark.parametrize("words", [["--db", "other.duckdb"], ["--db", "other.duckdb", "explain"]])
def test_the_store_can_be_named_before_the_command_or_without_one(words: list[str]) -> None:
    result = run(*words)
    assert "other.duckdb" in result.output


def test_a_store_named_after_the_command_beats_one_named_before_it() -> None:
    result = run("--db", "first.duckdb", "explain", "--db", "second.duckdb")
    assert "second.duckdb" in result.stderr
    assert "first.duckdb" not in result.stderr


def test_alone_it_writes_nothing(tmp_path: Path) -> None:
    run()
    assert list(tmp_path.iterdir()) == []


def test_the_package_runs_as_a_module_and_as_a_script() -> None:
    script = Path(sys.executable).with_name("analyzer")
    for command in ([sys.executable, "-m", "analyzer"], [str(script)]):
        shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert shown.stdout.startswith("analyzer ")


def test_a_process_ends_at_once_but_runs_what_was_asked_for_at_its_end() -> None:
    code = "import atexit; from analyzer import cli; atexit.register(print, 'the end', flush=False)"
    freed = "import os; freed = type('F', (), {'__del__': lambda _, write=os.write: write(1, b'freed')})()"
    command = [sys.executable, "-c", f"{freed}; {code}; cli.main()", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[1:] == ["the end"]
    shown = subprocess.run([command[0], "-X", "dev", *command[1:]], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[1:] == ["the end", "freed"]


def test_a_terminal_without_a_character_gets_its_escape() -> None:
    narrow = os.environ | {"PYTHONIOENCODING": "latin-1", "ANALYZER_DB": "東.duckdb"}
    shown = subprocess.run([sys.executable, "-m", "analyzer"], env=narrow, capture_output=True, text=True, check=True)
    assert "\\u6771.duckdb" in shown.stdout


def test_a_reader_who_leaves_early_ends_the_command_quietly_and_not_with_0() -> None:
    code = "import sys; from analyzer import cli; cli.COMMANDS['endless'] = 'tests.cli.commands_that_fail:endless'"
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; cli.main(['endless'])"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (141, b"")


def test_who_closes_standard_output_gets_the_exit_code_and_no_fault() -> None:
    for command, code in (("--version", 0), ("helth", 2)):
        words = ["sh", "-c", f"{sys.executable} -m analyzer {command} >&- 2>&-"]
        assert subprocess.run(words, check=False).returncode == code


def test_json_is_never_nan_and_keeps_the_order_of_its_keys() -> None:
    text = output.json_text({"b": float("nan"), "a": {3, 1}, "path": Path("x"), "rate": 10.0, "none": None})
    assert json.loads(text) == {"b": None, "a": [1, 3], "path": "x", "rate": 10.0, "none": None}
    assert text.index('"b"') < text.index('"a"') and "10.0" in text


def test_json_refuses_what_has_no_json_form() -> None:
    with pytest.raises(TypeError):
        output.json_text({"x": object()})


def test_csv_keeps_numbers_and_defuses_formulas() -> None:
    rows = [("=1+1", -5, None, True, ["a"]), ("two\nlines", 0.5, 'say "so"', False, [])]
    assert output.csv_table(["title", "n", "x", "ok", "ids"], rows) == (
        'title,n,x,ok,ids\n\'=1+1,-5,,true,"[""a""]"\n"two\nlines",0.5,"say ""so""",false,[]\n'
    )


def test_no_colour_without_a_terminal() -> None:
    assert not output.is_colourful()


def test_the_state_comes_from_the_configured_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert state.show_state(config.load(db=tmp_path / "evil\x1b[2J.duckdb")) == 0
    assert "evil\\x1b[2J.duckdb" in capsys.readouterr().out
