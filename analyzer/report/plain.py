"""A page as plain text: for a terminal, and in at most 12 lines for a chat."""

from __future__ import annotations

import textwrap

from analyzer.report.page import Commands, Page, Points, Table, Words, command_text
from analyzer.report.snapshots_text import columns
from analyzer.units import truncated, visible

WIDE, CELL_COLUMNS = 110, 44
BRIEF_LINES, BRIEF_COLUMNS = 12, 80


def page(document: Page) -> str:
    """Return the whole report; a chart is told by the table it draws where no table of its section does."""
    lines = [visible(document.title), visible(document.subtitle), ""]
    lines += [textwrap.fill(sentence, WIDE) for sentence in _sentences(document)]
    for section in document.sections:
        said = [line for block in section.blocks for line in _block(block)]
        if said:
            lines += ["", visible(section.title).upper(), *said]
    return "\n".join(lines)


def brief(document: Page, notes: tuple[str, ...]) -> str:
    """Return the verdict and what stands behind it in at most 12 lines of at most 80 columns.

    notes  the most important first
    """
    lines = [visible(document.title), visible(document.subtitle)]
    for sentence in _sentences(document):
        lines += textwrap.wrap(sentence, BRIEF_COLUMNS, max_lines=2, placeholder=" …")
    lines += [visible(note) for note in notes]
    return "\n".join(truncated(line, BRIEF_COLUMNS) for line in lines[:BRIEF_LINES])


def _block(block: object) -> list[str]:
    if isinstance(block, Words):
        return [textwrap.fill(visible(block.text), WIDE, initial_indent="  ", subsequent_indent="  ")]
    if isinstance(block, Points):
        return [
            textwrap.fill(visible(item), WIDE, initial_indent="  - ", subsequent_indent="    ") for item in block.items
        ]
    if isinstance(block, Commands):
        return [f"  {command_text(line)}" for line in block.lines]
    return _table(block) if isinstance(block, Table) else []


def _table(table: Table) -> list[str]:
    if not table.rows:
        return [f"  {visible(table.caption)}: nothing"]
    rows = [tuple(truncated(visible(cell), CELL_COLUMNS) for cell in row) for row in (table.head, *table.rows)]
    text = columns(rows, right=table.numbers)
    return [f"  {visible(table.caption)}", *(f"    {line}" for line in text.splitlines())]


def _sentences(document: Page) -> list[str]:
    first, *others = map(visible, document.sentences)
    return [f"{document.verdict}: {first}", *others]
