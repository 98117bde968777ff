"""An apply from beginning to end: look, confirm, back up, delete, prove, write the receipt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analyzer import clock, units
from analyzer.convex import functions
from analyzer.convex.answers import read_answer
from analyzer.convex.client import Client
from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames
from analyzer.errors import SourceError
from analyzer.purge import audit, checks, files, guards, ledger, live, pause
from analyzer.purge import backup as backups
from analyzer.purge import receipt as receipts
from analyzer.purge.apply import Pace, Run, settle
from analyzer.purge.facts import Caps, Consent, Facts
from analyzer.purge.ledger import Ledger, State
from analyzer.purge.plan_file import Plan, Planned, PlannedGroup, Scrub
from analyzer.purge.verify import verify
from analyzer.purge.writes import Deleting, Executor, Pretending
from analyzer.sources.live import LiveSource


@dataclass(frozen=True, slots=True)
class Order:
    """What an apply is told besides its plan."""

    rules_hash: str  # of rules, lists and marks as they are now
    caps: Caps
    actor: str
    lock_folder: Path  # shared by all who purge from this machine
    confirm: Callable[[Plan], str | None]  # asks a person for the plan's confirmation
    consent: Consent = field(default_factory=Consent)
    reason: str | None = None
    approved_by: str | None = None
    backup: Path | None = None  # default: beside the plan
    is_dry_run: bool = False
    is_unattended: bool = False
    pauses: bool = False  # keep the app from running while documents go
    pace: Pace = field(default_factory=Pace)
    names: FunctionNames = DEFAULT_NAMES
    narrate: Callable[[str], None] = lambda _: None


def apply_plan(source: LiveSource, plan: Plan, path: Path, order: Order) -> dict[str, Any]:
    """Carry a plan out, or go on where an earlier apply stopped.

    source   with the key that deletes
    path     of the plan; ledger, backup and receipt lie beside it
    returns  the receipt, written beside the plan; of a dry run, what one would say
    raises   GuardRefused; SourceError. What was deleted until then stands in the ledger
    """
    with _locks(path, plan, order):
        ledger_path = ledger.path_of(path)
        state = ledger.read(ledger_path, plan.hash)
        started_ns = functions.now_ns(source.connection.client)
        book = Ledger(None if order.is_dry_run else ledger_path, state)
        run = _Apply(source, plan, path, order, book, started_ns // 10**6)
        return run.receipt()


@contextlib.contextmanager
def _locks(path: Path, plan: Plan, order: Order) -> Iterator[None]:
    """Let nobody else work on this plan, or from this machine on this deployment."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in plan.deployment)[:100]
    with (
        files.locked(path.with_name(f".{path.name}.lock"), path.name),
        files.locked(order.lock_folder / f".purge-{name}.lock", plan.deployment),
    ):
        yield


@dataclass
class _Apply:
    source: LiveSource
    plan: Plan
    path: Path
    order: Order
    book: Ledger
    started_ms: int  # by the deployment's clock

    @property
    def client(self) -> Client:
        return self.source.connection.client

    @property
    def state(self) -> State:
        return self.book.state

    def receipt(self) -> dict[str, Any]:
        self.client.sign(audit.PURGE + receipts.id_of(self.plan))
        lost = self._settled()
        documents = self._guard()
        if self.state.deleted:
            of = units.count(len(self.plan.documents), "document")
            self.order.narrate(f"going on: {len(self.state.deleted)} of {of} were deleted before")
        if not self.order.is_dry_run:
            checks.check_confirmation(self.plan, self.order.confirm(self.plan))
        executor: Executor = Pretending() if self.order.is_dry_run else Deleting(self.client)
        watch = live.Watch(self.source, frozenset(document.id for document in self.plan.documents))
        with self.book, self._telling_where_it_stands():
            self.book.begin(
                self.plan.hash,
                actor=self.order.actor,
                reason=self.order.reason,
                approved_by=self.order.approved_by,
                dry_run=self.order.is_dry_run,
                server_ms=self.started_ms,
                health=self._health(),
            )
            run = Run(self.client, self.plan, watch, self.book, executor, self.order.pace, lost, documents)
            groups = run.survey()
            if executor.is_real:
                self._back_up(groups, documents)
            run.may_go_on()
            if not run.sees_functions:
                self.order.narrate("warning: nothing tells how often functions fail, so that more fail stops nothing")
            with self._barrier(run):
                run.go(groups)
            made = self._written(watch)
            self.book.finish()  # not before the receipt is on the disk: a used plan makes no second one
        return made

    @contextlib.contextmanager
    def _telling_where_it_stands(self) -> Iterator[None]:
        """Say of an apply that does not come to its end what it did, and what can be done about it."""
        try:
            yield
        except BaseException:
            deleted, sent = len(self.state.deleted), sum(map(len, self.state.unsettled.values()))
            if not self.order.is_dry_run and (deleted or sent):
                unknown = f", and nobody knows of {sent} more" if sent else ""
                of = units.count(len(self.plan.documents), "document")
                self.order.narrate(f"stopped: {deleted} of {of} {'was' if deleted == 1 else 'were'} deleted{unknown}")
                self.order.narrate(f"to go on: analyzer purge apply {self.path}")
                self.order.narrate(f"to put them back: analyzer purge restore {self.path}")
            raise

    def _settled(self) -> set[str]:
        """Find out what an earlier apply did last, and let the app run again if that one paused it."""
        if not (self.state.unsettled or self.state.paused_by) or self.book.path is None or not self._is_the_one():
            return set()
        with self.book:
            pause.recover(self.client, self.book, self.order.narrate)
            return settle(self.client, self.plan, self.book, self.order.pace.settle_s)

    def _is_the_one(self) -> bool:
        connection = self.source.connection
        return (connection.deployment.name, connection.target.origin) == (self.plan.deployment, self.plan.origin)

    @contextlib.contextmanager
    def _barrier(self, run: Run) -> Iterator[None]:
        if not self.order.pauses or self.order.is_dry_run:
            yield
            return
        with pause.paused(self.client, self.book, self.order.narrate):
            run.is_paused = True
            yield

    def _guard(self) -> dict[str, live.Found | None]:
        """Let the guards look; returns the documents as they were read for that."""
        connection, plan = self.source.connection, self.plan
        # Who it is comes first: nothing is asked about documents of a deployment that is another one.
        tables: dict[str, str] = {}
        counts: dict[str, int] = {}
        documents: dict[str, live.Found | None] = {}
        state = "running"
        if self._is_the_one():
            tables = live.table_mapping(self.client)
            known = sorted({d.table for d in plan.documents} & set(tables.values()))
            counts = {table: live.table_count(self.client, table) for table in known}
            left = [(d.table, d.id) for d in plan.documents if d.id not in self.state.deleted]
            documents = live.read_documents(self.client, left + [(s.table, s.id) for s in plan.scrubs])
            state = pause.state(self.client) if self.order.pauses or plan.scrubs else state
        guards.check_all(
            Facts(
                plan=plan,
                deployment=connection.deployment,
                server_type=connection.who.type,
                powers=connection.powers,
                tables=tables,
                counts=counts,
                documents=documents,
                deleted=self.state.deleted,
                rules_hash=self.order.rules_hash,
                now_ms=clock.now_ms(),
                caps=self.order.caps,
                consent=self.order.consent,
                is_used=self.state.is_finished,
                has_stop_file=bool(self.order.pace.stop_file and self.order.pace.stop_file.exists()),
                is_unattended=self.order.is_unattended,
                pauses=self.order.pauses,
                state=state,
            )
        )
        return documents

    def _back_up(self, groups: Sequence[PlannedGroup], found: Mapping[str, live.Found | None]) -> None:
        """Write the backup, or prove the one that an earlier apply wrote: it must hold all that is left.

        found  as read a moment ago: each is the planned one by its hash, or none is written
        """
        documents = [document for group in groups for document in group.documents]
        scrubs = [scrub for group in groups for scrub in group.scrubs]
        noted = self.state.backup
        path = Path(noted["path"]) if noted else self._backup_path()
        if noted or path.exists():
            self._adopt(path, [*documents, *scrubs])
        elif documents:
            proven = backups.write(path, self.plan, documents, found, scrubs)
            self.book.backup(str(proven.path), proven.sha256, proven.documents)
            self.order.narrate(f"backup of {proven.documents} documents proven: {path.name}")

    def _backup_path(self) -> Path:
        return (self.order.backup or self.path.with_name(f"{self.path.stem}.backup.zip")).resolve()

    def _adopt(self, path: Path, documents: Sequence[Planned | Scrub]) -> None:
        """Go on with a backup that is there: of this plan, as it was noted, and with all that is left."""
        told = backups.manifest(path)
        if told.get("plan_hash") != self.plan.hash:
            raise backups.refused(f"{path.name} not to exist", "one of another plan")
        held, changed = told["documents"], told.get("scrubbed", {})
        wanted = [document for document in self.plan.documents if document.id in held]
        noted = self.state.backup
        sha256 = noted["sha256"] if noted else files.sha256(path)
        scrubs = [scrub for scrub in self.plan.scrubs if scrub.id in changed]
        backups.prove(backups.Backup(path, sha256, noted["documents"] if noted else len(held)), wanted, scrubs)
        if missing := [document.id for document in documents if document.id not in {*held, *changed}]:
            raise backups.refused("every document that is left", f"{len(missing)} that it does not hold")
        if not noted:
            self.book.backup(str(path), sha256, len(held))

    def _written(self, watch: live.Watch) -> dict[str, Any]:
        """Prove what was done, and write it down."""
        order, state, connection = self.order, self.state, self.source.connection
        deleted = [document for document in self.plan.documents if document.id in state.deleted]
        verdict = None
        if not order.is_dry_run:
            ignored = self.plan.selection.get("ignored", ())
            changed = {id_ for id_, step in state.scrubs.items() if step != "not done"}
            verdict = verify(
                self.source, deleted, ignored=ignored, watch=watch, since_ms=state.server_ms, changed=changed
            )
        made = receipts.make(
            self.plan,
            state,
            finished_at=units.instant(clock.now_ms()),
            backend=connection.who.version,
            key=self.client.key.description if self.client.key else None,
            verified=verdict.as_data() if verdict else None,
            audit=[dict(entry) for entry in verdict.audit] if verdict else [],
            health_after=None if order.is_dry_run else self._health(),
            dry_run=order.is_dry_run,
        )
        if not order.is_dry_run:
            receipts.write(made, receipts.path_of(self.path))
        return made

    def _health(self) -> Any:
        """Return what the deployment says of its health; None where it does not."""
        name = self.order.names.system_health
        try:
            answer, _ = read_answer(name, functions.query(self.client, name, {}), flag_names=(), names=self.order.names)
        except SourceError:
            return None
        return answer.value if answer else None
