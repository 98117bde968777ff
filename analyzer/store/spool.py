"""Folders for documents on their way into the store: private, and gone afterwards, however the process ends.

A process that is killed cannot clean up, and what it leaves holds documents whole. A lock tells which folders are in
use: it ends with the process, and whoever makes the next folder removes those that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from analyzer import clock
from analyzer.convex.beside import Beside

PREFIX = "analyzer-spool-"
LOCK = ".in-use"
GRACE_MS = 60_000  # between making a folder and locking it


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for its owner alone; it is gone afterwards, and so is what killed processes left."""
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        descriptor = os.open(Path(name) / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


class Removing:
    """Removes spools as soon as they are loaded, beside whoever goes on. Use as a context manager.

    To let go of a large file takes longer than a small command, and a store that commits waits for the disk.
    """

    def __init__(self) -> None:
        self._under_way: list[Beside[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for removal in self._under_way:
            removal.wait()  # what could not be removed goes with its folder, or that says why not

    def remove(self, paths: Sequence[Path]) -> None:
        """Begin to remove files that nobody reads any more."""
        self._under_way.append(Beside(lambda: _unlink(paths)))


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def sweep() -> int:
    """Remove the folders that killed processes of this user left; returns how many."""
    removed = 0
    for found in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_abandoned(found):
            shutil.rmtree(found, ignore_errors=True)
            removed += not found.exists()
    return removed


def _is_abandoned(found: Path) -> bool:
    try:
        told = found.lstat()
    except OSError:  # its owner was faster
        return False
    if found.is_symlink() or told.st_uid != os.getuid():
        return False
    try:
        descriptor = os.open(found / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return clock.now_ms() - told.st_mtime * 1000 > GRACE_MS
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return clock.now_ms() - told.st_mtime * 1000 > GRACE_MS
    finally:
        os.close(descriptor)
