"""What becomes of one collection in the store: its moment, its documents, its snapshot. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from analyzer import __version__
from analyzer.model import DriftCount, Snapshot, TableCoverage, TableRef
from analyzer.store import catalog, minutes
from analyzer.store.differences import rebuild_ends
from analyzer.store.incoming import Collection, Moment
from analyzer.store.ingest import drop_table, load_table


def moment_of(duck: duckdb.DuckDBPyConnection, collection: Collection) -> tuple[Moment, int | None]:
    """Return where a collection stands in time, and the snapshot that stands at the very same time, if any."""
    number = catalog.record_deployment(duck, collection.info.deployment)
    taken = dict(catalog.neighbours(duck, number))
    as_of_ns = collection.as_of_ns
    while as_of_ns in taken:
        as_of_ns += 1
    return Moment(number, catalog.next_snapshot_no(duck), as_of_ns), taken.get(collection.as_of_ns)


def load(
    duck: duckdb.DuckDBPyConnection, moment: Moment, collection: Collection
) -> tuple[list[TableCoverage], list[DriftCount]]:
    """Store the documents of a collection; returns what each table holds now, and values that nobody knows."""
    coverage: list[TableCoverage] = []
    statuses: list[DriftCount] = []
    for incoming in collection.tables:
        later = catalog.next_covering(duck, moment.deployment_no, moment.as_of_ns, incoming.table)
        covered, unknown = load_table(duck, incoming, moment, collection, next_snapshot=later)
        if collection.loaded is not None:
            collection.loaded(incoming.spools)
        coverage.append(covered)
        statuses += unknown
    if collection.tables_are_complete:
        coverage += drop_missing(duck, moment, {c.table for c in coverage})
    return coverage, statuses


def drop_missing(duck: duckdb.DuckDBPyConnection, moment: Moment, present: set[TableRef]) -> list[TableCoverage]:
    """Record tables that earlier snapshots had and this complete listing has not."""
    names = {(table.component, table.name) for table in present}
    rows = duck.execute(
        """select distinct c.component, c.table_name
        from coverage as c join snapshot as s on s.snapshot_no = c.snapshot_no
        where s.deployment_no = $number and s.as_of_ns < $as_of_ns and c.status = 'collected'
        order by all""",
        {"number": moment.deployment_no, "as_of_ns": moment.as_of_ns},
    ).fetchall()
    gone: list[TableCoverage] = []
    for component, name in rows:
        if (component, name) not in names:
            table = TableRef(component, name)
            later = catalog.next_covering(duck, moment.deployment_no, moment.as_of_ns, table)
            removed = drop_table(duck, table, moment, next_snapshot=later)
            if removed:
                gone.append(TableCoverage(table, "collected", 0, 0, 0, removed, "the table is gone"))
    return gone


def record(
    duck: duckdb.DuckDBPyConnection,
    collection: Collection,
    moment: Moment,
    coverage: Sequence[TableCoverage],
    drift: Sequence[DriftCount],
) -> Snapshot:
    """Record the snapshot of documents that were loaded."""
    info = collection.info
    if any(later > moment.as_of_ns for later, _ in catalog.neighbours(duck, moment.deployment_no)):
        rebuild_ends(duck)
        minutes.forget(duck, moment.deployment_no)  # later revisions were added to those that are counted
    minutes.extend(duck, moment.deployment_no)
    snapshot = Snapshot(
        id=moment.snapshot_no,
        label=collection.label or info.label,
        deployment=info.deployment,
        source_kind=info.kind,
        source_label=info.label,
        as_of_ns=moment.as_of_ns,
        time_basis=info.time_basis,
        taken_at_ms=collection.taken_at_ms,
        coverage=(*coverage, *collection.absent),
        drift=(*collection.drift, *drift),
        flags=info.flags,
        warnings=info.warnings,
        text_fingerprints=tuple(fingerprint.id for fingerprint in collection.fingerprints),
    )
    catalog.record_snapshot(duck, snapshot, moment.deployment_no, info, __version__)
    return snapshot
