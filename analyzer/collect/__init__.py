"""From a source to the store: decides which tables and columns are taken, checks them, and commits them at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analyzer import __version__, clock
from analyzer.convex.documents import Screened
from analyzer.convex.exported import recipe_of, screen_export
from analyzer.convex.sharing import Helper
from analyzer.convex.stretches import OutOfOrderError
from analyzer.errors import StoreError
from analyzer.model import ROOT, CollectResult, SourceInfo, TableCoverage, TableRef, TextFingerprint, TimeBasis
from analyzer.pauses import no_cycles_sought
from analyzer.sources import Source
from analyzer.store import Base, BaseOutdatedError, Collection, IncomingTable, Store, spool
from analyzer.store.columns import KNOWN, shape

Progress = Callable[[str, int, int], None]  # table, documents so far, tables still to read
Then = Callable[[Store, CollectResult], None]
NS_PER_MS = 1_000_000


def collect(
    source: Source,
    store_path: Path,
    *,
    label: str | None = None,
    keep_text: bool = False,
    fingerprints: Sequence[TextFingerprint] = (),
    progress: Progress | None = None,
    wait_s: float = 10.0,
    then: Then | None = None,
) -> CollectResult:
    """Add one complete collection of a source to a store.

    Every table is read and checked before the store is opened, so a bad source leaves the store untouched and
    readers are kept out only while the checked documents are loaded. The spool holds text; it lies in a private
    temporary folder and is gone afterwards. Of an export that follows another one of its deployment, only those
    stretches are looked at that the other did not hold.

    label         what people call the snapshot; default: the source's own label
    fingerprints  patterns that rules look for in text, judged on arrival
    then          what else to do with the snapshot, kept already, while the store is open
    raises        SourceInvalid for bad input; StoreError when the store is in use
    """
    started_ms = clock.now_ms()
    keeping = _Keeping(label, keep_text, fingerprints, then)
    base = _base(source, store_path, wait_s)
    try:
        return _collect(source, store_path, keeping, base, started_ms=started_ms, progress=progress, wait_s=wait_s)
    except (OutOfOrderError, BaseOutdatedError):  # read whole, it says by itself what it is
        return _collect(source, store_path, keeping, Base(), started_ms=started_ms, progress=progress, wait_s=wait_s)


@dataclass(frozen=True, slots=True)
class _Keeping:
    """What to keep, under which name, and what comes of it."""

    label: str | None
    keep_text: bool
    fingerprints: Sequence[TextFingerprint]
    then: Then | None


def _base(source: Source, store_path: Path, wait_s: float) -> Base:
    """Return what the store knows of the export before this one; nothing where it cannot be asked."""
    if not store_path.exists():
        return Base()
    try:
        with Store.read(store_path, wait_s=wait_s) as store:
            return store.base(source.info.deployment.name, source.info.source_time_ns)
    except StoreError:  # an older schema, another program's file, a writer: whoever writes says so
        return Base()


def _collect(
    source: Source,
    store_path: Path,
    keeping: _Keeping,
    base: Base,
    *,
    started_ms: int,
    progress: Progress | None,
    wait_s: float,
) -> CollectResult:
    with spool.folder() as folder, spool.Removing() as removing:
        with no_cycles_sought():
            screened = _screen_all(source, folder, keeping, base, progress)
        as_of_ns, basis = _source_time(source.info, screened, started_ms)
        info = replace(source.info, time_basis=basis)
        with Store.write(store_path, wait_s=wait_s) as store:
            result = store.ingest(
                Collection(
                    info=info,
                    tables=[_incoming(s, source, base) for s in screened],
                    as_of_ns=as_of_ns,
                    taken_at_ms=started_ms,
                    label=keeping.label,
                    drift=[item for s in screened for item in s.drift],
                    absent=absent(source.tables(), lists_all_tables=source.lists_all_tables),
                    tables_are_complete=source.lists_all_tables,
                    fingerprints=keeping.fingerprints,
                    keep_text=keeping.keep_text,
                    loaded=removing.remove,
                    base=base.snapshot_no,
                )
            )
            if keeping.then is not None:
                keeping.then(store, result)
            return result


def _incoming(screened: Screened, source: Source, base: Base) -> IncomingTable:
    table = screened.table
    known = base.stretches.get((table.component, table.name), ())
    return IncomingTable(
        table,
        screened.documents,
        screened.spool,
        source.where(table),
        longest_bytes=screened.longest_bytes,
        is_in_order=screened.is_in_order,
        spooled_documents=screened.spooled_documents,
        gaps=screened.gaps,
        is_numbered=True,
        base_documents=sum(stretch.documents for stretch in known),
        stretches=screened.stretches,
        more_spools=screened.more_spools,
    )


def _screen_all(
    source: Source, folder: Path, keeping: _Keeping, base: Base, progress: Progress | None
) -> list[Screened]:
    tables = source.tables()
    screened = []
    with Helper(folder) as helper:
        for position, table in enumerate(tables):
            spool_dir = folder / str(position)  # a folder a table: table names are not file names
            spool_dir.mkdir(mode=0o700)
            form = shape(table.component, table.name)
            with source.open_table(table) as stream:
                screened.append(
                    screen_export(
                        stream,
                        table,
                        form,
                        where=source.where(table),
                        spool_dir=spool_dir,
                        keep_text=keeping.keep_text,
                        known=base.stretches.get((table.component, table.name), ()),
                        recipe=recipe_of(__version__, table, form, keeping.fingerprints, keep_text=keeping.keep_text),
                        helper=helper if helper.is_of_use() else None,
                    )
                )
            if progress is not None:
                progress(table.name, sum(s.documents for s in screened), len(tables) - position - 1)
    return screened


def _source_time(info: SourceInfo, screened: Sequence[Screened], started_ms: int) -> tuple[int, TimeBasis]:
    """Return the source's time, and what tells it.

    Where the source does not, it is the newest creation time, a lower bound; without any document, the local clock's.
    """
    if info.source_time_ns is not None:
        return info.source_time_ns, info.time_basis
    newest = [s.newest_creation_ms for s in screened if s.newest_creation_ms is not None]
    if not newest:
        return started_ms * NS_PER_MS, "local-clock"
    return math.floor(max(newest)) * NS_PER_MS, info.time_basis


def absent(tables: Iterable[TableRef], *, lists_all_tables: bool) -> list[TableCoverage]:
    """Return the app's tables that a source does not hold.

    Where the source lists all tables, one that is not there has no documents; else nobody knows what it holds, and
    health without it is unknown, not healthy.
    """
    present = {table.name for table in tables if table.component == ROOT}
    missing = [table for table in KNOWN if table.name not in present]
    if lists_all_tables:
        return [TableCoverage(table, "collected", 0, reason="the deployment has no such table") for table in missing]
    return [TableCoverage(table, "not_collected", None, reason="the source does not hold it") for table in missing]
