"""What a line, a cell or a table of a rollout log says, as frozen values; `whole` puts them together.

Texts are the log's own words, untrusted: whoever prints them escapes them. Values of secrets in them are already
replaced. All times are epoch milliseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["completed", "skipped", "pending", "in_progress", "failed", "rolled_back", "unknown"]
OPEN_BOXES = frozenset(
    {"", "\u2b1c", "\u25fb", "\u25fb\ufe0f", "\u2610", "\u25a1", "[ ]"}
)  # white squares: still to do


class LineNote(NamedTuple):
    """What was made of one line; a plain tuple, because a log may have a million lines."""

    line: int  # 1, 2, ...
    kind: str  # "heading", "field", "table", "json", "command", "item", "text", "blank", ...
    understood: bool
    text: str  # what it was read as, or why it was not read; "" for blank lines


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time as written in the log."""

    ms: int | None  # None when it has no offset and the log has none either
    precision_ms: int  # 60,000 for a time in minutes: the moment lies in [ms, ms + precision_ms)
    has_offset: bool  # False: the log's own offset was taken
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A state as written in the log, and what was said beside it."""

    state: State
    detail: str  # "No alerts"; the reason of a skipped phase
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of the log. It is shown to people and never run."""

    text: str  # values of secrets replaced by <hidden>
    kind: Literal["set-flag", "remove-flag", "run", "other"]
    line: int
    flag: str | None = None  # NAME of `env set NAME VALUE` and of `env remove NAME`
    value: str | None = None  # VALUE when it is true or false, else None
    function: str | None = None  # of `npx convex run FUNCTION`


@dataclass(frozen=True, slots=True)
class FlagState:
    """A JSON block that says which flags are on."""

    flags: Mapping[str, bool | None]  # None: written as null, so not set
    mode: str | None  # "workflow", "direct"
    line: int


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of a table, as a person noted it."""

    id: str  # slug of the name: "error_rate"
    name: str
    text: str  # the cell as written
    value: float | None  # None when the cell is no number
    unit: Literal["share", "count", "ms", "text"]  # share is 0..1
    k: int | None  # of k/n, where the log gives counts
    n: int | None
    mark: State | None  # from a Status column
    line: int


@dataclass(frozen=True, slots=True)
class MetricTable:
    """One column of values of one metric table."""

    title: str  # of the nearest heading
    column: str  # "Baseline Value"
    rows: tuple[MetricRow, ...]
    at: Timestamp | None  # of the task or phase that holds it
    line: int

    def row(self, metric_id: str) -> MetricRow | None:
        """Give the row of one metric, None when the table has none."""
        return next((row for row in self.rows if row.id == metric_id), None)


@dataclass(frozen=True, slots=True)
class CheckpointCell:
    """One cell of a checkpoint table and where its inside lies in the file."""

    column: str  # slug of the header: "error_rate"
    text: str  # "" when empty
    start_byte: int  # just behind the pipe before it
    end_byte: int  # at the pipe after it
    line: int

    @property
    def is_empty(self) -> bool:
        """Tell whether the cell holds nothing but blanks."""
        return self.text == ""

    @property
    def is_open(self) -> bool:
        """Tell whether nobody has filled the cell in: empty, or holding an empty box."""
        return self.text in OPEN_BOXES


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One planned look."""

    label: str  # "T+1h"
    offset_ms: int  # after the change
    cells: tuple[CheckpointCell, ...]  # without the label; fewer than columns when the row is cut short
    line: int

    def cell(self, column: str) -> CheckpointCell | None:
        """Give the cell of a column by its slug, None when the row has none."""
        return next((cell for cell in self.cells if cell.column == column), None)

    @property
    def is_open(self) -> bool:
        """Tell whether no cell of the row is filled in."""
        return all(cell.is_open for cell in self.cells)


@dataclass(frozen=True, slots=True)
class CheckpointTable:
    """The planned looks after one phase, or after the rollout."""

    phase: str  # number of the phase that holds it; "" outside phases
    columns: tuple[str, ...]  # slugs, without the label's
    rows: tuple[CheckpointRow, ...]
    line: int


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One box of a checklist."""

    text: str
    done: bool
    at: Timestamp | None  # a time noted in it
    line: int


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """One task that was run to see whether the rollout works."""

    title: str  # "" when not noted
    task_id: str | None
    status: StatusLine | None
    at: Timestamp | None  # of the section that holds it, when it has none of its own
    line: int


@dataclass(frozen=True, slots=True)
class FlagFlip:
    """A flag that a phase changed."""

    flag: str
    value: str | None  # "true", "false"; None when it was removed or set to something else
    at: Timestamp | None
    phase: str
    told_by: Literal["command", "heading"]
    line: int
