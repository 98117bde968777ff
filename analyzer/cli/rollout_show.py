"""`analyzer rollout show`: a rollout held against what was collected, and how to undo it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analyzer.cli import looks, options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from analyzer.flows.rollout_records import Opened


@click.command()
@options.settings("db", "deployment", "wait")
@looks.rollout_id
@click.option("--rollback", is_flag=True, help="Print the commands that undo it, and whether that has been done.")
@click.option("--phase", metavar="NUMBER", help="With --rollback: undo this phase alone.")
@options.output_format("text", "json")
def show(settings: Settings, *, rollout_id: int | None, rollback: bool, phase: str | None, fmt: str) -> int:
    """Show a rollout held against the snapshots: flags, smoke tests, contradictions."""
    from analyzer.flows import rollout_records, rollout_state
    from analyzer.report import report_json, rollout_text
    from analyzer.store import Store

    if phase is not None and not rollback:
        raise UsageError("--phase belongs to --rollback", hint="add --rollback")
    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        opened = rollout_records.open_rollout(store, deployment=settings.deployment, rollout_id=rollout_id)
        if rollback:
            return _show_rollback(opened, phase, fmt)
        info = rollout_state.info(opened)
        tests, found = rollout_state.smoke_tests(store, opened), rollout_state.findings(store, opened)
    if fmt == "json":
        output.write_json(report_json.rollout_json(info, opened.rollout.deployment, tests, found))
    else:
        output.write(rollout_text.show(info, opened.rollout.deployment, opened.snapshots, tests, found))
    return EXIT_OK


def _show_rollback(opened: Opened, phase: str | None, fmt: str) -> int:
    from analyzer.analysis import rollout as rollouts
    from analyzer.report import rollout_text

    known = rollouts.phase_numbers(opened.rollout)
    if phase is not None and phase not in known:
        raise UsageError(f"no flag was flipped in phase {phase}", hint=f"valid: {', '.join(known) or 'none'}")
    commands = rollouts.undo_commands(opened.rollout, opened.snapshots, phase)
    states = rollouts.undo_states(opened.rollout, opened.snapshots, phase)
    if fmt == "json":
        shown = [{"flag": s.flag, "undone": s.undone, "text": s.text} for s in states]
        output.write_json({"schema": "rollback/1", "commands": list(commands), "flags": shown})
    else:
        output.write(rollout_text.rollback(commands, [state.text for state in states]))
    return EXIT_OK
