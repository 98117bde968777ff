"""Files that a purge is answered for with: private, never replaced, on the disk before anything happens."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from analyzer.errors import GuardRefused

PRIVATE = 0o600


def create(path: Path, content: bytes) -> None:
    """Write a new file, mode 0600, and wait until it is on the disk.

    raises  FileExistsError
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def publish(path: Path, content: bytes) -> None:
    """Write a new file that is there whole or not at all, whatever happens meanwhile.

    raises  FileExistsError
    """
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    create(part, content)
    try:
        os.link(part, path)
    finally:
        part.unlink()
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a file at once: whoever reads it sees the old content or the new."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    create(part, content)
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the hash of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends.

    raises  GuardRefused when another process holds it
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GuardRefused(
                f"guard another purge: wanted none running, found one that works on {what}",
                hint="wait until it is done; nothing was changed",
            ) from None
        yield
    finally:
        os.close(descriptor)
