"""How results leave a command: text, JSON and CSV to stdout, narration to stderr, and one exit code."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from analyzer import config
from analyzer.errors import EXIT_BAD, EXIT_FAULT, EXIT_NO_DATA, EXIT_OK, EXIT_REFUSED, EXIT_UNKNOWN, EXIT_USAGE
from analyzer.units import csv_text, defused, json_defused

_WORST_FIRST = (EXIT_USAGE, EXIT_FAULT, EXIT_REFUSED, EXIT_BAD, EXIT_NO_DATA, EXIT_UNKNOWN, EXIT_OK)


def worst(codes: Iterable[int]) -> int:
    """Return the exit code that counts where several apply; 0 for none."""
    return min((*codes, EXIT_OK), key=_WORST_FIRST.index)


def write(text: str) -> None:
    """Print a result. It must be safe to print: see `units.visible`."""
    click.echo(text.rstrip("\n"))


def narrate(text: str) -> None:
    """Tell what is going on, or what should be known besides the result."""
    click.echo(defused(text), err=True)


def write_json(value: Any) -> None:
    """Print a result as JSON: keys in the order given, two spaces deep, never NaN (null instead)."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    """Return JSON of dicts, sequences, numbers, texts, dataclasses and enums; sets come sorted, paths as text."""
    return _dumped(value, indent=True)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table as CSV."""
    click.echo(csv_table(header, rows), nl=False)


def csv_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return CSV with a header; NULL is an empty cell, lists are JSON, and no text can pass for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([csv_text(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def is_terminal(stream: TextIO | None = None) -> bool:
    """Tell whether a person watches a stream (default: stdout)."""
    return (stream or sys.stdout).isatty()


def is_colourful() -> bool:
    """Tell whether to print colour: on a terminal whose user does not object."""
    return is_terminal() and config.is_colour_wanted()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return csv_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict | set | frozenset):
        return csv_text(_dumped(value, indent=False))
    return value


def _dumped(value: Any, *, indent: bool) -> str:
    import orjson

    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return json_defused(orjson.dumps(value, default=_plain, option=options).decode())


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
