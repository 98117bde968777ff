"""The recorded rollout log that the tests read, and a short way to read any text."""

from __future__ import annotations

from pathlib import Path

from analyzer.analysis.rollout_log import RolloutLog, parse_log

EXAMPLE = Path(__file__).parents[1] / "recorded" / "example-rollout-log.md"
SOURCE = EXAMPLE.read_bytes()


def read(text: str) -> RolloutLog:
    """Read a log from a text."""
    return parse_log(text.encode(), where="log.md")


def reasons(log: RolloutLog) -> dict[int, str]:
    """Give the lines that were not understood, with the reason of each."""
    return {note.line: note.text for note in log.unexplained}
