"""The store: one DuckDB file that holds every revision of every collected document. DuckDB's only door."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb

from analyzer.model import Answer, Deployment, Mark, Snapshot, TableRef
from analyzer.store import catalog, connection, journal, marks, remembered
from analyzer.store.frame import Frame

if TYPE_CHECKING:  # what a reader of health does not need is imported where it is asked for
    from analyzer.model import CollectResult, TextFingerprint
    from analyzer.store.incoming import Collection, IncomingTable
    from analyzer.store.looks import Observed, Span
    from analyzer.store.observed import Observations
    from analyzer.store.promoting import CountsDisagreeError
    from analyzer.store.receipts import Receipts
    from analyzer.store.rollouts import Rollouts
    from analyzer.store.staged import Batch, StagedTable
    from analyzer.store.stretches import Base, BaseOutdatedError

__all__ = [
    "Base",
    "BaseOutdatedError",
    "Batch",
    "Collection",
    "CountsDisagreeError",
    "Frame",
    "IncomingTable",
    "StagedTable",
    "Store",
]

_OF_WRITERS = {  # where these names are defined: only who writes asks for them
    "Base": "stretches",
    "BaseOutdatedError": "stretches",
    "Batch": "staged",
    "Collection": "incoming",
    "CountsDisagreeError": "promoting",
    "IncomingTable": "incoming",
    "StagedTable": "staged",
}


def __getattr__(name: str) -> Any:
    """Load what a store is written with when it is asked for."""
    if name not in _OF_WRITERS:
        raise AttributeError(f"module 'analyzer.store' has no attribute {name!r}")
    return getattr(import_module(f"analyzer.store.{_OF_WRITERS[name]}"), name)


class Store:
    """An open store. Use as a context manager, and hold it no longer than needed: writers exclude readers."""

    def __init__(self, path: Path, duck: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._duck = duck
        self._is_writing = False
        self._is_last = False  # of what this process does
        self._known: dict[str | None, tuple[Snapshot, ...]] | None = None  # by deployment; None where they may change
        self.newest_frame: Frame | None = None  # the one whose tables the connection holds

    @classmethod
    def read(cls, path: Path, *, wait_s: float = 10.0, is_last: bool = False) -> Self:
        """Open an existing store read-only, waiting up to wait_s for a writer.

        is_last  this process ends as soon as the store is read, and need not free what it holds before
        raises  StoreError: missing, in use (names the process), no store, or from a newer version
        """
        store = cls(path, connection.open_for_reading(path, wait_s))
        store._known = {}  # nobody writes while this is open
        store._is_last = is_last
        return store

    @classmethod
    def write(cls, path: Path, *, wait_s: float = 10.0) -> Self:
        """Open a store for writing, making or migrating it where needed.

        raises  StoreError: in use (names the process), no store, or from a newer version
        """
        return cls(path, connection.open_for_writing(path, wait_s))

    @staticmethod
    def make(path: Path) -> None:
        """Make an empty store where there is none, for `write` to find it.

        raises  OSError, StoreError: `write` would say the same
        """
        connection.make(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object = None, error: BaseException | None = None, __: object = None) -> None:
        (connection.leave_open if self._is_last else connection.close)(self._duck, self.path)
        if isinstance(error, duckdb.Error) and (refused := connection.no_room(self.path, error)):
            raise refused from None

    def snapshots(self, deployment: str | None = None) -> tuple[Snapshot, ...]:
        """Return the complete snapshots by deployment, oldest source time first."""
        if self._known is None:
            return catalog.read_snapshots(self._duck, deployment)
        if deployment not in self._known:
            self._known[deployment] = catalog.read_snapshots(self._duck, deployment)
        return self._known[deployment]

    def snapshot(self, selector: str | int | None = None, deployment: str | None = None) -> Snapshot:
        """Return one snapshot: the newest by source time, or the one with this id or label.

        raises  UsageError when several deployments or labels fit; StoreError when none does
        """
        return catalog.choose(self.snapshots(deployment), selector, deployment, self.path)

    def answers(self, snapshot: Snapshot) -> tuple[Answer, ...]:
        """Return what the deployment's functions said for a snapshot, by function path."""
        return catalog.read_answers(self._duck, snapshot.id)

    def marks(self, deployment: str) -> tuple[Mark, ...]:
        """Return the mark in force for each marked document, by id."""
        return marks.in_force(marks.history(self._duck, deployment))

    def add_mark(self, deployment: str, mark: Mark) -> None:
        """Record what a person says of a document."""
        marks.add(self._duck, deployment, mark)

    @property
    def rollouts(self) -> Rollouts:
        """The recorded rollouts, to read; to write where the store is open for writing."""
        from analyzer.store.rollouts import Rollouts

        return Rollouts(self._duck)

    @property
    def receipts(self) -> Receipts:
        """The receipts of purges, to read; to write where the store is open for writing."""
        from analyzer.store.receipts import Receipts

        return Receipts(self._duck)

    @property
    def observations(self) -> Observations:
        """What was seen beside documents, to read; to write where the store is open for writing."""
        from analyzer.store.observed import Observations

        return Observations(self._duck)

    def observe(self, deployment: Deployment, observed: Observed) -> tuple[Span, ...]:
        """Keep events, metrics and calls in one transaction, each once; returns the gaps that came to light."""
        with self.together():
            return self.observations.keep(catalog.record_deployment(self._duck, deployment), observed)

    def frame(self, snapshot: Snapshot, at_ms: int | None = None) -> Frame:
        """Return the documents of a snapshot at a clock (default: the snapshot's own time). One at a time."""
        number = catalog.deployment_no(self._duck, snapshot.deployment.name)
        assert number is not None
        self.newest_frame = Frame(self._duck, snapshot, number, at_ms=at_ms, before=self.newest_frame)
        return self.newest_frame

    def remember(self, frame: Frame, rules_hash: str) -> None:
        """Keep the artifacts of a frame that was searched with orphans, at its snapshot's own clock."""
        number = catalog.deployment_no(self._duck, frame.snapshot.deployment.name)
        assert number is not None
        assert frame.at_ms == frame.snapshot.as_of_ms
        frame.show_documents()
        with self.together():
            remembered.remember(self._duck, number, frame.snapshot, rules_hash)

    def base(self, deployment: str, as_of_ns: int | None) -> Base:
        """Return what an export of a time can be compared with before it is read; None: of the newest time."""
        from analyzer.store import stretches

        number = catalog.deployment_no(self._duck, deployment)
        return stretches.Base() if number is None else stretches.read(self._duck, number, as_of_ns)

    def ingest(self, collection: Collection) -> CollectResult:
        """Add one complete collection in one transaction.

        returns  the new snapshot; the earlier one if the same documents are stored for the same time already
        raises   SourceInvalid for a duplicate `_id`, BaseOutdatedError when it was compared with what is not there;
                 the store is then as it was
        """
        from analyzer.model import CollectResult

        try:
            return CollectResult(self._ingest(collection), already_present=False)
        except _AlreadyPresentError as present:
            known = self.snapshots(collection.info.deployment.name)
            return CollectResult(next(s for s in known if s.id == present.snapshot_no), already_present=True)

    def _ingest(self, collection: Collection) -> Snapshot:
        from analyzer.store import snapshotting, stretches

        with self.together():
            moment, twin_no = snapshotting.moment_of(self._duck, collection)
            before = stretches.predecessor(self._duck, moment.deployment_no, moment.as_of_ns)
            if collection.base not in (None, before):
                raise stretches.BaseOutdatedError
            coverage, statuses = snapshotting.load(self._duck, moment, collection)
            if twin_no is not None and not any(c.added or c.changed or c.removed for c in coverage):
                raise _AlreadyPresentError(twin_no)
            for incoming in collection.tables:
                stretches.replace(self._duck, incoming, moment)
            return snapshotting.record(self._duck, collection, moment, coverage, statuses)

    def sync_cursor(self, deployment: str) -> str | None:
        """Return the cursor from which a live read goes on; None where it starts from the beginning."""
        from analyzer.store import staged

        number = catalog.deployment_no(self._duck, deployment)
        return None if number is None else staged.cursor(self._duck, number)

    def keep(
        self,
        deployment: Deployment,
        batch: Batch,
        *,
        kept_at_ms: int,
        fingerprints: Sequence[TextFingerprint] = (),
        keep_text: bool = False,
    ) -> None:
        """Keep some pages of a live read together with the cursor behind them, in one transaction."""
        from analyzer.store import staged

        with self.together():
            number = catalog.record_deployment(self._duck, deployment)
            staged.keep(
                self._duck, number, batch, kept_at_ms=kept_at_ms, keeping=staged.Keeping(fingerprints, keep_text)
            )

    def promote(
        self,
        collection: Collection,
        tables: Sequence[TableRef],
        expected: Callable[[], Mapping[tuple[str, str], int]] | None,
        last: Batch | None,
        interrupted: str = "",
    ) -> tuple[CollectResult, tuple[Span, ...]]:
        """Make a snapshot of what waits of a live read and of the last batch, in one transaction.

        collection   without tables: they wait in the store
        tables       every table that the deployment has now
        expected     tells how many documents each should hold, where that was asked
        last         what was read since a batch was kept; None: nothing
        interrupted  why the deployment could not tell what changed since the snapshot before; "" where it could
        returns      the snapshot, and what cannot be told of the time since the one before
        raises       CountsDisagreeError; the store is then as it was
        """
        from analyzer.model import CollectResult
        from analyzer.store import promoting, snapshotting, staged

        with self.together():
            moment, _ = snapshotting.moment_of(self._duck, collection)
            keeping = staged.Keeping(collection.fingerprints, collection.keep_text)
            coverage, drift = promoting.promote(self._duck, moment, tables, expected, last=last, keeping=keeping)
            coverage += snapshotting.drop_missing(self._duck, moment, {c.table for c in coverage})
            gaps = promoting.lost(self._duck, self.observations, moment, coverage, interrupted)
            return CollectResult(
                snapshotting.record(self._duck, collection, moment, coverage, drift), already_present=False
            ), gaps

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Keep all that is written in this context together, or nothing of it."""
        if self._is_writing:
            yield
            return
        self._is_writing = True
        try:
            with self._begun():
                yield
        finally:
            self._is_writing = False

    @contextlib.contextmanager
    def _begun(self) -> Iterator[None]:
        self._duck.execute("begin")
        try:
            yield
        except BaseException:
            self.newest_frame = None  # its tables may be gone
            with contextlib.suppress(duckdb.Error):
                self._duck.execute("rollback")
            raise
        if kept := journal.of_this_process(self.path):
            kept.renew()
        self._duck.execute("commit")


class _AlreadyPresentError(Exception):
    """The same documents are stored for the same time already; unwinds the transaction."""

    def __init__(self, snapshot_no: int) -> None:
        super().__init__(snapshot_no)
        self.snapshot_no = snapshot_no
