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
@click.option(
    "--parquet", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder."
)
def export(settings: Settings, snapshot: str | None, folder: Path) -> int:
    """Write the documents of a snapshot to Parquet, a folder per table and day. Texts are not in it."""
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        written = store.frame(store.snapshot(snapshot, settings.deployment)).write_parquet(folder)
    for view, documents in written.items():
        output.write(f"{count(documents, 'document')}  {visible(str(folder / view))}")
    return EXIT_OK
