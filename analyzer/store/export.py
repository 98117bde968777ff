"""Writes a frame to Parquet, for other engines: every revision of its deployment up to its snapshot.

See `analyzer.exported` for the folder. It appears whole or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb

from analyzer.errors import StoreError
from analyzer.exported import EVIDENCE, MANIFEST, ExportedTable, Manifest
from analyzer.store.columns import OTHER, REVISION_TABLES
from analyzer.store.tables import explained

# No clock shows times beyond this; the calendar of a timestamp ends there as well.
_DAY = """case when abs(r.creation_time_ms) <= 8.64e15
    then strftime(make_timestamp((floor(r.creation_time_ms) * 1000)::bigint), '%Y-%m-%d') end"""
_SEEN = "r.deployment_no = getvariable('deployment_no') and r.revision_ns <= getvariable('as_of_ns')"


def write_parquet(
    connection: duckdb.DuckDBPyConnection, folder: Path, described: Callable[[Mapping[str, ExportedTable]], Manifest]
) -> Manifest:
    """Write every table and the manifest; files are readable by their owner alone.

    described  makes the manifest when the tables are known
    raises     StoreError when the folder is there and not empty, or cannot be written
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise StoreError(f"{folder} is there, and is no empty folder", hint="name a new folder: nothing is overwritten")
    partial = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # beside it: one file system
        manifest = described(_Writer(connection, partial).write())
        (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        for path in partial.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        partial.rename(folder)
    except (OSError, duckdb.Error) as error:
        why = explained(error) if isinstance(error, duckdb.Error) else error.strerror or str(error)
        raise StoreError(f"cannot write {folder}: {why}", hint="choose another folder") from None
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)  # gone already where all went well
    return manifest


class _Writer:
    """Writes the tables of one export into a folder."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._tables: dict[str, ExportedTable] = {}

    def write(self) -> dict[str, ExportedTable]:
        for name, kind in REVISION_TABLES.items():
            by_table = ["table_name"] if name == OTHER else []
            self._table(
                kind.name,
                f"""select r.*, {_DAY} as day,
                    r.revision_no in (select s.revision_no from {kind.staging} as s) as is_in_force
                from {kind.name} as r where {_SEEN}""",
                partitions=[*by_table, "is_in_force", "day"],
                order="day, creation_time_ms, id, revision_ns",
            )
        revisions = " union all ".join(
            f"select r.revision_no from {kind.name} as r where {_SEEN}" for kind in REVISION_TABLES.values()
        )
        self._table(
            "revision_end",
            f"select e.* from revision_end as e where e.revision_no in ({revisions})",
            order="revision_no",
        )
        self._table(
            "counted_minute",
            f"select r.* from counted_minute as r where {_SEEN}",
            order="revision_ns, table_name, status, exists_ms, judged_at_ms, since_ms",
        )
        self._table(EVIDENCE, f"select * from {EVIDENCE}", order="rule, component, table_name, id")
        return self._tables

    def _table(self, name: str, query: str, *, order: str, partitions: Sequence[str] = ()) -> None:
        described = self._connection.execute(f"describe {query}").fetchall()
        row = self._connection.execute(f"select count(*) from ({query})").fetchone()
        assert row is not None
        columns = {str(column[0]): str(column[1]) for column in described}
        self._tables[name] = ExportedTable(int(row[0]), columns, tuple(partitions))
        if row[0] == 0:
            return
        target = self._folder / name
        form = "format parquet, compression zstd"
        if partitions:
            form += f", partition_by ({', '.join(partitions)})"
        else:
            target.mkdir()
            target /= "part-0.parquet"
        place = str(target).replace("'", "''")
        self._connection.execute(f"copy (select * from ({query}) order by {order}) to '{place}' ({form})")
