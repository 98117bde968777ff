"""Loads spools before the store is opened for them: into Parquet files, which the store takes in far less time.

Reading JSON and hashing texts is most of a load, and DuckDB needs neither Python nor the store for it. So while pages
come in and are checked, those before them are typed and reduced beside it, and other programs can use the store. The
files lie with the spools; a spool that was loaded is removed, and its texts with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import duckdb

from analyzer.convex.beside import Beside
from analyzer.convex.spools import create
from analyzer.model import TextFingerprint
from analyzer.store import connection
from analyzer.store.columns import revision_table
from analyzer.store.incoming import IncomingTable, explaining, select_incoming


class Preloading:
    """Loads one spool after the other, beside whoever makes them. Use as a context manager."""

    def __init__(self, folder: Path, fingerprints: Sequence[TextFingerprint], *, keep_text: bool) -> None:
        """Prepare; nothing is loaded yet.

        folder  where what does not fit into memory waits
        """
        self._folder, self._fingerprints, self._keep_text = folder, fingerprints, keep_text
        self._duck: duckdb.DuckDBPyConnection | None = None  # opened when it is needed
        self._last: Beside[Path] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, incoming: IncomingTable, first_row: int) -> Beside[Path]:
        """Begin to load a numbered spool; its outcome is the file, whose `revision_no` is the number of a row.

        first_row  the number of the first row
        raises     SourceInvalid, StoreError when its outcome is asked for, see `explaining`
        """
        before = self._last
        self._last = Beside(lambda: self._load(incoming, first_row, before))
        return self._last

    def close(self) -> None:
        """Break off what is being loaded."""
        if self._last is None:
            return
        if self._duck is not None:
            self._duck.interrupt()
        self._last.wait()
        if self._duck is not None:
            self._duck.close()
        self._duck, self._last = None, None

    def _load(self, incoming: IncomingTable, first_row: int, before: Beside[Path] | None) -> Path:
        if before is not None:
            before.result()  # one at a time: a core for it, and one for who checks pages
        if self._duck is None:
            self._duck = connection.open_in_memory(self._folder)
        table = incoming.table
        kind = revision_table(table.component, table.name)
        own = [f for f in self._fingerprints if f.table == table.name]
        rows, params = select_incoming(incoming, kind, own, self._keep_text, first_no=first_row)
        path = incoming.spool.with_suffix(".parquet")
        with explaining(incoming):
            create(path).close()
            how = "format parquet, use_tmp_file false"
            self._duck.execute(f"copy ({rows}) to $path ({how})", params | {"path": str(path)})
        incoming.spool.unlink()
        return path
