"""Tables, JSON blocks and command blocks of a log: from cells and lines to values, with a note for each line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from analyzer.analysis.rollout_log.scan import Cell, Code, Table
from analyzer.analysis.rollout_log.types import (
    CheckpointCell,
    CheckpointRow,
    CheckpointTable,
    Command,
    FlagState,
    LineNote,
    MetricRow,
    MetricTable,
)
from analyzer.analysis.rollout_log.values import checkpoint_offset_ms, command, number, slug, state

_METRIC_HEADERS = frozenset(("metric", "metrics", "measure", "indicator"))
_NUMERIC = frozenset(("alert_count", "stuck_workflows", "stuck_messages", "error_rate", "completion_rate", "alerts"))
_SHELLS = frozenset(("bash", "sh", "shell", "zsh", "console", "terminal", "powershell", "cmd"))
_COMMAND = re.compile(r"\s*(?:\$ |npx |npm |pnpm |yarn |bun |bunx |convex |curl |git |node |#)")
_MOST_UNKNOWN_KEYS = 20  # looked for in every line; the work must not grow with keys times lines
_JSON_KEY = re.compile(r'\s*(?:\{\s*)?"((?:[^"\\]|\\.)*)"\s*:')


def is_checkpoint_table(table: Table) -> bool:
    """Tell a table of planned looks by its first header, or by a first column of T+1h and the like."""
    labels = (cells[0].text for _, cells in table.rows if cells)
    return slug(table.header[0].text) in ("checkpoint", "checkpoints") or any(
        checkpoint_offset_ms(label) is not None for label in labels
    )


def is_metric_table(table: Table) -> bool:
    """Tell a table of metrics by its first header."""
    return slug(table.header[0].text) in _METRIC_HEADERS and len(table.header) > 1


def checkpoint_table(
    table: Table, phase: str, lines: Sequence[str], starts: Sequence[int]
) -> tuple[CheckpointTable, list[LineNote]]:
    """Read a table of planned looks.

    lines, starts  the file's lines and the byte at which the text of each begins
    """
    columns = tuple(slug(cell.text) for cell in table.header[1:])
    rows: list[CheckpointRow] = []
    notes: list[LineNote] = []
    for line, cells in table.rows:
        offset_ms = checkpoint_offset_ms(cells[0].text) if cells else None
        if offset_ms is None:
            notes.append(LineNote(line, "checkpoint", False, "a row without a checkpoint such as T+1h"))
        elif len(cells) > len(table.header):
            notes.append(_wrong_width("checkpoint", line, cells, table))
        else:
            inside = tuple(
                CheckpointCell(column, cell.text, *_bytes(cell, lines[line - 1], starts[line - 1]), line)
                for column, cell in zip(columns, cells[1:], strict=False)
            )
            row = CheckpointRow(cells[0].text, offset_ms, inside, line)
            rows.append(row)
            told = f"{row.label}, {sum(cell.is_open for cell in inside)} of {len(inside)} cells to fill in"
            short = len(cells) < len(table.header)
            notes.append(
                _wrong_width("checkpoint", line, cells, table) if short else LineNote(line, "checkpoint", True, told)
            )
    return CheckpointTable(phase, columns, tuple(rows), table.line), notes


def _bytes(cell: Cell, text: str, start: int) -> tuple[int, int]:
    before = start + len(text[: cell.start].encode())
    return before, before + len(text[cell.start : cell.end].encode())


def metric_tables(table: Table, title: str) -> tuple[list[MetricTable], list[LineNote]]:
    """Read a table of metrics: one MetricTable for each column of values; a Status column belongs to all of them."""
    headers = [cell.text for cell in table.header]
    marks = [index for index, header in enumerate(headers) if slug(header) == "status"]
    values = [index for index in range(1, len(headers)) if index not in marks]
    notes: list[LineNote] = []
    rows: dict[int, list[MetricRow]] = {index: [] for index in values}
    for line, cells in table.rows:
        if len(cells) != len(headers) or not cells[0].text:
            notes.append(_wrong_width("metric", line, cells, table))
            continue
        read = {index: _metric_row(cells, index, marks, line) for index in values}
        for index, row in read.items():
            rows[index].append(row)
        shown = ", ".join(row.text or "empty" for row in read.values())
        words = [row.text for row in read.values() if row.id in _NUMERIC and row.text and row.value is None]
        told = f"{cells[0].text} = {shown}"
        notes.append(
            LineNote(line, "metric", not words, f"{cells[0].text}: “{words[0]}” is no number" if words else told)
        )
    return [MetricTable(title, headers[index], tuple(rows[index]), None, table.line) for index in values], notes


def _metric_row(cells: tuple[Cell, ...], index: int, marks: Sequence[int], line: int) -> MetricRow:
    name, text = cells[0].text, cells[index].text
    found = number(text)
    marked = next((status.state for at in marks if (status := state(cells[at].text, line))), None)
    return MetricRow(slug(name), name, text, found.value, found.unit, found.k, found.n, marked, line)


def _wrong_width(kind: str, line: int, cells: tuple[Cell, ...], table: Table) -> LineNote:
    return LineNote(line, kind, False, f"a row of {len(cells)} cells under a header of {len(table.header)}")


def is_json(code: Code) -> bool:
    """Tell a block of JSON by its language, or without one by its first character."""
    first = next((text.strip()[0] for _, text in code.body if text.strip()), "")
    return code.info in ("json", "json5", "jsonc") or (code.info == "" and first in ("{", "["))


def is_commands(code: Code) -> bool:
    """Tell a block of commands by its language, or without one by the words its lines begin with."""
    return code.info in _SHELLS or (code.info == "" and any(_COMMAND.match(text) for _, text in code.body))


def flag_state(code: Code) -> tuple[FlagState | None, list[LineNote]]:
    """Read a JSON block that says which flags are on; any other JSON is reported."""
    try:
        value = json.loads("\n".join(text for _, text in code.body), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return None, _all_lines(code, f"not JSON: {error}" if isinstance(error, ValueError) else "nested too deep")
    if not isinstance(value, dict) or not any(isinstance(flag, bool) for flag in map(_switch, value.values())):
        return None, _all_lines(code, "JSON that does not say which flags are on")
    flags = {key: _switch(flag) for key, flag in value.items() if _is_flag(key, flag)}
    mode = value.get("mode")
    known = {*flags, *(["mode"] if isinstance(mode, str) else [])}
    unknown = sorted(set(value) - known)
    notes = [LineNote(code.line, "json", True, f"state of {len(flags)} flags")]
    shown: set[str] = set()
    for line, text in code.body:
        strange = [key for key in unknown[:_MOST_UNKNOWN_KEYS] if f'"{key}"' in text]
        match = _JSON_KEY.match(text)
        if strange:
            shown.update(strange)
            notes.append(LineNote(line, "json", False, f"neither a flag that is on or off nor the mode: {strange[0]}"))
        else:
            told = _told(match[1], value) if match and match[1] in known else "part of the flag state"
            notes.append(LineNote(line, "json", True, told))
    if len(shown) < len(unknown):
        notes[0] = LineNote(code.line, "json", False, f"{len(unknown)} of {len(value)} keys are no flags")
    return FlagState(flags, mode if isinstance(mode, str) else None, code.line), notes


def _told(key: str, value: dict[str, Any]) -> str:
    if key == "mode":
        return f"mode {value[key]}"
    return f"{key} is " + {True: "on", False: "off", None: "not set"}[_switch(value[key])]


def _is_flag(key: str, value: Any) -> bool:
    return re.fullmatch(r"[A-Z][A-Z0-9_]*", key) is not None and (value is None or _switch(value) is not None)


def _switch(value: Any) -> bool | None:
    """Give true and false, also when written as text as the platform's variables are."""
    return (
        value
        if isinstance(value, bool)
        else {"true": True, "false": False}.get(value)
        if isinstance(value, str)
        else None
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _all_lines(code: Code, why: str) -> list[LineNote]:
    return [LineNote(line, "json", False, why) for line in (code.line, *(line for line, _ in code.body))]


def commands(code: Code) -> tuple[list[Command], list[LineNote]]:
    """Read a block of commands, one a line; a backslash at the end joins the next line."""
    found: list[Command] = []
    notes = [LineNote(code.line, "command", True, "commands")]
    pending, first = "", 0
    for index, (line, text) in enumerate(code.body):
        stripped = text.strip()
        if not pending and (not stripped or stripped.startswith("#")):
            notes.append(LineNote(line, "command", True, "a comment" if stripped else ""))
            continue
        first = first or line
        pending += stripped.removesuffix("\\") + " "
        if not stripped.endswith("\\") or index + 1 == len(code.body):
            found.append(command(pending, first))
            notes += [LineNote(at, "command", True, found[-1].text) for at in range(first, line + 1)]
            pending, first = "", 0
    return found, notes
