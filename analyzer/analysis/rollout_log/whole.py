"""A whole rollout log: phases, tasks, known issues and what every line was read as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from analyzer.analysis.rollout_log.types import (
    ChecklistItem,
    CheckpointTable,
    Command,
    FlagFlip,
    FlagState,
    LineNote,
    MetricTable,
    SmokeTest,
    State,
    StatusLine,
    Timestamp,
)


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """One task of a phase."""

    number: str  # "1.1.1"
    title: str
    line: int
    at: Timestamp | None
    finished: Timestamp | None
    status: StatusLine | None
    commands: tuple[Command, ...]
    flag_states: tuple[FlagState, ...]
    metric_tables: tuple[MetricTable, ...]
    checklist: tuple[ChecklistItem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase, or one section outside the phases that holds the same kinds of things.

    What its tasks hold is in the tasks; `all_flag_states` and `all_metric_tables` give both, in the order of the log.
    """

    kind: Literal["phase", "verification", "other"]
    number: str  # "0"; "" outside phases
    title: str
    line: int
    state: State
    state_from: Literal["heading", "status", "tasks", "nothing"]
    reason: str  # why it was skipped, or what its Status line adds; "" when nothing is said
    at: Timestamp | None  # its own, else the first of its tasks
    finished: Timestamp | None
    status: StatusLine | None
    flags: tuple[str, ...]  # named in the heading
    flips: tuple[FlagFlip, ...]
    tasks: tuple[TaskEntry, ...]
    commands: tuple[Command, ...]
    flag_states: tuple[FlagState, ...]
    metric_tables: tuple[MetricTable, ...]
    checkpoint_tables: tuple[CheckpointTable, ...]
    rollback: tuple[Command, ...]
    smoke_tests: tuple[SmokeTest, ...]
    checklist: tuple[ChecklistItem, ...]
    notes: tuple[str, ...]

    @property
    def all_flag_states(self) -> tuple[FlagState, ...]:
        """Flag states of the phase and of its tasks."""
        states = [*self.flag_states, *(state for task in self.tasks for state in task.flag_states)]
        return tuple(sorted(states, key=lambda state: state.line))

    @property
    def all_metric_tables(self) -> tuple[MetricTable, ...]:
        """Metric tables of the phase and of its tasks."""
        tables = [*self.metric_tables, *(table for task in self.tasks for table in task.metric_tables)]
        return tuple(sorted(tables, key=lambda table: table.line))


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """One known issue."""

    title: str
    cause: str
    impact: str
    resolutions: tuple[str, ...]
    verification: str
    text: str  # everything else said about it
    line: int


@dataclass(frozen=True, slots=True)
class Reference:
    """Commands under a heading of the quick reference."""

    title: str
    commands: tuple[Command, ...]
    line: int


@dataclass(frozen=True, slots=True)
class RolloutLog:
    """A whole rollout log."""

    where: str  # file name, for messages
    title: str
    deployment_url: str | None  # origin, "https://happy-animal-123.convex.cloud"
    started: Timestamp | None
    total_phases: int | None  # as written; see `phases` for what is there
    utc_offset_minutes: int | None  # the log's own, used for times without offset
    sections: tuple[Phase, ...]  # in the order of the log
    known_issues: tuple[KnownIssue, ...]
    references: tuple[Reference, ...]
    rollback: tuple[Command, ...]  # the commands that undo all phases
    lines: tuple[LineNote, ...]  # one for every line of the file
    source: bytes = field(repr=False)  # the file, byte for byte

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The numbered phases."""
        return tuple(section for section in self.sections if section.kind == "phase")

    @property
    def unexplained(self) -> tuple[LineNote, ...]:
        """Lines that were not understood, each with the reason."""
        return tuple(note for note in self.lines if not note.understood)

    @property
    def checkpoint_tables(self) -> tuple[CheckpointTable, ...]:
        """Every checkpoint table."""
        return tuple(table for section in self.sections for table in section.checkpoint_tables)

    @property
    def smoke_tests(self) -> tuple[SmokeTest, ...]:
        """Every smoke test."""
        return tuple(test for section in self.sections for test in section.smoke_tests)

    @property
    def deployment_name(self) -> str | None:
        """The name in a URL of the platform's own hosts, "happy-animal-123"."""
        host = (self.deployment_url or "").partition("://")[2]
        name, _, domain = host.partition(".")
        return name if domain.endswith(("convex.cloud", "convex.site")) else None

    @property
    def baseline_metrics(self) -> MetricTable | None:
        """The first table called a baseline, else the first before any flag was flipped."""
        before: list[MetricTable] = []
        for section in self.sections:
            if section.flips:
                break
            before.extend(section.all_metric_tables)
        named = [
            table
            for section in self.sections
            for table in section.all_metric_tables
            if "baseline" in f"{table.column} {table.title}".lower()
        ]
        return next(iter([*named, *before]), None)

    @property
    def final_metrics(self) -> MetricTable | None:
        """The last metric table after the last flip."""
        return next(iter(reversed([table for section in self._after() for table in section.all_metric_tables])), None)

    @property
    def final_flags(self) -> FlagState | None:
        """The last flag state after the last flip."""
        return next(iter(reversed([state for section in self._after() for state in section.all_flag_states])), None)

    def _after(self) -> tuple[Phase, ...]:
        """Sections after the last phase, where there are any that look back on all of them."""
        last = max((index for index, section in enumerate(self.sections) if section.kind == "phase"), default=-1)
        return self.sections[last + 1 :]
