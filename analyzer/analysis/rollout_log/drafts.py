"""Phases, tasks, smoke tests and known issues while they are being read, and how each becomes final."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from analyzer.analysis.rollout_log.types import (
    ChecklistItem,
    CheckpointTable,
    Command,
    FlagFlip,
    FlagState,
    MetricTable,
    SmokeTest,
    State,
    StatusLine,
    Timestamp,
)
from analyzer.analysis.rollout_log.values import FLAG_NAME
from analyzer.analysis.rollout_log.whole import KnownIssue, Phase, TaskEntry

StateFrom = Literal["heading", "status", "tasks", "nothing"]
_NOT_FLIPPED: frozenset[State] = frozenset(("skipped", "pending"))
_TURNED_OFF = re.compile(r"\b(?:disabl|turn(?:ed|ing)? off|switch(?:ed|ing)? off|remov)", re.IGNORECASE)


@dataclass(slots=True)
class SmokeDraft:
    """A smoke test."""

    line: int
    title: str = ""
    task_id: str | None = None
    status: StatusLine | None = None
    at: Timestamp | None = None

    def final(self, section_at: Timestamp | None) -> SmokeTest:
        """Give the smoke test; its time is the section's when it has none."""
        return SmokeTest(self.title, self.task_id, self.status, self.at or section_at, self.line)


@dataclass(slots=True)
class IssueDraft:
    """A known issue; each field is a list of lines."""

    title: str
    line: int
    cause: list[str] = field(default_factory=list)
    impact: list[str] = field(default_factory=list)
    verification: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    resolutions: list[str] = field(default_factory=list)
    listing: str = ""  # the field that a list below belongs to

    def final(self) -> KnownIssue:
        """Give the known issue."""
        cause, impact, verification, text = (
            " ".join(filter(None, lines)) for lines in (self.cause, self.impact, self.verification, self.text)
        )
        return KnownIssue(
            self.title, cause, impact, tuple(filter(None, self.resolutions)), verification, text, self.line
        )


@dataclass(slots=True)
class Draft:
    """A task, a phase, or a section outside the phases: all hold the same kinds of things."""

    kind: Literal["task", "phase", "verification", "other"]
    number: str
    title: str
    line: int
    heading: StatusLine | None = None
    status: StatusLine | None = None
    at: Timestamp | None = None
    finished: Timestamp | None = None
    reasons: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    rollback: list[Command] = field(default_factory=list)
    flag_states: list[FlagState] = field(default_factory=list)
    metric_tables: list[MetricTable] = field(default_factory=list)
    checkpoint_tables: list[CheckpointTable] = field(default_factory=list)
    checklist: list[ChecklistItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    smoke: list[SmokeDraft] = field(default_factory=list)
    tasks: list[Draft] = field(default_factory=list)

    @property
    def holds_something(self) -> bool:
        """Tell whether anything was read into it."""
        parts = (self.commands, self.rollback, self.flag_states, self.metric_tables, self.checkpoint_tables)
        return any((*parts, self.checklist, self.notes, self.smoke, self.tasks, self.at, self.status))

    def final_task(self) -> TaskEntry:
        """Give the task."""
        return TaskEntry(
            number=self.number,
            title=self.title,
            line=self.line,
            at=self.at,
            finished=self.finished,
            status=self.status or self.heading,
            commands=tuple(self.commands),
            flag_states=tuple(self.flag_states),
            metric_tables=self._tables(),
            checklist=tuple(self.checklist),
            notes=tuple(filter(None, self.notes)),
        )

    def final_section(self) -> Phase:
        """Give the phase or section."""
        assert self.kind != "task"
        state, state_from = self._state()
        return Phase(
            kind=self.kind,
            number=self.number,
            title=self.title,
            line=self.line,
            state=state,
            state_from=state_from,
            reason=self._reason(),
            at=self._first_at(),
            finished=self.finished,
            status=self.status or self.heading,
            flags=self._flags(),
            flips=self._flips(state),
            tasks=tuple(task.final_task() for task in self.tasks),
            commands=tuple(self.commands),
            flag_states=tuple(self.flag_states),
            metric_tables=self._tables(),
            checkpoint_tables=tuple(self.checkpoint_tables),
            rollback=tuple(self.rollback),
            smoke_tests=tuple(smoke.final(self.at) for smoke in self.smoke),
            checklist=tuple(self.checklist),
            notes=tuple(filter(None, self.notes)),
        )

    def _tables(self) -> tuple[MetricTable, ...]:
        return tuple(replace(table, at=self.at) for table in self.metric_tables)

    def _first_at(self) -> Timestamp | None:
        return self.at or next((task.at for task in self.tasks if task.at), None)

    def _state(self) -> tuple[State, StateFrom]:
        """Take the heading's word, then the Status line's, then what all tasks say together."""
        if self.heading:
            return self.heading.state, "heading"
        if self.status:
            return self.status.state, "status"
        said = {status.state for task in self.tasks if (status := task.status or task.heading)}
        if not said:  # what was never dated was never done
            return ("unknown" if self._first_at() else "pending"), "nothing"
        if "failed" in said:
            return "failed", "tasks"
        return (said.pop() if len(said) == 1 else "in_progress"), "tasks"

    def _reason(self) -> str:
        details = [status.detail for status in (self.status, self.heading) if status and status.detail]
        return next(filter(None, [*details, *self.reasons, *self.notes]), "")

    def _flags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(FLAG_NAME.findall(self.title)))

    def _flips(self, state: State) -> tuple[FlagFlip, ...]:
        """List the flags that the phase changed: by its commands, else by the flags that its heading names."""
        if self.kind != "phase" or state in _NOT_FLIPPED:
            return ()
        by_command = [
            FlagFlip(command.flag, command.value, part.at or self.at, self.number, "command", command.line)
            for part in (self, *self.tasks)
            if not (part.status and part.status.state in _NOT_FLIPPED)
            for command in part.commands
            if command.flag
        ]
        if by_command:
            return tuple(by_command)
        value = "false" if _TURNED_OFF.search(self.title) else "true"
        return tuple(FlagFlip(flag, value, self.at, self.number, "heading", self.line) for flag in self._flags())
