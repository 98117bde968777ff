"""Writes docs/commands.md and docs/queries.md from the code; with --check it only tells whether they are current."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from analyzer import cli, sql

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by `make docs`; changes by hand are lost. -->"
COLUMNS = 100


def commands_page() -> str:
    """Return the help of every command."""
    lines = ["# Commands", "", NOTE, ""]
    for path, context in _contexts(
        cli.main, click.Context(cli.main, info_name="analyzer", terminal_width=COLUMNS, **cli.main.context_settings)
    ):
        lines += [f"## `{path}`", "", "```", context.get_help(), "```", ""]
    return "\n".join(lines)


def _contexts(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Context]]:
    yield context.command_path, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _contexts(child, click.Context(child, parent=context, info_name=name, terminal_width=COLUMNS))


def queries_page() -> str:
    """Return what each query means, takes and gives."""
    lines = ["# Queries", "", NOTE, "", "Run one with `analyzer query NAME --param NAME=VALUE`.", ""]
    for name in sql.names():
        query = sql.load(name)
        lines += [f"## `{name}`", "", query.title, "", f"{query.grain[:1].upper()}{query.grain[1:]}.", ""]
        for heading, entries in (("parameter", query.params), ("column", query.returns)):
            if entries:
                lines += [f"| {heading} | type | meaning |", "|---|---|---|"]
                lines += [f"| `{e.name}` | {e.type} | {e.meaning.replace('|', chr(92) + '|')} |" for e in entries]
                lines += [""]
    return "\n".join(lines)


def main(is_check: bool) -> int:
    """Write the pages, or tell which are out of date."""
    stale = []
    for name, text in (("commands.md", commands_page()), ("queries.md", queries_page())):
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(f"docs/{name}")
            if not is_check:
                path.write_text(text, encoding="utf-8")
    if is_check and stale:
        print(f"out of date: {', '.join(stale)}; `make docs` writes them", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
