"""Proves a store: every figure that it keeps twice is worked out again, and every snapshot is opened as readers do.

Most checks are a query of queries/check/ each of whose rows is a fault. What only Python can tell is below: the form
of the tables, the snapshots through the views that everything reads, and the files beside the store.
"""

from __future__ import annotations

import functools
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analyzer import sql
from analyzer.errors import AnalyzerError
from analyzer.store import catalog, connection, copies
from analyzer.store.columns import OTHER, REVISION_TABLES
from analyzer.store.frame import Frame
from analyzer.units import visible

REBUILD = "`analyzer store repair` works it out again"
DROP = "`analyzer store repair` drops it: it is kept for speed alone"
COLLECT_ALL = "the next live collect must read everything: `analyzer store repair` drops what waits"
RECOLLECT = "no command mends what was collected: take an earlier copy of the store, or collect into a new one"
LATEST_MS = 2**62 // 1_000_000
SHOWN = 20  # faults of one check that are named; of the others there is the number


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be."""

    check: str  # "intervals", see CHECKS
    what: str  # one sentence, safe to print
    remedy: str  # what to do


# In the order in which they run: what the first find explains what the later ones find.
QUERIES: Mapping[str, str] = {
    "snapshots": RECOLLECT,
    "revisions": RECOLLECT,
    "numbers": RECOLLECT,
    "intervals": REBUILD,
    "counts": RECOLLECT,
    "derived": DROP,
    "leftovers": RECOLLECT,
    "texts": RECOLLECT,
    "cursors": COLLECT_ALL,
    "observed": RECOLLECT,
    "records": RECOLLECT,
}
_PARAMS = {
    "revisions": {"typed": [f"{table} {kind.name}" for table, kind in REVISION_TABLES.items() if table != OTHER]},
}
CHECKS = ("schema", *QUERIES, "readable", "files")


def problems_of(path: Path, *, wait_s: float = 10.0) -> tuple[Problem, ...]:
    """Check a store that nobody writes to; changes nothing.

    returns  what is wrong, in the order of CHECKS; empty for a store that is as it must be
    raises   StoreError when it cannot be opened at all
    """
    duck = connection.open_for_reading(path, wait_s)
    try:
        return (*problems_in(duck), *problems_of_files(path))
    finally:
        connection.close(duck, path)


def problems_in(duck: duckdb.DuckDBPyConnection) -> tuple[Problem, ...]:
    """Check what an open store holds; see `problems_of`."""
    found = _limited("schema", _of_schema(duck), RECOLLECT)
    if found:
        return tuple(found)  # every other check reads tables that are not as it expects
    duck.execute(f"create or replace temp view every_revision as {sql.load_text('check/every_revision')}")
    duck.execute(f"create or replace temp table check_ends as {sql.load_text('check/ends')}")
    duck.execute(f"create or replace temp table check_minutes as {sql.load_text('check/minutes')}")
    for name, remedy in QUERIES.items():
        rows = duck.execute(sql.load_text(f"check/{name}"), _PARAMS.get(name)).fetchall()
        found += _limited(name, (row[0] for row in rows), remedy)
    found += _limited("readable", _of_views(duck), RECOLLECT)
    duck.execute("drop table check_ends; drop table check_minutes")
    return tuple(found)


def _limited(check: str, found: Iterable[str], remedy: str) -> list[Problem]:
    everything = [Problem(check, visible(what), remedy) for what in found]
    if len(everything) > SHOWN:
        more = Problem(check, f"and {len(everything) - SHOWN} more of the kind", remedy)
        return [*everything[:SHOWN], more]
    return everything


def _of_schema(duck: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Compare tables, columns and types with what the files of queries/schema make."""
    wanted, held = _wanted_columns(), _columns(duck)
    for name in sorted(wanted.keys() - held.keys()):
        yield f"{name} is missing"
    for name in sorted(held.keys() - wanted.keys()):
        yield f"{name} belongs to no version of this program"
    for name in sorted(wanted.keys() & held.keys()):
        if wanted[name] != held[name]:
            yield f"{name} is {held[name]}, not {wanted[name]}"
    versions = duck.execute("select value from meta where key = 'schema_version'").fetchall()
    if len(versions) != 1:
        yield f"meta names {len(versions)} versions of the schema"


@functools.cache
def _wanted_columns() -> Mapping[str, str]:
    with duckdb.connect() as made:
        for file in sorted((sql.folder() / "schema").glob("*.sql")):
            made.execute(file.read_text(encoding="utf-8"))
        return _columns(made)


def _columns(duck: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = duck.execute(
        """select table_name || '.' || column_name, data_type from duckdb_columns()
        where not internal and database_name = current_database()"""
    ).fetchall()
    return dict(rows)


def _of_views(duck: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Open every snapshot through the views that everything reads, and count."""
    for snapshot in catalog.read_snapshots(duck, None):
        number = catalog.deployment_no(duck, snapshot.deployment.name)
        if number is None:
            continue  # told by the check of snapshots
        covered = {c.table.name: c.documents for c in snapshot.coverage if not c.table.component}
        try:
            shown = Frame(duck, snapshot, number, at_ms=LATEST_MS)  # whatever a document says of when it was created
            shown.show_documents()
            for table, kind in REVISION_TABLES.items():
                row = duck.execute(f"select count(*) from {kind.staging}").fetchone()
                assert row is not None
                if table != OTHER and covered.get(table) is not None and row[0] != covered[table]:
                    yield f"snapshot {snapshot.id} shows {row[0]} documents of {table}, and says {covered[table]}"
        except (duckdb.Error, AnalyzerError) as error:
            yield f"snapshot {snapshot.id} cannot be read: {str(error).splitlines()[0][:200]}"


def problems_of_files(path: Path) -> list[Problem]:
    """Look at the files beside a store: who may read them, and what a process that was killed has left."""
    found = []
    for file in (path, connection.copy_before_migration(path)):
        if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            found.append(Problem("files", f"others may read {file.name} (mode {mode:04o})", f"chmod 600 {file}"))
    if copies.workshop_of(path).exists():
        what = f"{copies.workshop_of(path).name} is what a process that was killed has left; it may hold documents"
        found.append(Problem("files", what, "`analyzer store repair` removes it"))
    return found
