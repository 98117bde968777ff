"""What a rollout log says of itself: its own tables side by side, and what they cannot show."""

from __future__ import annotations

from analyzer.analysis.rollout_log import MetricTable, RolloutLog
from analyzer.report.page import Block, Points, Table, Words
from analyzer.units import NOTHING, count

MOST_LINES = 40
NO_COUNTS = (
    "A rate without the number of documents behind it has no uncertainty that could be computed, so these tables give"
    " no verdict. They were noted by hand, at one moment each."
)


def blocks(log: RolloutLog) -> tuple[Block, ...]:
    """Return the tables of a log, its open checkpoints, its known issues, and the lines that nobody understood."""
    found: list[Block] = []
    before, after = log.baseline_metrics, log.final_metrics
    if before is not None or after is not None:
        found += [_side_by_side(before, after), Words(NO_COUNTS)]
    looks = [row for table in log.checkpoint_tables for row in table.rows]
    if looks:
        still_open = sum(row.is_open for row in looks)
        found.append(
            Words(f"{count(len(looks), 'planned look')} in the log, {count(still_open)} of them not filled in.")
        )
    if log.known_issues:
        rows = tuple((i.title, i.cause or i.text, i.impact, "; ".join(i.resolutions)) for i in log.known_issues)
        found.append(Table("Known issues", ("issue", "cause", "impact", "ways out"), rows))
    understood = len(log.lines) - len(log.unexplained)
    found.append(Words(f"{count(understood)} of {count(len(log.lines), 'line')} of {log.where} were understood."))
    if log.unexplained:
        notes = [f"line {note.line}: {note.text}" for note in log.unexplained[:MOST_LINES]]
        rest = len(log.unexplained) - len(notes)
        found.append(Points((*notes, *((f"and {count(rest)} more",) if rest else ()))))
    return tuple(found)


def _side_by_side(before: MetricTable | None, after: MetricTable | None) -> Table:
    names = {row.id: row.name for table in (before, after) if table is not None for row in table.rows}
    rows = tuple((name, _cell(before, id_), _cell(after, id_)) for id_, name in names.items())
    return Table("The log's own numbers", ("metric", _head(before, "baseline"), _head(after, "final")), rows)


def _head(table: MetricTable | None, name: str) -> str:
    return name if table is None or table.at is None else f"{name}, {table.at.text}"


def _cell(table: MetricTable | None, metric_id: str) -> str:
    row = None if table is None else table.row(metric_id)
    return NOTHING if row is None or not row.text else row.text
