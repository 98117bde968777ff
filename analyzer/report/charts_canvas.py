"""What all charts of a report share: a question as title, a caption, and axes placed by the inch. See `charts`.

A layout engine measures every text twice and costs more than all drawing together, so nothing here uses one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.units import truncated

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE, POST = "#6b6b6b", "#8a2d7f"  # told apart by lightness and by marker as well
MUTED, GRID, RULE, LIMIT = "#555555", "#dddddd", "#999999", "#b00020"
WIDTH_INCHES = 7.6
HEAD_INCHES = 0.62  # of title and caption
LABEL_INCHES = 0.075  # of one character of a small label


@dataclass(frozen=True, slots=True)
class Room:
    """Inches to leave free around axes, for what is written there."""

    left: float
    right: float = 0.15
    below: float = 0.5
    above: float = 0.0  # below the caption
    between: float = 0.0


def new_figure(question: str, caption: str, height_inches: float) -> Figure:
    """Return an empty figure with a question as its title and a caption under it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height_inches))
    title = {"x": 0.01, "y": 1 - 0.18 / height_inches, "ha": "left", "va": "center", "parse_math": False}
    figure.suptitle(question, fontsize=13, fontweight="bold", **title)
    figure.text(
        0.01,
        1 - 0.43 / height_inches,
        truncated(caption, 118),
        fontsize=8.5,
        color=MUTED,
        va="center",
        ha="left",
        parse_math=False,
    )
    return figure


def place(figure: Figure, heights: Sequence[float], room: Room, *, share_x: bool = False) -> list[Axes]:
    """Return axes under each other, the upper one first.

    heights  in any one unit: how the room is split
    """
    width, height = (float(size) for size in figure.get_size_inches())
    free = height - HEAD_INCHES - room.above - room.below - room.between * (len(heights) - 1)
    top, found = height - HEAD_INCHES - room.above, []  # type: tuple[float, list[Axes]]
    for part in heights:
        size = free * part / sum(heights)
        box = (room.left / width, (top - size) / height, (width - room.left - room.right) / width, size / height)
        found.append(figure.add_axes(box, sharex=found[0] if found and share_x else None))
        top -= size + room.between
    return found


def beside(texts: Sequence[str]) -> float:
    """Return how many inches the longest of some texts takes at the right of axes, with a gap before it."""
    return 0.3 + LABEL_INCHES * max(map(len, texts), default=0)


def empty(figure: Figure, sentence: str) -> Figure:
    """Say in a figure why there is nothing to draw."""
    (axes,) = place(figure, [1], Room(0.1, below=0.1))
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", color=MUTED, parse_math=False)
    return figure


def bare(axes: Axes, *, left: bool = True) -> None:
    """Take away what carries no data.

    left  whether the left axis carries any
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_visible(left)
    axes.tick_params(axis="x", length=3, labelsize=8.5)
    axes.tick_params(axis="y", length=3 if left else 0, labelsize=8.5)
    axes.set_axisbelow(True)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name rows 0, 1, ... from above.

    names  safe to show already
    """
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), list(names), fontsize=8.5)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)


def legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str], columns: int) -> None:
    """Name the marks at the lower end of a figure."""
    style = {"frameon": False, "fontsize": 8.5, "borderaxespad": 0.2, "columnspacing": 1.4}
    figure.legend(handles, labels, loc="lower left", ncols=columns, **style)


def label_rows(places: Sequence[tuple[float, str]], inches_of_unit: float) -> list[int]:
    """Say in which row above the axes each label goes, so that none hides another; 0 is the lowest.

    places  (where it begins, text), in units of the axis and in any order
    """
    ends: list[float] = []
    rows = [0] * len(places)
    for index in sorted(range(len(places)), key=lambda i: places[i][0]):
        x, text = places[index]
        row = next((r for r, end in enumerate(ends) if end <= x), len(ends))
        end = x + (len(text) + 1) * LABEL_INCHES / inches_of_unit
        ends[row : row + 1] = [end]
        rows[index] = row
    return rows
