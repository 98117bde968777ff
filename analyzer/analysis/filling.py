"""What goes into the open cells of a log's checkpoint tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from analyzer.analysis.rollout_log import CheckpointCell, RolloutLog
from analyzer.analysis.verdict import CheckpointResult, Verdict
from analyzer.units import percent

MARKS = {
    Verdict.PASS: "✅",
    Verdict.FAIL: "❌",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.NO_DATA: "❔",
    Verdict.ERROR: "❔",
    Verdict.INVALID: "❔",
}


def cells(log: RolloutLog, looks: Mapping[tuple[str, int], tuple[CheckpointResult, int]]) -> dict[CheckpointCell, str]:
    """Return a text for each open cell that the data can fill; columns that nobody knows stay as they are.

    looks  (number of the phase that holds the table, offset) -> the look, and when its health was looked at; a look
           without a snapshot fills nothing
    """
    found: dict[CheckpointCell, str] = {}
    for table in log.checkpoint_tables:
        for row in table.rows:
            seen = looks.get((table.phase, row.offset_ms))
            if seen is None or seen[0].snapshot_id is None:
                continue
            look, at_ms = seen
            texts = {name: write(look) for name, write in _COLUMNS.items()}
            texts |= dict.fromkeys(("time", "checked", "timestamp"), _local(at_ms, log.utc_offset_minutes))
            found |= {cell: texts[cell.column] for cell in row.cells if cell.is_open and cell.column in texts}
    return found


def _local(at_ms: int, offset_minutes: int | None) -> str:
    """Write a time as the log does: in its own offset, to the minute."""
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC) + timedelta(minutes=offset_minutes or 0)
    return f"{moment:%Y-%m-%d %H:%M}" + ("" if offset_minutes is not None else " UTC")


def _health(look: CheckpointResult) -> str:
    if look.health == look.health_without_tests or look.health_without_tests is None:
        return look.health or ""
    return f"{look.health} ({look.health_without_tests} without tests)"


def _rates(messages: float | None, workflows: float | None, look: CheckpointResult) -> str:
    """Write both rates over the whole look, with the counts behind them."""
    parts = [
        f"{name} {percent(rate)} ({round(rate * n)}/{n})"
        for name, rate, n in (("messages", messages, look.messages), ("workflows", workflows, look.workflows))
        if rate is not None
    ]
    return ", ".join(parts) or "no documents"


def _status(look: CheckpointResult) -> str:
    source = ", reconstructed" if look.reconstructed else ""
    return f"{MARKS[look.verdict]} {look.verdict.value}{source}"


_COLUMNS: Mapping[str, Callable[[CheckpointResult], str]] = {
    "health": _health,
    "health_status": _health,
    "alerts": lambda look: "" if look.alerts is None else str(look.alerts),
    "alert_count": lambda look: "" if look.alerts is None else str(look.alerts),
    "error_rate": lambda look: _rates(look.message_error_rate, look.workflow_error_rate, look),
    "completion_rate": lambda look: _rates(look.message_completion_rate, look.workflow_completion_rate, look),
    "status": _status,
    "verdict": _status,
    "notes": lambda look: look.reason,
}
