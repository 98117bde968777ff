"""`analyzer store`: prove the store, mend what is derived, and remove for good what must not be kept."""

from __future__ import annotations

from dataclasses import asdict

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_OK
from analyzer.units import visible


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
