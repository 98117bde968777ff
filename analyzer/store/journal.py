"""What a checkpoint of DuckDB writes over, kept beside the store until the checkpoint is done.

DuckDB brings changes into the file by a checkpoint: new blocks first, and at last a header that leads to them. Blocks
of metadata, however, are written over where they lie while the old header still leads to them; a process that is
killed, or a disk that is full, in the middle of such a block leaves a file that nobody can open. So whoever opens a
store for writing puts its headers and blocks of metadata aside, and takes them away when the checkpoint is done.
Whoever opens a store and finds them puts the blocks back, where the headers are still the same. This is the rollback
journal of SQLite (https://www.sqlite.org/atomiccommit.html, section 3), for the few blocks that need one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import duckdb

from analyzer.errors import StoreError
from analyzer.store.copies import PRIVATE, sync

HEADERS_BYTES = 3 * 4096  # the file's own header and two that checkpoints write in turn; blocks begin behind them
PREFACE = struct.Struct("<8sQQQ")  # what this is, the store's inode, bytes of a block, number of blocks
MAGIC = b"kept-1\r\n"

_open: dict[Path, Journal] = {}  # the stores that this process has open for writing


class _Kept(NamedTuple):
    """What a journal holds: as much as is needed to know the file again, and to put it back."""

    inode: int
    headers: bytes
    blocks: Mapping[int, bytes]  # by number


class Journal:
    """The journal of one store that is open for writing.

    It reads the file through a descriptor that stays open for as long as DuckDB has the file: closing it would drop the
    lock that DuckDB holds.
    """

    def __init__(self, path: Path, duck: duckdb.DuckDBPyConnection) -> None:
        self._path, self._duck = path, duck
        self._descriptor = os.open(path, os.O_RDONLY)
        self._headers = b""

    @classmethod
    def begin(cls, path: Path, duck: duckdb.DuckDBPyConnection) -> Self:
        """Put aside what the next checkpoint may write over. `duck` has the store open for writing."""
        begun = cls(path, duck)
        _open[path.resolve()] = begun
        begun.renew()
        return begun

    def renew(self) -> None:
        """Put aside what the next checkpoint may write over, where there was one since. Call it before each commit.

        raises  StoreError when that cannot be written
        """
        headers = os.pread(self._descriptor, HEADERS_BYTES, 0)
        if headers == self._headers:
            return
        size = self._number("select block_size from pragma_database_size() limit 1")
        rows = self._duck.execute("select distinct block_id from pragma_metadata_info() order by 1").fetchall()
        blocks = {number: os.pread(self._descriptor, size, HEADERS_BYTES + number * size) for (number,) in rows}
        try:
            _write(journal_of(self._path), _Kept(os.fstat(self._descriptor).st_ino, headers, blocks))
        except OSError as error:
            raise StoreError(
                f"cannot write {self._path}: {error.strerror or error}",
                hint="make room, and start again; the store is as it was",
            ) from None
        self._headers = headers

    def end(self) -> None:
        """Bring what was committed into the file, take the journal away, and close the store."""
        try:
            with contextlib.suppress(duckdb.Error, StoreError):  # it waits in the log, and the journal stays with it
                if log_of(self._path).exists():
                    self.renew()
                    self._duck.execute("checkpoint")
                journal_of(self._path).unlink(missing_ok=True)
        finally:
            self._duck.close()
            os.close(self._descriptor)
            del _open[self._path.resolve()]

    def _number(self, question: str) -> int:
        row = self._duck.execute(question).fetchone()
        assert row is not None
        return int(row[0])


def journal_of(path: Path) -> Path:
    """Return where the journal of a store lies while somebody writes to the store, or was killed at it."""
    return path.with_name(f"{path.name}.kept")


def log_of(path: Path) -> Path:
    """Return where DuckDB writes down what is committed and not in the file yet."""
    return path.with_name(f"{path.name}.wal")


def of_this_process(path: Path) -> Journal | None:
    """Return the journal of a store that this process has open for writing."""
    return _open.get(path.resolve())


def restore(path: Path) -> None:
    """Put back what a checkpoint that was cut off wrote over. Does nothing while somebody holds the store.

    raises  StoreError when it has to be put back, and this user may not
    """
    found = None if of_this_process(path) else _read(journal_of(path))
    if found is None:
        return
    try:
        descriptor = os.open(path, os.O_RDWR)
    except PermissionError:
        with path.open("rb") as file:
            if file.read(HEADERS_BYTES) != found.headers:
                return  # the checkpoint was done
        raise StoreError(
            f"a process that wrote to {path} was killed, and left it half-written",
            hint="whoever may write it mends it by `analyzer store repair`",
        ) from None
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # it is the journal of whoever holds the store
        is_same = os.fstat(descriptor).st_ino == found.inode
        if is_same and os.pread(descriptor, HEADERS_BYTES, 0) == found.headers:
            for number, block in found.blocks.items():
                os.pwrite(descriptor, block, HEADERS_BYTES + number * len(block))
            os.fsync(descriptor)
        journal_of(path).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _write(target: Path, kept: _Kept) -> None:
    size = len(next(iter(kept.blocks.values()), b""))
    parts = [PREFACE.pack(MAGIC, kept.inode, size, len(kept.blocks)), kept.headers]
    parts += [struct.pack("<Q", number) + block for number, block in kept.blocks.items()]
    content = b"".join(parts)
    half = target.with_name(f"{target.name}.half")
    try:
        with open(half, "wb", opener=lambda name, flags: os.open(name, flags, PRIVATE)) as file:
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
    sync(target.parent)


def _read(path: Path) -> _Kept | None:
    """Return what a journal holds; None where there is none, or it is none."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    content, digest = found[:-32], found[-32:]
    if not content.startswith(MAGIC) or hashlib.sha256(content).digest() != digest:
        return None
    _, inode, size, count = PREFACE.unpack_from(content)
    start = PREFACE.size + HEADERS_BYTES
    places = [start + position * (8 + size) for position in range(count)]
    blocks = {struct.unpack_from("<Q", content, at)[0]: content[at + 8 : at + 8 + size] for at in places}
    return _Kept(inode, content[PREFACE.size : start], blocks)
