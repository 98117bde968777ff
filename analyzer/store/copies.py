"""Copies of a whole store: made beside it, private from the first byte, on the disk before they get their name.

A store that is open is never opened as a file as well: closing that would drop the lock that DuckDB holds on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from analyzer.errors import StoreError

STORAGE_VERSION = "v1.5.0"  # readable by every DuckDB this package supports
PRIVATE = 0o600


def workshop_of(path: Path) -> Path:
    """Return the folder in which copies of a store are made; left behind only by a process that was killed."""
    return path.with_name(f"{path.name}.copying")


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from making a store in a folder at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def nursery(path: Path) -> Iterator[Path]:
    """Make the folder in which a new store is made, empty. Only who is alone in the folder around it may do this."""
    folder = path.with_name(f"{path.name}.new")
    shutil.rmtree(folder, ignore_errors=True)  # what a process that was killed has left
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def workshop(path: Path) -> Iterator[Path]:
    """Make the folder for copies of a store, empty, for its owner alone. Only who holds the store may do this.

    raises  StoreError when it cannot be made
    """
    folder = workshop_of(path)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise not_written(folder, error) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_into(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write all that an open store holds to a new file, mode 0600, and wait until it is on the disk.

    What was deleted from the store is not in the copy, not even as unused bytes.

    target  in a private folder
    raises  StoreError when it cannot be written
    """
    name = str(target).replace("'", "''")
    try:
        connection.execute(f"attach '{name}' as copied (storage_version '{STORAGE_VERSION}')")
        try:
            row = connection.execute("select current_database()").fetchone()
            assert row is not None
            connection.execute(f'copy from database "{row[0]}" to copied')
            connection.execute("checkpoint copied")
        finally:
            connection.execute("detach copied")
        target.chmod(PRIVATE)
        sync(target)
    except (duckdb.Error, OSError) as error:
        raise not_written(target, error) from None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Not for a store that is open."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_written(path: Path, error: Exception) -> StoreError:
    """Return the error of a copy that cannot be made."""
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error).splitlines()[0][:200]
    return StoreError(
        f"cannot write a copy beside the store, {path.name}: {said}",
        hint="it needs as much room as the store, in the same folder; the store is as it was",
    )
