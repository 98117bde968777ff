"""`analyzer export`: a snapshot's documents as Parquet, for other engines."""

from __future__ import annotations

from pathlib import Path

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK
from analyzer.units import count, visible


@click.command()
@options.settings("db", "deployment", "wait")
@options.snapshot
@options.at
@click.option(
    "--parquet", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder."
)
def export(settings: Settings, snapshot: str | None, at_ms: int | None, folder: Path) -> int:
    """Write a snapshot to Parquet for `analyzer query --engine spark`: a folder per table, and per day in it.

    It holds every revision up to the snapshot, those in force at the clock apart, and what the rules select. Free text
    is in it only where the store keeps it.
    """
    from analyzer.cli.query_params import judging
    from analyzer.flows import querying
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        frame = store.frame(store.snapshot(snapshot, settings.deployment), at_ms)
        manifest = querying.export(frame, folder, judging(settings))
    for name, table in manifest.tables.items():
        output.write(f"{count(table.row_count, 'row')}  {visible(str(folder / name))}")
    return EXIT_OK
