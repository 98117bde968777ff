"""Where in a log the reader is, and what it has read so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analyzer.analysis.rollout_log.drafts import Draft, IssueDraft
from analyzer.analysis.rollout_log.types import Command, LineNote, Timestamp

Part = Literal["", "rollback", "smoke", "issues", "references"]
_LONGEST_NOTE = 160  # characters of a line that a note repeats


@dataclass(slots=True)
class Context:
    """State while one log is read. Readers of blocks change it and leave a note for each line they take."""

    lines: Sequence[str]
    starts: Sequence[int]  # byte at which the text of each line begins
    offset_minutes: int | None  # the log's own offset from UTC
    title: str = ""
    url: str | None = None
    started: Timestamp | None = None
    total_phases: int | None = None
    sections: list[Draft] = field(default_factory=lambda: [Draft("other", "", "", 1)])
    task: Draft | None = None
    task_level: int = 0
    section_level: int = 0  # 0: before the first section
    part: Part = ""  # what the nearest heading is about, where that changes how things are read
    heading: str = ""
    issues: list[IssueDraft] = field(default_factory=list)
    references: list[tuple[str, list[Command], int]] = field(default_factory=list)
    rollback: list[Command] = field(default_factory=list)
    flow: Callable[[str], bool] | None = None  # takes the next line of a paragraph; False when it is full
    notes: dict[int, LineNote] = field(default_factory=dict)  # blank lines have none

    @property
    def section(self) -> Draft:
        """The phase or section that is being read."""
        return self.sections[-1]

    @property
    def holder(self) -> Draft:
        """The task that is being read, else the section."""
        return self.task or self.section

    def took(self, line: int, kind: str, text: str) -> None:
        """Note that a line was understood, and as what."""
        self.put([LineNote(line, kind, True, text)])

    def missed(self, line: int, kind: str, why: str) -> None:
        """Note that a line was not understood, and why."""
        self.put([LineNote(line, kind, False, why)])

    def put(self, notes: Iterable[LineNote]) -> None:
        """Keep notes, each text cut to a readable length."""
        for note in notes:
            long = len(note.text) > _LONGEST_NOTE
            self.notes[note.line] = note._replace(text=note.text[:_LONGEST_NOTE] + "…") if long else note
