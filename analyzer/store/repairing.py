"""Works out again what is derived, and takes away what a killed process left. Never touches what was collected."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analyzer.errors import StoreError
from analyzer.store import checking, connection, copies, staged
from analyzer.store.checking import Problem
from analyzer.store.columns import REVISION_TABLES
from analyzer.store.differences import rebuild_ends


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did."""

    done: tuple[str, ...]  # one sentence each
    left: tuple[Problem, ...]  # what it cannot mend


def repair(path: Path, *, wait_s: float = 10.0) -> Repaired:
    """Bring a store up to date, and mend in one transaction what can be worked out from the rest.

    raises  StoreError when there is no store, it is in use, or it cannot be written
    """
    if not path.is_file():
        raise StoreError(f"there is no store at {path}", hint="`analyzer collect EXPORT` makes one")
    done = []
    duck, older = connection.open_older_for_writing(path, wait_s)
    try:
        if older:
            kept = connection.copy_before_migration(path).name
            done.append(f"brought from schema {older} to {connection.SCHEMA_VERSION}; as it was: {kept}")
        if copies.workshop_of(path).exists():
            shutil.rmtree(copies.workshop_of(path))
            done.append(f"removed {copies.workshop_of(path).name}, left by a process that was killed")
        before = checking.problems_in(duck)
        wrong = [name for name in DERIVED if any(problem.check == name for problem in before)]
        duck.execute("begin")
        for name in wrong:
            DERIVED[name](duck)
            done.append(f"{name}: worked out again")
        duck.execute("commit")
        return Repaired(tuple(done), checking.problems_in(duck) if wrong else before)
    finally:
        connection.close(duck, path)


def _renumber(duck: duckdb.DuckDBPyConnection) -> None:
    """Let the next revision get a number that is free."""
    kinds = [name for kind in REVISION_TABLES.values() for name in (kind.name, staged.staged_name(kind))]
    parts = " union all ".join(f"select max(revision_no) as last from {name}" for name in kinds)
    row = duck.execute(f"select coalesce(max(last), 0) + 1 from ({parts})").fetchone()
    assert row is not None
    duck.execute(f"create or replace sequence revision_no start {int(row[0])}")


def _drop_half_reads(duck: duckdb.DuckDBPyConnection) -> None:
    """Drop what waits of live reads: the next one begins anew."""
    for kind in REVISION_TABLES.values():
        duck.execute(f"delete from {staged.staged_name(kind)}")
    for table in ("sync", "sync_truncate", "sync_drift", "log_position"):
        duck.execute(f"delete from {table}")


def _drop_what_is_for_speed(duck: duckdb.DuckDBPyConnection) -> None:
    for table in ("remembered", "remembered_artifact", "export_stretch", "counted_minute"):
        duck.execute(f"delete from {table}")


# By the check that finds it wrong.
DERIVED: Mapping[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    "intervals": rebuild_ends,
    "numbers": _renumber,
    "cursors": _drop_half_reads,
    "derived": _drop_what_is_for_speed,
}
