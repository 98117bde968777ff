"""Write a rollout log back with its open checkpoint cells filled in, everything else untouched to the byte."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.analysis.rollout_log.types import CheckpointCell
from analyzer.analysis.rollout_log.whole import RolloutLog


def fill(log: RolloutLog, cells: Mapping[CheckpointCell, str]) -> bytes:
    """Give the bytes of the log with texts put into open checkpoint cells.

    cells    texts for cells of this log's checkpoint tables; what would break the row (pipes, line ends, markup) is
             escaped; an empty text leaves its cell as it is
    returns  the file; with no cells, exactly `log.source`
    raises   ValueError for a cell that is not of this log, or that a person has filled in
    """
    known = {cell for table in log.checkpoint_tables for row in table.rows for cell in row.cells}
    pieces: list[bytes] = []
    done_byte = 0
    for cell in sorted(cells, key=lambda cell: cell.start_byte):
        if cell not in known:
            raise ValueError(f"line {cell.line} of {log.where} has no such checkpoint cell")
        if not cell.is_open:
            raise ValueError(f"line {cell.line} of {log.where}: the cell {cell.column} is already filled in")
        text = _escaped(cells[cell])
        if text:
            width = len(log.source[cell.start_byte : cell.end_byte].decode())  # kept, so that columns stay aligned
            pieces += [log.source[done_byte : cell.start_byte], f" {text} ".ljust(width).encode()]
            done_byte = cell.end_byte
    return b"".join([*pieces, log.source[done_byte:]])


def _escaped(text: str) -> str:
    one_line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    for plain, safe in (("&", "&amp;"), ("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("`", "\\`"), ("*", "\\*")):
        one_line = one_line.replace(plain, safe)
    return one_line
