"""A report as a document: sections of paragraphs, lists, tables, commands and charts.

Says what is shown and in which order; `html`, `markdown` and `plain` say how. Texts are as they came, maybe from
documents or from a log: each renderer makes them safe for its own format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.units import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """Command lines to copy. They are shown and never run."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head, all of the same length."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()  # columns to align at the right


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, what it shows in words, and the numbers in it."""

    id: str  # short, of letters
    title: str
    description: str
    draw: Callable[[], Figure]
    table: Table


Block = Words | Points | Commands | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    weight: int  # what is cut first where room is short has the largest


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    verdict: str  # "PASS"; shown as text beside its colour
    sentences: tuple[str, ...]  # the first says what the verdict means
    sections: tuple[Section, ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Every chart, in order."""
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, Chart))


def command_text(line: str) -> str:
    """Make a command line safe to show, with its own backslashes as they are: it is there to be copied."""
    return visible(line).replace("\\\\", "\\")
