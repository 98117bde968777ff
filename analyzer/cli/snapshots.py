"""`analyzer snapshots`: what was collected, and what each snapshot covers."""

from __future__ import annotations

from dataclasses import asdict

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK


@click.group(invoke_without_command=True)
@click.pass_context
@options.settings("db", "deployment", "wait")
@options.output_format("text", "json", "csv")
def snapshots(ctx: click.Context, settings: Settings, fmt: str) -> int:
    """List what was collected, oldest source time first; `show` tells coverage and drift of one."""
    ctx.obj = settings
    if ctx.invoked_subcommand is not None:
        return EXIT_OK
    from analyzer.report import snapshots_text
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        found = store.snapshots(settings.deployment)
        if settings.deployment is not None and not found:
            store.snapshot(None, settings.deployment)  # says that it holds none of this one
    if fmt == "json":
        output.write_json({"schema": "snapshots/1", "snapshots": [snapshots_text.listed(s) for s in found]})
    elif fmt == "csv":
        rows = [tuple(snapshots_text.listed(s).values()) for s in found]
        output.write(output.csv_table(snapshots_text.LISTED, rows))
    else:
        output.write(snapshots_text.table(found))
    return EXIT_OK


@snapshots.command()
@click.argument("selector", metavar="[ID|LABEL]", required=False)
@options.settings("db", "deployment", "wait")
@options.output_format("text", "json")
def show(settings: Settings, selector: str | None, fmt: str) -> int:
    """Show what one snapshot holds of each table, and where its documents differ from what the app writes."""
    from analyzer.report import snapshots_text
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        snapshot = store.snapshot(selector, settings.deployment)
    if fmt == "json":
        output.write_json({"schema": "snapshot/1"} | asdict(snapshot))
    else:
        output.write(snapshots_text.details(snapshot))
    return EXIT_OK
