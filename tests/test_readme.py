"""What the documentation shows is run: every block of commands, in the kind of place that it is meant for.

A block of commands is fenced with `sh` and stands under `<!-- tried: WORLD -->`, which a reader does not see:

make    the targets exist, and make knows how to reach them
export  a folder with the user's own `npx convex` (a stand-in program) and nothing else
demo    a folder with a store of the demo's recordings and the rollout log
live    a folder whose environment names a stand-in deployment that tests were left in
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from analyzer import cli
from analyzer.collect import collect
from analyzer.config import DEFAULT_FLAGS
from analyzer.errors import EXIT_BAD, EXIT_NO_DATA, EXIT_OK, EXIT_UNKNOWN
from analyzer.rules import fingerprints, load_all
from analyzer.sources import open_source
from tests.purge.leftovers import world as purging

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "data" / "demo"
GENERATED = ("docs/commands.md", "docs/queries.md")  # by docs/reference.py, which `make check` compares with the code
PAGES = ("README.md", "CONTRIBUTING.md", "queries/README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")))
FENCE = re.compile(r"^(?:<!-- tried: (\w+) -->\n)?(`{3,})(\w*)\n(.*?)^\2$", re.DOTALL | re.MULTILINE)
ANSWERS = (EXIT_OK, EXIT_BAD, EXIT_UNKNOWN, EXIT_NO_DATA)  # whatever the answer is, there is one
# What a person puts in the place of a placeholder, or does not wait for.
INSTEAD = {
    "--every 1m --for 24h": "--every 5s --for 0s",
    "purge apply plan.json": 'purge apply plan.json --reason "left by tests" --confirm "$(cat confirm)"',
    "analyzer functions": "analyzer functions --window 60m",
}


def blocks() -> list[tuple[str, str, str, str]]:
    """Return page, world, language and text of every fenced block that is written by hand."""
    return [
        (page, match[1], match[3], match[4])
        for page in PAGES
        if page not in GENERATED
        for match in FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))
    ]


COMMANDS = [(page, world, text) for page, world, language, text in blocks() if language == "sh"]
NAMES = [f"{page}: {text.split(' #')[0].splitlines()[0]}" for page, _, text in COMMANDS]


def test_every_block_says_what_it_is_and_every_block_of_commands_where_it_is_tried() -> None:
    for page, world, language, text in blocks():
        assert language in ("sh", "text", "toml", "sql", "python"), f"{page}: {text[:60]}"
        assert (world in WORLDS) == (language == "sh"), f"{page}: {text[:60]}"
        if language == "text":
            assert not re.search(r"^(\$ )?(analyzer|make) ", text, re.MULTILINE), f"{page}: {text[:60]} hides commands"


@pytest.mark.parametrize(("page", "world", "text"), COMMANDS, ids=NAMES)
def test_every_command_that_is_shown_exists_with_these_options(page: str, world: str, text: str) -> None:
    inline = re.findall(r"`(analyzer [a-z][^`]*)`", (ROOT / page).read_text(encoding="utf-8"))
    for line in [*text.splitlines(), *inline]:
        words = shlex.split(line, comments=True)
        if words[:1] != ["analyzer"] or "…" in line or "..." in line:
            continue
        parsed(words[1:])


def parsed(words: list[str]) -> None:
    """Parse a command line as click does; prose may leave out what is required.

    raises  click.UsageError for a command or an option that does not exist
    """
    command: click.Command = cli.main
    context = click.Context(command, info_name="analyzer")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"analyzer {' '.join(words)}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name, resilient_parsing=True)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
    for word in words:
        assert not word.startswith("--") or word.partition("=")[0] in known, f"{command.name} has no {word}"


# ---- worlds ----------------------------------------------------------------------------------------------------


@contextmanager
def make_world(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run make without running anything."""
    for name in ("Makefile", ".ci", "pyproject.toml", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    yield {"MAKEFLAGS": "n"}


@contextmanager
def export_world(folder: Path) -> Iterator[Mapping[str, str]]:
    programs = folder.with_name(folder.name + "-bin")
    shutil.copytree(DEMO / "06-after-tests-0658", programs / "answers")
    shutil.copy(next(DEMO.glob("06-*/*.zip")), programs / "export.zip")
    (programs / "npx.py").write_text((ROOT / "tests/sources/fake_npx.py").read_text())
    (programs / "npx").write_text(f'#!/bin/sh\nexec {sys.executable} {programs / "npx.py"} "$@"\n')
    (programs / "npx").chmod(0o755)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    yield {"PATH": f"{programs}:{os.environ['PATH']}"}


@contextmanager
def demo_world(folder: Path) -> Iterator[Mapping[str, str]]:
    shutil.copy(DEMO / "rollout-log.md", folder)
    for name in ("01-baseline-0653", "06-after-tests-0658", "11-t-plus-24h-0659"):
        source = open_source(DEMO / name, deployment=None, taken_at_ns=None, flag_names=DEFAULT_FLAGS)
        collect(source, folder / "data/analyzer.duckdb", label=name, fingerprints=fingerprints(load_all()))
        source.close()
    yield {}


@contextmanager
def live_world(folder: Path) -> Iterator[Mapping[str, str]]:
    elsewhere = folder.with_name(folder.name + "-server")
    elsewhere.mkdir()
    with purging(elsewhere, kind="dev") as w:
        yield {
            "CONVEX_SELF_HOSTED_URL": w.deployment.url,
            "CONVEX_SELF_HOSTED_ADMIN_KEY": w.deployment.read_key,
            "ANALYZER_WRITE_KEY": w.deployment.admin_key,
        }


WORLDS = {"make": make_world, "export": export_world, "demo": demo_world, "live": live_world}


@pytest.mark.external
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("page", "world", "text"), COMMANDS, ids=NAMES)
def test_every_block_of_commands_runs_as_it_is_shown(page: str, world: str, text: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    with WORLDS[world](folder) as more:
        plain = {n: v for n, v in os.environ.items() if not n.startswith(("CONVEX_", "ANALYZER_", "MAKE"))}
        environment = plain | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | dict(more)
        if "PATH" in more:
            environment["PATH"] = f"{more['PATH'].partition(':')[0]}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        for line in text.splitlines():
            command = line if world == "make" else filled_in(line, folder)
            if line.startswith(".ci/run"):
                assert os.access(ROOT / ".ci/run", os.X_OK)
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode in ANSWERS, f"{page}: {command}\n{done.stdout[-500:]}\n{done.stderr}"
            assert "internal fault" not in done.stderr, done.stderr
            if (plan := folder / "plan.json").exists():
                (folder / "confirm").write_text(json.loads(plan.read_text())["confirm"])


def filled_in(line: str, folder: Path) -> str:
    """Put in what a reader puts in the place of a placeholder."""
    for shown, meant in INSTEAD.items():
        line = line.replace(shown, meant)
    if re.search(r"\bID\b", line):
        command = [sys.executable, "-m", "analyzer", "artifacts", "list", "--format", "json"]
        listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
        line = re.sub(r"\bID\b", json.loads(listed)["artifacts"][0]["id"], line)
    return line
