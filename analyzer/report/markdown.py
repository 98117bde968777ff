"""A page as Markdown for a pull request: short enough to post, and it says what it left out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analyzer.report.page import Chart, Commands, Page, Points, Section, Table, Words, command_text
from analyzer.units import count, truncated, visible

MOST_CHARACTERS = 60_000  # fewer than this; a comment on a forge holds 65,536
MOST_ROWS, CELL_COLUMNS, TEXT_COLUMNS = 40, 200, 1_000
# Everything that Markdown, or what forges add to it (tables, strikethrough, mathematics), takes for an instruction.
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_AT_START = re.compile(r"^(?:[#=-]|\+(?=\s|$)|\d+(?=[.)](?:\s|$)))")  # headings, rules and lists


def page(document: Page) -> str:
    """Return the whole report, under 60,000 characters; what had to go is named at the end."""
    head = [
        f"# {escaped(document.title)}",
        "",
        escaped(document.subtitle),
        "",
        f"**{document.verdict}**: {escaped(document.sentences[0])}",
        "",
        *(line for sentence in document.sentences[1:] for line in (escaped(sentence), "")),
    ]
    parts = [(section, *_section(section)) for section in document.sections]
    cut = ["the charts, and health over time: see the report as HTML"]
    cut += [note for _, _, notes in parts for note in notes]
    start = "\n".join(head)
    room = MOST_CHARACTERS - len(start) - sum(len(note) + 4 for note in cut) - 2_000
    kept = {section.id: text for section, text, _ in parts if text}
    for section, text, _ in sorted(parts, key=lambda part: -part[0].weight):
        if sum(map(len, kept.values())) <= room:
            break
        if kept.pop(section.id, None) is None:
            continue
        cut.append(f"the section \u201c{escaped(section.title)}\u201d ({count(len(text), 'character')})")
    text = "\n".join([start, *kept.values()])
    return text + "\n".join(["## Left out here", "", *(f"- {note}" for note in cut), ""])


def escaped(text: str, columns: int = TEXT_COLUMNS) -> str:
    """Make text safe inside Markdown: it is shown as written and formats, links, embeds and calls nobody."""
    safe = truncated(visible(text), columns).strip()
    safe = safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _SPECIAL.sub(r"\\\1", safe)
    safe = _AT_START.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", safe)
    safe = safe.replace("://", ":\\/\\/").replace("www.", "www\\.")  # no links of its own accord
    return safe.replace("@", "@&#8288;")  # a word joiner: nobody is told of a name in a document


def _section(section: Section) -> tuple[str, list[str]]:
    """Return a section's text and what was cut from it."""
    lines, cut = [f"## {escaped(section.title)}", ""], []
    for block in section.blocks:
        if isinstance(block, Words):
            lines += [escaped(block.text), ""]
        elif isinstance(block, Points):
            shown = block.items[:MOST_ROWS]
            lines += [*(f"- {escaped(item)}" for item in shown), ""]
            cut += _rest(len(block.items) - len(shown), "point", section.title)
        elif isinstance(block, Commands):
            lines += [*_fenced(block.lines), ""]
        elif isinstance(block, Table):
            lines += [*_table(block), ""]
            cut += _rest(len(block.rows) - MOST_ROWS, "row", block.caption)
        else:
            assert isinstance(block, Chart)
    return "\n".join([*lines, ""]) if len(lines) > 2 else "", cut


def _rest(number: int, noun: str, where: str) -> list[str]:
    return [f"{count(number, noun)} of \u201c{escaped(where)}\u201d"] if number > 0 else []


def _fenced(lines: Sequence[str]) -> list[str]:
    """Return a block of code whose fence is longer than any run of backticks in it."""
    safe = [command_text(line) for line in lines]
    longest = max((len(run) for line in safe for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *safe, fence]


def _table(table: Table) -> list[str]:
    rule = ["---:" if column in table.numbers else "---" for column in range(len(table.head))]
    rows = table.rows[:MOST_ROWS] or (("nothing", *("" for _ in table.head[1:])),)
    lines = [_row(table.head), f"| {' | '.join(rule)} |", *map(_row, rows)]
    return [f"{escaped(table.caption)}:", "", *lines] if table.caption else lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell, CELL_COLUMNS) for cell in cells)} |"
