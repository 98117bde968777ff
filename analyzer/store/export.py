"""Writes a frame's documents to Parquet: a folder per table, a folder per day in it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from analyzer.errors import StoreError
from analyzer.store.columns import REVISION_TABLES


def write_parquet(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Write every staging view as `<view>/day=<YYYY-MM-DD>/*.parquet`; day is the creation day in UTC.

    returns  documents written by view
    raises   StoreError when the folder is not empty or cannot be written
    """
    if folder.exists() and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty", hint="name a new folder: nothing is overwritten")
    written: dict[str, int] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in REVISION_TABLES.values():
            row = connection.execute(f"select count(*) from {kind.staging}").fetchone()
            assert row is not None
            written[kind.staging] = int(row[0])
            if written[kind.staging] == 0:
                continue
            target = str(folder / kind.staging).replace("'", "''")
            connection.execute(
                f"""copy (
                    select *, strftime(make_timestamp((creation_time_ms * 1000)::bigint), '%Y-%m-%d') as day
                    from {kind.staging} order by creation_time_ms, id
                ) to '{target}' (format parquet, partition_by (day))"""
            )
    except (OSError, duckdb.Error) as error:
        raise StoreError(f"cannot write {folder}: {error}", hint="choose another folder") from None
    return written
