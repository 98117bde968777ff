"""Writes a rollout log back with its open checkpoint cells filled in from the store."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.analysis import filling
from analyzer.analysis.changes import Change
from analyzer.analysis.checkpoints import Judging
from analyzer.analysis.rollout_log import CheckpointTable, RolloutLog, fill
from analyzer.analysis.verdict import CheckpointResult
from analyzer.flows.rollout_records import Opened
from analyzer.flows.rollouts import judge_looks
from analyzer.store import Store


@dataclass(frozen=True, slots=True)
class Filled:
    """A log with its gaps filled."""

    content: bytes  # the file; exactly as it was where nothing could be filled
    cells: int  # filled in
    open_rows: int  # that no snapshot reaches, or that no change belongs to


def fill_log(store: Store, opened: Opened, log: RolloutLog, how: Judging) -> Filled:
    """Fill the open cells of every checkpoint table: of a phase with looks at its change, of others with the last's."""
    by_change: dict[int, dict[int, tuple[CheckpointResult, int]]] = {}
    looks: dict[tuple[str, int], tuple[CheckpointResult, int]] = {}
    for table in log.checkpoint_tables:
        change = _change_of(opened, table)
        if change is None:
            continue
        if change.number not in by_change:
            judged = judge_looks(store, opened, change, how)
            by_change[change.number] = {j.look.offset_ms: (j.result, j.look.health_at_ms) for j in judged}
        looks |= {(table.phase, offset_ms): found for offset_ms, found in by_change[change.number].items()}
    cells = filling.cells(log, looks)
    rows = [(table.phase, row) for table in log.checkpoint_tables for row in table.rows if row.is_open]
    seen = {key for key, (look, _) in looks.items() if look.snapshot_id is not None}
    left = sum((phase, row.offset_ms) not in seen for phase, row in rows)
    return Filled(fill(log, cells), sum(bool(text) for text in cells.values()), left)


def _change_of(opened: Opened, table: CheckpointTable) -> Change | None:
    changes = opened.rollout.changes
    if table.phase:
        return next((change for change in changes if table.phase in change.phases), None)
    return changes[-1] if changes else None
