"""`analyzer rollout`: logs, frozen plans, looks, verdicts, and a gate for CI."""

from __future__ import annotations

from pathlib import Path

import click

from analyzer import clock
from analyzer.cli import looks, options, output
from analyzer.cli.rollout_recording import import_, start
from analyzer.cli.rollout_show import show
from analyzer.cli.rollout_watch import watch
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError

LOG = click.Path(path_type=Path, dir_okay=False)


@click.group()
def rollout() -> None:
    """Judge a rollout: did the flags change anything, and can we tell yet?

    A rollout comes from a log (import), from a plan (start), or from flags that changed between snapshots.
    """


@rollout.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.argument("log", type=LOG)
@click.option("-o", "--output", "out", type=LOG, metavar="FILE", help="Where to write it. Default: stdout.")
def fill(settings: Settings, *, log: Path, out: Path | None) -> int:
    """Write a log back with its empty checkpoint cells filled in, everything else untouched to the byte.

    Looks without a snapshot of their own are reconstructed from a later one, and say so.
    """
    from analyzer.analysis.rollout_log import read_log
    from analyzer.flows import rollout_fill, rollout_records
    from analyzer.store import Store
    from analyzer.units import count

    read = read_log(log)
    if settings.store.is_file():
        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            opened = rollout_records.open_log(store, read, settings.deployment)
            filled = rollout_fill.fill_log(store, opened, read, looks.judging(settings))
    else:
        open_rows = sum(row.is_open for table in read.checkpoint_tables for row in table.rows)
        filled = rollout_fill.Filled(read.source, 0, open_rows)
        output.narrate(f"there is no store at {settings.store}: nothing to fill in")
    if out is None:
        click.echo(filled.content, nl=False)  # bytes, as they are
    else:
        from analyzer.report.saving import save

        save(out, filled.content)
    left = f"; no snapshot reaches {count(filled.open_rows, 'checkpoint')}" if filled.open_rows else ""
    output.narrate(f"filled in {count(filled.cells, 'cell')}{left}")
    return EXIT_OK


@rollout.command()
@options.exit_zero
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.argument("label", metavar="T+1h")
@looks.rollout_id
@looks.change
@click.option("--full", is_flag=True, help="Also A/A, the same hours a week before, and each artifact rule alone.")
@options.output_format("text", "brief", "json")
def checkpoint(
    settings: Settings, *, label: str, rollout_id: int | None, change_no: int | None, full: bool, fmt: str
) -> int:
    """Judge one planned look at a change; a late one is reconstructed from a later snapshot."""
    return looks.print_report(looks.report(settings, rollout_id, change_no, label, fmt, full=full), fmt)


@rollout.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.option("--by", "actor", required=True, metavar="NAME", help="Who decides.")
@click.option("--because", required=True, metavar="REASON", help="Why.")
@click.option("--checkpoint", "label", metavar="T+1h", help="Which look. Default: the last that a snapshot reaches.")
@looks.rollout_id
@looks.change
def accept(
    settings: Settings, *, actor: str, because: str, label: str | None, rollout_id: int | None, change_no: int | None
) -> int:
    """Record that a person accepts the rollout as it stands. It never changes the verdict."""
    from analyzer.store import Store
    from analyzer.store.rollouts import StoredAcceptance

    found = looks.report(settings, rollout_id, change_no, label, "brief")
    if found.rollout is None or found.rollout.id is None:
        raise UsageError("only a recorded rollout can be accepted", hint="record it with `analyzer rollout import`")
    with Store.write(settings.store, wait_s=settings.wait_s) as store:
        said = StoredAcceptance(found.verdict.value, because, actor, clock.now_ms())
        store.rollouts.accept(found.rollout.id, said)
    output.write(f"accepted rollout {found.rollout.id}; its verdict stays {found.verdict.value} ({found.reason_code})")
    return EXIT_OK


@rollout.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@looks.rollout_id
@looks.change
@click.option("--checkpoint", "label", metavar="T+1h", help="Which look. Default: the last one that is due by now.")
@looks.on_inconclusive
@options.output_format("brief", "text", "json")
def gate(
    settings: Settings,
    *,
    rollout_id: int | None,
    change_no: int | None,
    label: str | None,
    on_inconclusive: str,
    fmt: str,
) -> int:
    """Decide for a pipeline: 0 PASS, 1 FAIL, 3 ERROR, 4 INCONCLUSIVE or INVALID, 5 NO_DATA.

    A look that is due but that no snapshot reaches is NO_DATA, however good the look before it was.
    """
    found = looks.report(settings, rollout_id, change_no, label, fmt, due_ms=clock.now_ms())
    return looks.decide(found, on_inconclusive, fmt)


for command in (import_, start, show, watch):
    rollout.add_command(command)
