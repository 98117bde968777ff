"""Forgets tasks, users or kept texts for good: the file is written anew, so that no byte of them is left in it.

The store is copied, the copy changed, and what is left of it copied once more, because deleted rows stay in a file
until it is written anew. The second copy is proven, then takes the store's name: whoever looks sees the old store or
the new one, whole, whatever happens in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from analyzer import clock
from analyzer.errors import StoreError
from analyzer.store import checking, connection, copies, stretches
from analyzer.store import forgotten_rows as rows
from analyzer.store.journal import log_of
from analyzer.store.masking import Matcher
from analyzer.store.receipts import Receipts

SETTLE_S = 0.1  # how long the old file stays locked after it lost its name, for whoever had just opened it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten."""

    tasks: tuple[str, ...] = ()  # ids
    users: tuple[str, ...] = ()
    is_text: bool = False  # every kept text
    edges: rows.Edges = ()  # table, field, the table it names: its documents belong to those


@dataclass(frozen=True, slots=True)
class Found:
    """What a store holds of it."""

    documents: Mapping[str, int]  # by table
    ids: tuple[str, ...]
    texts: tuple[str, ...]  # addresses, names, titles, kept texts that only these documents have
    kept_texts: int  # documents whose text, or a further field, was kept
    still_there: Mapping[str, int]  # deployments, and how many of the documents they still had when last looked at
    receipts: tuple[Mapping[str, Any], ...]  # of purges, every one

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to forget in the store."""
        return not self.documents and not self.kept_texts

    @property
    def confirm(self) -> str:
        """Return what has to be typed: what, how many, and six hex digits that stand for exactly these."""
        number = sum(self.documents.values()) or self.kept_texts
        digits = hashlib.sha256("\n".join((*self.ids, str(self.kept_texts))).encode()).hexdigest()[:6]
        return f"forget/{number}/{digits}"


def find(path: Path, wanted: Wanted, *, wait_s: float = 10.0) -> Found:
    """Look what a store holds; changes nothing.

    raises  StoreError
    """
    duck = connection.open_for_reading(path, wait_s)
    try:
        return _find(duck, wanted)
    finally:
        connection.close(duck, path)


def forget(
    path: Path,
    wanted: Wanted,
    confirmed: Found,
    matcher: Matcher,
    receipts: Sequence[Mapping[str, Any]] = (),
    *,
    wait_s: float = 10.0,
) -> None:
    """Write a store anew without what was found. Its copies from before a migration go as well.

    receipts  newer versions of receipts that the store holds
    raises  StoreError when it cannot be done, or the store changed since it was looked at; it is then as it was
    """
    duck = connection.open_for_writing(path, wait_s)
    try:
        if _find(duck, wanted).confirm != confirmed.confirm:
            raise _changed(path)
        with copies.workshop(path) as folder:
            made = _made_anew(duck, folder, wanted, matcher, receipts)
            duck.execute("checkpoint")
            told = path.stat()
            duck.close()
            with _held(path, told):
                shutil.rmtree(connection.spill_folder(path), ignore_errors=True)
                for older in _beside(path):  # before the store, which alone knows what is to be forgotten
                    shutil.rmtree(older) if older.is_dir() else older.unlink()
                made.replace(path)
                copies.sync(path.parent)
                clock.sleep_s(SETTLE_S)
    except duckdb.Error as error:
        raise StoreError(
            f"{path} cannot be written anew: {str(error).splitlines()[0][:200]}", hint="nothing was changed"
        ) from None
    finally:
        connection.close(duck, path)


def _find(duck: duckdb.DuckDBPyConnection, wanted: Wanted) -> Found:
    rows.gather(duck, wanted.tasks, wanted.users, wanted.edges)
    return Found(
        documents=rows.counts(duck),
        ids=tuple(rows.ids_of(duck)),
        texts=tuple(rows.telling_texts(duck)),
        kept_texts=rows.kept_texts(duck) if wanted.is_text else 0,
        still_there=rows.still_there(duck),
        receipts=tuple(Receipts(duck).all()),
    )


def _made_anew(
    duck: duckdb.DuckDBPyConnection,
    folder: Path,
    wanted: Wanted,
    matcher: Matcher,
    receipts: Sequence[Mapping[str, Any]],
) -> Path:
    """Return a proven copy of the store without what is to be forgotten."""
    before = {(problem.check, problem.what) for problem in checking.problems_in(duck)}
    first, second = folder / "first.duckdb", folder / "second.duckdb"
    copies.copy_into(duck, first)
    with _opened(first) as copied:
        rows.gather(copied, wanted.tasks, wanted.users, wanted.edges)
        for receipt in receipts:
            Receipts(copied).keep(receipt)
        copied.execute("begin")
        stretches.forget(copied)
        if wanted.is_text:
            rows.remove_texts(copied)
        else:
            rows.remove_documents(copied, matcher)
        copied.execute("commit")
        copies.copy_into(copied, second)
    first.unlink()
    with _opened(second) as made:
        wrong = [p for p in checking.problems_in(made) if (p.check, p.what) not in before]
    if wrong:
        raise StoreError(
            f"the store would not be whole without it: {wrong[0].check}: {wrong[0].what}",
            hint="`analyzer store check` first; nothing was changed",
        )
    copies.sync(second)
    return second


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a copy for as long as it is needed."""
    duck = connection.open_for_writing(path, 0.0)
    try:
        yield duck
    finally:
        connection.close(duck, path)


@contextlib.contextmanager
def _held(path: Path, told: os.stat_result) -> Iterator[None]:
    """Hold a store's file as DuckDB would, so that nobody else opens it.

    told    what the file was when it was last held
    raises  StoreError when somebody was faster
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _changed(path) from None
        now = os.fstat(descriptor)
        is_same = (now.st_ino, now.st_size, now.st_mtime_ns) == (told.st_ino, told.st_size, told.st_mtime_ns)
        if not is_same or log_of(path).exists():
            raise _changed(path)
        yield
    finally:
        os.close(descriptor)


def _beside(path: Path) -> list[Path]:
    """Return the copies of a store from before a migration: they hold what was forgotten."""
    return sorted(path.parent.glob(f"{path.name}.before-schema-*"))


def beside(path: Path) -> Sequence[str]:
    """Return the names of the files that go together with the old store."""
    return [found.name for found in _beside(path)]


def _changed(path: Path) -> StoreError:
    return StoreError(f"{path} changed meanwhile", hint="nothing was changed; start again")
