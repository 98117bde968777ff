"""Rollout logs: Markdown that a person keeps during a rollout, read as data and written back with its gaps filled.

`read_log` and `parse_log` never fail on what a log says: each line is understood, or reported with its reason in
`RolloutLog.lines`. `fill` writes into open checkpoint cells and touches nothing else.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from analyzer.analysis.rollout_log.fill import fill
from analyzer.analysis.rollout_log.findings import log_findings
from analyzer.analysis.rollout_log.types import (
    ChecklistItem,
    CheckpointCell,
    CheckpointRow,
    CheckpointTable,
    Command,
    FlagFlip,
    FlagState,
    LineNote,
    MetricRow,
    MetricTable,
    SmokeTest,
    State,
    StatusLine,
    Timestamp,
)
from analyzer.analysis.rollout_log.whole import KnownIssue, Phase, Reference, RolloutLog, TaskEntry
from analyzer.errors import SourceInvalid, SourceUnreachable

__all__ = [
    "ChecklistItem",
    "CheckpointCell",
    "CheckpointRow",
    "CheckpointTable",
    "Command",
    "FlagFlip",
    "FlagState",
    "KnownIssue",
    "LineNote",
    "MetricRow",
    "MetricTable",
    "Phase",
    "Reference",
    "RolloutLog",
    "SmokeTest",
    "State",
    "StatusLine",
    "TaskEntry",
    "Timestamp",
    "fill",
    "log_findings",
    "parse_log",
    "read_log",
]

LARGEST_LOG_BYTES = 16 * 2**20
MOST_LINES = 1_000_000
BOM = b"\xef\xbb\xbf"


def read_log(path: Path) -> RolloutLog:
    """Read a rollout log from a file.

    raises   SourceUnreachable when the file cannot be read; SourceInvalid as `parse_log`
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise SourceUnreachable(
            f"{path} cannot be read: {error.strerror}", hint="name the Markdown file of the rollout log"
        ) from error
    return parse_log(source, where=path.name)


def parse_log(source: bytes, *, where: str) -> RolloutLog:
    """Read a rollout log from its bytes.

    where    name of the file, for messages
    raises   SourceInvalid when the bytes are not UTF-8 text, naming the line, or far too many for a log
    """
    from analyzer.analysis.rollout_log.build import build  # many patterns, which nobody without a log needs
    from analyzer.analysis.rollout_log.scan import blocks

    if len(source) > LARGEST_LOG_BYTES:
        raise SourceInvalid(f"{where} has {len(source):,} bytes; a rollout log has at most {LARGEST_LOG_BYTES:,}")
    raw = source.splitlines(keepends=True)  # of bytes: only at LF, CR LF and CR
    if len(raw) > MOST_LINES:
        raise SourceInvalid(f"{where} has {len(raw):,} lines; a rollout log has at most {MOST_LINES:,}")
    try:
        source.decode()
    except UnicodeDecodeError as error:
        line = len((source[: error.start] + b"x").splitlines())
        raise SourceInvalid(
            f"{where} line {line} holds bytes that are not UTF-8",
            hint="save the log as UTF-8 text",
        ) from error
    starts = [0, *accumulate(len(line) for line in raw)][: len(raw)]
    if raw and raw[0].startswith(BOM):
        starts[0], raw[0] = len(BOM), raw[0].removeprefix(BOM)
    lines = [line.rstrip(b"\r\n").decode() for line in raw]
    return build(where, source, lines, starts, blocks(lines))
