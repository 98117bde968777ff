"""Blocks to a whole log: each kind of block goes to its reader, and every line gets its note."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analyzer.analysis.rollout_log import tables
from analyzer.analysis.rollout_log.context import Context
from analyzer.analysis.rollout_log.fields import add_commands, read_field, read_item, read_text
from analyzer.analysis.rollout_log.headings import read_heading
from analyzer.analysis.rollout_log.scan import Block, Code, Comment, Field, Heading, Item, Plain, Table, Text
from analyzer.analysis.rollout_log.types import LineNote
from analyzer.analysis.rollout_log.values import offset_minutes
from analyzer.analysis.rollout_log.whole import Reference, RolloutLog


def build(
    where: str, source: bytes, lines: Sequence[str], starts: Sequence[int], blocks: Iterable[Block]
) -> RolloutLog:
    """Read all blocks of a log.

    lines, starts  the text of each line without its end, and the byte at which it begins in source
    """
    kept = list(blocks)
    context = Context(lines, starts, _log_offset(kept))
    for block in kept:
        if not isinstance(block, Text):
            context.flow = None
        _read(context, block)
    sections = [section for section in context.sections if section.kind != "other" or section.holds_something]
    notes = context.notes
    return RolloutLog(
        where=where,
        title=context.title,
        deployment_url=context.url,
        started=context.started,
        total_phases=context.total_phases,
        utc_offset_minutes=context.offset_minutes,
        sections=tuple(section.final_section() for section in sections),
        known_issues=tuple(issue.final() for issue in context.issues),
        references=tuple(Reference(title, tuple(found), line) for title, found, line in context.references),
        rollback=tuple(context.rollback),
        lines=tuple(notes.get(line) or LineNote(line, "blank", True, "") for line in range(1, len(lines) + 1)),
        source=source,
    )


def _read(context: Context, block: Block) -> None:
    match block:
        case Heading():
            read_heading(context, block)
        case Field():
            read_field(context, block)
        case Item():
            read_item(context, block)
        case Text():
            read_text(context, block)
        case Table():
            _read_table(context, block)
        case Code():
            _read_code(context, block)
        case Comment():
            _read_comment(context, block)
        case Plain():
            context.put([LineNote(block.line, block.kind, block.understood, block.why)])


def _log_offset(blocks: Sequence[Block]) -> int | None:
    """Find the offset of the log: of the line that says when it started, else of the first time that has one."""
    fields = [block for block in blocks if isinstance(block, Field)]
    first = [block for block in fields if block.key.lower().startswith("start")]
    return next((found for block in [*first, *fields] if (found := offset_minutes(block.value)) is not None), None)


def _read_table(context: Context, block: Table) -> None:
    context.took(block.line + 1, "table", "the line under the header")
    if not block.rows:
        context.missed(block.line, "table", "a table without rows")
    elif tables.is_checkpoint_table(block):
        phase = context.section.number if context.section.kind == "phase" else ""
        table, notes = tables.checkpoint_table(block, phase, context.lines, context.starts)
        context.section.checkpoint_tables.append(table)
        context.took(block.line, "checkpoint", f"{len(table.rows)} checkpoints")
        context.put(notes)
    elif tables.is_metric_table(block):
        found, notes = tables.metric_tables(block, context.heading)
        context.holder.metric_tables.extend(found)
        context.took(block.line, "metric", "metrics: " + ", ".join(table.column for table in found))
        context.put(notes)
    else:
        why = f"a table of no known kind; its first column is “{block.header[0].text}”, not Metric or Checkpoint"
        context.put(LineNote(line, "table", False, why) for line in (block.line, *(line for line, _ in block.rows)))


def _read_code(context: Context, block: Code) -> None:
    if not block.closed:
        why = f"the code fence opened in line {block.line} is never closed, so everything below it is code"
        context.put(LineNote(line, "code", False, why) for line in (block.line, *(line for line, _ in block.body)))
        return
    if tables.is_json(block):
        state, notes = tables.flag_state(block)
        context.holder.flag_states.extend([state] if state else [])
    elif tables.is_commands(block):
        commands, notes = tables.commands(block)
        add_commands(context, commands)
    else:
        why = (
            f"a code block of “{block.info}” is not read"
            if block.info
            else "a code block that is no JSON and no commands"
        )
        notes = [LineNote(line, "code", False, why) for line in (block.line, *(line for line, _ in block.body))]
    context.put(notes)
    context.took(block.line + len(block.body) + 1, "code", "the end of the block")


def _read_comment(context: Context, block: Comment) -> None:
    why = (
        "an HTML comment" if block.closed else "an HTML comment that is never closed, so everything below it is hidden"
    )
    context.put(LineNote(line, "comment", block.closed, why) for line in range(block.line, block.last_line + 1))
