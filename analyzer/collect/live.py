"""From a live deployment to the store: pages are kept as they come, and become a snapshot when they are of one moment.

Pages are gathered into batches; a batch and the cursor behind it are kept in one transaction, so a read that is killed
goes on from the last batch. What waits is not readable; only the last step makes a snapshot of it.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from analyzer import clock
from analyzer.collect import absent
from analyzer.collect.observing import look
from analyzer.convex.documents import screen
from analyzer.errors import CursorExpired
from analyzer.model import CollectResult, DriftCount, TableRef, TextFingerprint
from analyzer.sources.live import LiveSource
from analyzer.sources.live_pages import Change, Page
from analyzer.store import Batch, Collection, CountsDisagreeError, IncomingTable, StagedTable, Store
from analyzer.store.columns import shape
from analyzer.store.looks import Position, Span
from analyzer.units import instant

BATCH_DOCUMENTS = 20_000  # kept at once: few enough to lose little, many enough that the store is rarely opened

Progress = Callable[[int], None]  # changes read so far


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How to keep what is read."""

    label: str | None = None
    keep_text: bool = False
    fingerprints: Sequence[TextFingerprint] = ()
    progress: Progress | None = None
    wait_s: float = 10.0
    batch_documents: int = BATCH_DOCUMENTS


def collect_live(source: LiveSource, store_path: Path, options: LiveOptions | None = None) -> CollectResult:
    """Add the newest consistent state of a deployment to a store, reading only what changed since the last time.

    A cursor that the deployment no longer accepts, and counts that disagree, make it read everything once again; the
    snapshot then says so.

    raises  SourceInvalid, SourceUnreachable, AccessDenied: what was kept so far waits, and the next collect goes on
    """
    options = options or LiveOptions()
    deployment = source.connection.deployment
    cursor, run = None, _Run(clock.now_ms())
    if store_path.exists():
        with Store.write(store_path, wait_s=options.wait_s) as store:
            cursor = store.sync_cursor(deployment.name)
            run.position = store.observations.position(deployment.name)
    try:
        _read(source, store_path, cursor, options)
    except CursorExpired as gone:
        if cursor is None:
            raise
        run.warnings.append(f"everything was read again: {gone}")
        _read(source, store_path, None, options)
    try:
        return _promote(source, store_path, options, run)
    except CountsDisagreeError as wrong:
        run.warnings.append(f"everything was read again: {wrong}")
        _read(source, store_path, None, options)
        return _promote(source, store_path, options, run)


def _read(source: LiveSource, store_path: Path, cursor: str | None, options: LiveOptions) -> None:
    """Keep every page up to the newest moment."""
    waiting = _Waiting()
    read = 0
    for page in source.changes(cursor):
        waiting.add(page)
        read += len(page.values)
        if options.progress is not None:
            options.progress(read)
        if waiting.documents >= options.batch_documents:
            _keep(source, store_path, waiting, options)
            waiting = _Waiting()
    _keep(source, store_path, waiting, options)


@dataclass(slots=True)
class _Waiting:
    """Pages that were read and not kept yet: of each document the newest change only."""

    newest: dict[tuple[str, str], dict[str, Change]] = field(default_factory=dict)
    truncates: dict[tuple[str, str], None] = field(default_factory=dict)
    is_fresh: bool = False
    cursor: str | None = None
    documents: int = 0

    def add(self, page: Page) -> None:
        """Take one page on."""
        if page.is_fresh:
            self.newest, self.truncates, self.is_fresh = {}, {}, True
        for place in page.truncates:
            self.newest.pop(place, None)
            self.truncates[place] = None
        for change in page.values:
            self.newest.setdefault((change.component, change.table), {})[change.id] = change
        self.cursor = page.next_cursor
        self.documents = sum(map(len, self.newest.values()))


def _keep(source: LiveSource, store_path: Path, waiting: _Waiting, options: LiveOptions) -> None:
    deployment = source.connection.deployment
    with tempfile.TemporaryDirectory(prefix="analyzer-") as folder:
        drift: list[DriftCount] = []
        tables = [
            _staged(
                place,
                changes,
                Path(folder) / str(position),
                origin=source.connection.target.origin,
                keep_text=options.keep_text,
                drift=drift,
            )
            for position, (place, changes) in enumerate(sorted(waiting.newest.items()))
        ]
        batch = Batch(
            tables=tables,
            cursor=waiting.cursor,
            is_fresh=waiting.is_fresh,
            truncates=[TableRef(*place) for place in waiting.truncates],
            drift=drift,
        )
        with Store.write(store_path, wait_s=options.wait_s) as store:
            store.keep(
                deployment,
                batch,
                kept_at_ms=clock.now_ms(),
                fingerprints=options.fingerprints,
                keep_text=options.keep_text,
            )


def _staged(
    place: tuple[str, str],
    changes: dict[str, Change],
    folder: Path,
    *,
    origin: str,
    keep_text: bool,
    drift: list[DriftCount],
) -> StagedTable:
    """Check the documents of one table line by line, as those of an export are; adds what differs to `drift`."""
    folder.mkdir(mode=0o700)
    ref = TableRef(*place)
    where = f"{origin}: {'/'.join(part for part in place if part)}"
    living = [change for change in changes.values() if change.document is not None]
    lines = b"".join(orjson.dumps(change.document) + b"\n" for change in living)
    screened = screen(io.BytesIO(lines), ref, shape(*place), where=where, spool_dir=folder, keep_text=keep_text)
    drift += screened.drift
    return StagedTable(
        incoming=IncomingTable(ref, screened.documents, screened.spool, screened.extras, where),
        times_ns={change.id: change.ts_ns for change in living},
        deleted_ns={change.id: change.ts_ns for change in changes.values() if change.document is None},
    )


@dataclass(slots=True)
class _Run:
    """One collect under way."""

    started_ms: int
    warnings: list[str] = field(default_factory=list)
    position: Position = field(default_factory=Position)  # where the last look at everything else ended


def _promote(source: LiveSource, store_path: Path, options: LiveOptions, run: _Run) -> CollectResult:
    info = source.info
    as_of_ns = info.source_time_ns
    assert as_of_ns is not None
    expected = source.counts(as_of_ns) if source.way == "deltas" else None
    seen = look(source, run.position)
    with Store.write(store_path, wait_s=options.wait_s) as store:
        gaps = store.observe(source.connection.deployment, seen.observed)
        told = (*run.warnings, *info.warnings, *seen.warnings, *map(_gap, gaps))
        result = store.promote(
            Collection(
                info=replace(info, warnings=told),
                tables=(),
                as_of_ns=as_of_ns,
                taken_at_ms=run.started_ms,
                label=options.label,
                absent=absent(source.tables(), lists_all_tables=source.lists_all_tables),
                fingerprints=options.fingerprints,
                keep_text=options.keep_text,
            ),
            source.tables(),
            expected,
        )
        return replace(result, findings=(*result.findings, *map(_gap, gaps)))


def _gap(gap: Span) -> str:
    times = f"{instant(gap.from_ms)} and {instant(gap.until_ms)}"
    return f"{gap.stream} between {times} may be missing: {gap.reason}"
