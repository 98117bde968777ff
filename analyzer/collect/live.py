"""From a live deployment to the store: pages are kept as they come, and become a snapshot when they are of one moment.

Pages are gathered into batches; a batch and the cursor behind it are kept in one transaction, so a read that is killed
goes on from the last batch. What waits is not readable; only the last step makes a snapshot of it, and of the last
batch with it. What the deployment forgets is read beside the pages, for most of the time is spent waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analyzer import clock
from analyzer.collect import absent
from analyzer.collect.gathering import CHUNK_DOCUMENTS, PRELOADED_DOCUMENTS, SLICE_DOCUMENTS, Chunk, Spool
from analyzer.collect.observing import Look, look, with_variables
from analyzer.convex.beside import Beside, Hand
from analyzer.errors import CursorExpired, SourceUnreachable
from analyzer.model import CollectResult, TextFingerprint
from analyzer.pauses import no_cycles_sought, quick_turns
from analyzer.sources.live import LiveSource
from analyzer.sources.live_events import RESYNC_ACTIONS
from analyzer.store import Batch, Collection, CountsDisagreeError, Store
from analyzer.store.looks import Position, Span
from analyzer.units import instant

BATCH_DOCUMENTS = 200_000  # kept at once: as many as memory holds as names, so that the store is rarely opened
BATCH_S = 10.0  # of reading that may be lost
MADE_DOCUMENTS = PRELOADED_DOCUMENTS  # after so many a new store is made, while more are waited for

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
    then: Callable[[Store, CollectResult], None] | None = None  # what else to do with a new snapshot, kept already


def collect_live(source: LiveSource, store_path: Path, options: LiveOptions | None = None) -> CollectResult:
    """Add the newest consistent state of a deployment to a store, reading only what changed since the last time.

    A cursor that the deployment no longer accepts, and counts that disagree, make it read everything once again; the
    snapshot then says so.

    raises  SourceInvalid, SourceUnreachable, AccessDenied: what was kept so far waits, and the next collect goes on
    """
    options = options or LiveOptions()
    deployment = source.connection.deployment
    cursor, position = None, Position()
    if store_path.exists():
        with Store.write(store_path, wait_s=options.wait_s) as store:
            cursor = store.sync_cursor(deployment.name)
            position = store.observations.position(deployment.name)
    run = _Run(source, store_path, options, Beside(lambda: look(source, position)), position)
    with no_cycles_sought(), quick_turns():
        try:
            return run.collect(cursor)
        except (CursorExpired, CountsDisagreeError, _ReplacedError) as again:
            if cursor is None and isinstance(again, CursorExpired):
                raise
            run.interrupted = f"everything was read again: {again}"
            run.warnings.append(run.interrupted)
            return run.collect(None)


@dataclass(slots=True)
class _Run:
    """One collect under way."""

    source: LiveSource
    store_path: Path
    options: LiveOptions
    look: Beside[Look]
    position: Position  # where the look before it ended
    started_ms: int = field(default_factory=clock.now_ms)
    warnings: list[str] = field(default_factory=list)
    interrupted: str = ""  # why what changed since the last snapshot is not known

    def collect(self, cursor: str | None) -> CollectResult:
        """Read on from a cursor, and make a snapshot of it."""
        with _Reading(self) as reading:
            reading.read(cursor)
            if cursor is not None and self.source.way == "deltas":
                self.refuse_replaced()
            return self.promote(reading.spool.batch() if reading.spool.can_be_kept else None)

    def refuse_replaced(self) -> None:
        """Raise _ReplacedError where deltas cannot be trusted: they say nothing of tables that change as a whole."""
        events = self.look.result().observed.events
        since_ms = self.position.events_until_ms or 0.0
        for event in () if events is None else events.rows:
            if event.action in RESYNC_ACTIONS and event.at_ms > since_ms:
                raise _ReplacedError(f"{event.action} at {instant(int(event.at_ms))} may have replaced tables")

    def keep(self, batch: Batch) -> None:
        """Let a batch wait in the store."""
        options = self.options
        with Store.write(self.store_path, wait_s=options.wait_s) as store:
            store.keep(
                self.source.connection.deployment,
                batch,
                kept_at_ms=clock.now_ms(),
                fingerprints=options.fingerprints,
                keep_text=options.keep_text,
            )

    def promote(self, batch: Batch | None) -> CollectResult:
        """Make a snapshot of what waits and of the last batch; None where all of it waits already."""
        source, options = self.source, self.options
        tables = Beside(source.tables)
        moment_ns = source.snapshot_ts_ns
        counts = None
        if source.way == "deltas" and moment_ns is not None:
            counts = Beside(lambda: source.counts(moment_ns))
        info = source.info
        assert info.source_time_ns is not None
        seen = with_variables(self.look.result(), source.variables)
        listed = tables.result()
        with Store.write(self.store_path, wait_s=options.wait_s) as store:
            with store.together():
                gaps = store.observe(source.connection.deployment, seen.observed)
                told = (*self.warnings, *info.warnings, *seen.warnings, *map(_gap, gaps))
                result, lost = store.promote(
                    Collection(
                        info=replace(info, warnings=told),
                        tables=(),
                        as_of_ns=info.source_time_ns,
                        taken_at_ms=self.started_ms,
                        label=options.label,
                        absent=absent(listed, lists_all_tables=source.lists_all_tables),
                        fingerprints=options.fingerprints,
                        keep_text=options.keep_text,
                    ),
                    listed,
                    counts.result if counts else None,
                    batch,
                    self.interrupted,
                )
            if options.then is not None:
                options.then(store, result)
        return replace(result, findings=tuple(map(_gap, (*gaps, *lost))))


class _ReplacedError(Exception):
    """Tables may have been replaced since the last snapshot, without a word in the deltas."""


class _Reading:
    """Pages on their way to the store. Whatever breaks it off, what was read until then is kept."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._limit = run.options.batch_documents
        self._chunk = Chunk()
        self._hand = Hand()
        self._making: Beside[None] | None = None  # of a store that is new
        self.spool = self._new_spool()

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            self._hand.end()
            self.made()
            if isinstance(error, SourceUnreachable | KeyboardInterrupt) and self.spool.can_be_kept:
                self._run.keep(self.spool.batch())
        finally:
            self.spool.__exit__()

    def read(self, cursor: str | None) -> None:
        """Take every page up to the newest moment; what is not kept by then is in `spool`."""
        read, told = 0, self._run.options.progress
        for page in self._run.source.changes(cursor):
            self._chunk.add(page)
            read += len(page.values)
            if told is not None:
                told(read)
            if self._is_full():
                self._pour()
                if self.spool.documents >= self._limit or self.spool.age_s >= BATCH_S:
                    self._keep()
        if not self._chunk.is_empty:
            self._pour()
        self.made()

    def made(self) -> None:
        """Wait until the store is made, if that was begun. Why it could not be is told by who opens it."""
        if self._making is not None:
            self._making.wait()

    def _is_full(self) -> bool:
        """Tell whether to check what was gathered. The sooner, the less of it is left when a page has come; what would
        have to be kept for it waits for more of its kind.
        """
        documents = self._chunk.documents
        if documents >= min(CHUNK_DOCUMENTS, self._limit):
            return True
        return documents >= SLICE_DOCUMENTS and not self.spool.clashes(self._chunk)

    def _pour(self) -> None:
        if self._chunk.is_fresh:
            self._replace_spool()  # nothing that was read before counts
        elif self.spool.clashes(self._chunk):
            self._keep()
        chunk, self._chunk = self._chunk, Chunk()
        spool = self.spool
        path = self._run.store_path
        if self._making is None and spool.documents >= MADE_DOCUMENTS and not path.exists():
            self._making = Beside(lambda: Store.make(path))
        self._hand.do(lambda: spool.add(chunk))  # where no interrupt breaks it off: half of it cannot be kept

    def _keep(self) -> None:
        self.made()
        self._run.keep(self.spool.batch())
        self._replace_spool()

    def _replace_spool(self) -> None:
        self.spool.__exit__()
        self.spool = self._new_spool()

    def _new_spool(self) -> Spool:
        run = self._run
        options = run.options
        return Spool(run.source.connection.target.origin, options.fingerprints, keep_text=options.keep_text)


def _gap(gap: Span) -> str:
    times = f"{instant(gap.from_ms)} and {instant(gap.until_ms)}"
    return f"{gap.stream} between {times} may be missing: {gap.reason}"
