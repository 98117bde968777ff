"""`analyzer store`: prove the store, mend what is derived, and remove for good what must not be kept."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_OK
from analyzer.units import visible

if TYPE_CHECKING:
    from analyzer.flows.forgetting import Rehearsal


@click.group()
def store() -> None:
    """Prove the store, mend what is derived, remove for good what must not be kept."""


@store.command()
@options.settings("db", "wait")
@options.output_format("text", "json")
def check(*, settings: Settings, fmt: str) -> int:
    """Prove that the store holds what it says. Changes nothing.

    Works out again what is kept twice: how many documents each snapshot holds, from when to when each revision is in
    force, the hashes of kept text; opens every snapshot as the other commands do; looks for reads that stand half,
    numbers given twice, and files that others may read. Each fault is one line, with what to do. Exit code 1: faults.
    """
    from analyzer.store import checking

    found = checking.problems_of(settings.store, wait_s=settings.wait_s)
    if fmt == "json":
        output.write_json(
            {"schema": "store-check/1", "checks": list(checking.CHECKS), "problems": [asdict(p) for p in found]}
        )
    else:
        for problem in found:
            output.write(f"{problem.check}: {problem.what}\n  > {visible(problem.remedy)}")
        if not found:
            output.write(f"{visible(str(settings.store))}: {len(checking.CHECKS)} checks, nothing wrong")
    return EXIT_BAD if found else EXIT_OK


@store.command()
@options.settings("db", "wait")
def repair(*, settings: Settings) -> int:
    """Mend what can be worked out from the rest, in one transaction; bring an older store up to date.

    What was collected is never touched. Exit code 1: something is wrong that this cannot mend; it is listed.
    """
    from analyzer.store import repairing

    made = repairing.repair(settings.store, wait_s=settings.wait_s)
    for line in made.done or ("nothing to mend",):
        output.write(visible(line))
    for problem in made.left:
        output.write(f"cannot be mended: {problem.check}: {problem.what}\n  > {visible(problem.remedy)}")
    return EXIT_BAD if made.left else EXIT_OK


@store.command()
@click.option("--task", "tasks", multiple=True, metavar="ID", help="A task and all that belongs to it.")
@click.option(
    "--user", "users", multiple=True, metavar="ID", help="A user, their tasks, and all that belongs to these."
)
@click.option("--text", "is_text", is_flag=True, help="Every text that --keep-text kept, of all documents.")
@click.option("--confirm", metavar="STRING", help="The confirmation that the rehearsal shows, for scripts.")
@click.option("--dry-run", is_flag=True, help="Say what would go and what is out of reach; change nothing.")
@options.settings("db", "wait")
def forget(
    *,
    settings: Settings,
    tasks: tuple[str, ...],
    users: tuple[str, ...],
    is_text: bool,
    confirm: str | None,
    dry_run: bool,
) -> int:
    """Remove a task, a user or all kept text from what was collected, for good. Touches no deployment.

    All revisions go, with every document that belongs to them, and what answers, drift, marks, receipts, rollout logs
    and the backups of purges hold of them; documents that stay and refer to them get another id there. Then the file
    is written anew, so that nothing of them is left in it. Counts of earlier snapshots say how many were forgotten.

    There is no undo. Rehearses first; the confirmation is asked for. What cannot be reached is listed: exports, reports
    and copies are yours to remove. The next live collect reads everything again, and brings back what the deployment
    still has. Killed anywhere, the store is the old one or the new one; the same command finishes it.
    """
    from analyzer import rules
    from analyzer.errors import UsageError
    from analyzer.flows import forgetting

    if not (tasks or users or is_text) or (is_text and (tasks or users)):
        raise UsageError("name what to forget: --task ID, --user ID, or --text alone")
    asked = forgetting.wanted(rules.load_all(settings.rule_files), tasks=tasks, users=users, is_text=is_text)
    rehearsed = forgetting.rehearse(settings.store, asked, wait_s=settings.wait_s)
    if rehearsed.is_empty:
        output.write("nothing of it is in the store, nor in the backups that it knows of")
        return EXIT_OK
    rehearsal = f"{_forgetting(rehearsed, is_done=False)}\nto confirm: {rehearsed.found.confirm}"
    if dry_run:
        output.write(rehearsal)
        return EXIT_OK
    output.narrate(rehearsal)
    typed = confirm
    if typed is None and output.is_terminal(sys.stdin):
        typed = click.prompt("type the confirmation to forget", err=True)
    forgetting.forget(settings.store, asked, rehearsed, typed, wait_s=settings.wait_s)
    output.write(_forgetting(rehearsed, is_done=True))
    return EXIT_OK


def _forgetting(told: Rehearsal, *, is_done: bool) -> str:
    from analyzer.report import store_text

    backups = {str(path): len(ids) for path, ids in told.backups.items()}
    found = told.found
    return store_text.forgetting(
        found.documents, found.kept_texts, backups, told.beside, told.out_of_reach, is_done=is_done
    )
