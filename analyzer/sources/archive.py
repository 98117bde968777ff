"""An export, as a ZIP or unpacked, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from analyzer.convex.archive import open_archive
from analyzer.model import SourceInfo, TableRef
from analyzer.sources.identity import Named, deployment_of, named, time_of


class ArchiveSource:
    """One export. See `analyzer.sources.Source`."""

    def __init__(self, path: Path, *, deployment: str | None, taken_at_ns: int | None) -> None:
        self._archive = open_archive(path)
        name = named(path.resolve().name) or named(self._archive.lead) or Named()
        found, warnings = deployment_of(deployment, name, self._archive.tables_hash)
        time_ns, basis = time_of(taken_at_ns, name, None)
        self.lists_all_tables = self._archive.lists_all_tables
        self.info = SourceInfo(
            kind="archive",
            label=path.resolve().name,
            deployment=found,
            source_time_ns=time_ns,
            time_basis=basis,
            warnings=(*warnings, *self._archive.warnings),
        )

    def tables(self) -> Sequence[TableRef]:
        """Return the tables of the export."""
        return self._archive.tables

    def open_table(self, table: TableRef) -> BinaryIO:
        """Open a table's documents."""
        return self._archive.open_table(table)

    def where(self, table: TableRef) -> str:
        """Return what errors call a table."""
        return self._archive.where(table)

    def close(self) -> None:
        """Close the file."""
        self._archive.close()
