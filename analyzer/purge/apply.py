"""Carries a plan out: whole groups, children first, each re-read right before, every step noted before it is taken.

Between the last read of a document and its deletion lies one request. A change in that moment is not seen; nothing of
the platform's can close this gap but pausing the deployment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from analyzer import clock
from analyzer.convex.client import Client
from analyzer.errors import AccessDenied, FunctionFailed, OutcomeUnknown, ServerRefused, SourceError, SourceUnreachable
from analyzer.purge import checks, guards
from analyzer.purge.ledger import Ledger
from analyzer.purge.live import Found, Watch, read_documents
from analyzer.purge.plan_file import Plan, Planned, PlannedGroup
from analyzer.purge.rates import has_risen, recent_errors
from analyzer.purge.references import Reference
from analyzer.purge.scrubbing import Scrubber
from analyzer.purge.writes import Executor

BATCH_DOCUMENTS = 1_000  # comfortable for the platform, whose own limits differ by version
BATCH_BYTES = 4 * 1024 * 1024  # read and written bytes count against 16 MiB
MOST_FAILURES = 4  # in a row without a document deleted
RATE_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When to stop, and how fast to go."""

    stop_file: Path | None = None
    max_runtime_s: float | None = None
    batch_documents: int = BATCH_DOCUMENTS
    settle_s: float = 1.0  # wait before a lost answer is read back for the second time
    progress: Callable[[int], None] | None = None  # documents deleted so far


def settle(client: Client, plan: Plan, ledger: Ledger, settle_s: float) -> set[str]:
    """Find out what became of batches whose answer nobody saw, by reading back; nothing is sent again.

    returns  ids of batches that seem not to have happened: should they be gone later, it was us
    """
    tables = {document.id: document.table for document in plan.documents}
    lost: set[str] = set()
    for batch, ids in sorted(ledger.state.unsettled.items()):
        if unknown := [id_ for id_ in ids if id_ not in tables]:
            raise guards.refused("ledger", "ids of this plan", f"{unknown[0]}")
        wanted = [(tables[id_], id_) for id_ in ids]
        found = read_documents(client, wanted)
        if any(found.values()):
            clock.sleep_s(settle_s)  # it may still be under way
            found = read_documents(client, wanted)
        if any(found.values()):
            lost.update(ids)
            ledger.outcome(batch, "not done", settled="read back")
        else:
            ledger.outcome(batch, "deleted", settled="read back")
    return lost


@dataclass
class Run:
    """One apply, from the first batch to the last."""

    client: Client
    plan: Plan
    watch: Watch
    ledger: Ledger
    executor: Executor
    pace: Pace = field(default_factory=Pace)
    lost: set[str] = field(default_factory=set)  # ids in calls whose answer was lost
    known: Mapping[str, Found | None] = field(default_factory=dict)  # documents as they were read before
    is_paused: bool = False  # the app does not run: that its functions fail says nothing
    found: Mapping[str, Found | None] = field(default_factory=dict)  # as read just now
    _size: int = BATCH_DOCUMENTS
    _failures: int = 0
    _started_s: float = 0.0
    _rate_s: float = 0.0
    _functions: Mapping[str, int] | None = None  # calls and errors of the last minutes, as it told last

    @property
    def sees_functions(self) -> bool:
        """Tell whether it would notice that functions begin to fail."""
        return self.plan.functions is not None and self._functions is not None

    @property
    def scrubber(self) -> Scrubber:
        """Return who changes documents that stay."""
        return Scrubber(self.client, self.ledger, self.executor)

    def survey(self) -> list[PlannedGroup]:
        """Look at every group once, and let those stay that are not as planned; returns the others in their order.

        A group for which a document that stays was changed already is left to `go`: it may have to be changed back.
        """
        state = self.ledger.state
        waiting = [
            group for group in self.plan.groups if group.root not in state.skipped and self._left(group).documents
        ]
        begun = [group for group in waiting if self.scrubber.is_begun(group)]
        roots = {group.root for group in [*begun, *self._checked([group for group in waiting if group not in begun])]}
        return [group for group in waiting if group.root in roots]

    def go(self, groups: Sequence[PlannedGroup]) -> None:
        """Delete groups in their order.

        raises  GuardRefused when it has to stop; SourceError when the deployment refuses or is not there. Either way
                the ledger knows everything, and the same apply can be started again
        """
        self._size = self.pace.batch_documents
        self._started_s = self._rate_s = clock.monotonic_s()
        queue = deque(groups)
        while queue:
            self.may_go_on()
            accepted = self._scrubbed(self._checked(self._take(queue)))
            if accepted and not self._delete(accepted):
                queue.extendleft(reversed(accepted))
            elif accepted and self._left(accepted[-1]).documents:
                queue.appendleft(accepted[-1])
            if self.pace.progress:
                self.pace.progress(len(self.ledger.state.deleted))

    def _left(self, group: PlannedGroup) -> PlannedGroup:
        deleted = self.ledger.state.deleted
        if not any(document.id in deleted for document in group.documents):
            return group
        return replace(group, documents=tuple(d for d in group.documents if d.id not in deleted))

    def _take(self, queue: deque[PlannedGroup]) -> list[PlannedGroup]:
        """Take as many whole groups as fit into a batch, at least one."""
        taken: list[PlannedGroup] = []
        documents = size = 0
        while queue:
            group = self._left(queue[0])
            documents += len(group.documents)
            size += sum(document.bytes or 0 for document in group.documents)
            if taken and (documents > self._size or size > BATCH_BYTES):
                break
            taken.append(queue.popleft())
        return taken

    def _checked(self, groups: Sequence[PlannedGroup]) -> list[PlannedGroup]:
        """Read groups and everything that refers to them again; returns those that may go, the others are skipped."""
        found = self._read(groups)
        self.found = found
        referring: dict[str, list[Reference]] = {}
        for reference in self.watch.references({document.id for group in groups for document in group.documents}):
            referring.setdefault(reference.target, []).append(reference)
        state = self.ledger.state
        going = set(state.deleted)
        accepted = []
        for group in map(self._left, groups):
            ids = {document.id for document in group.documents}
            if ids and ids <= self.lost and not any(found[id_] for id_ in ids):
                self.ledger.outcome(self.ledger.intent(sorted(ids)), "deleted", settled="it arrived late")
                going |= ids
                continue
            ignored = self.plan.selection.get("ignored", ())
            self.scrubber.settle(group, found)
            references = [reference for document in group.documents for reference in referring.get(document.id, ())]
            problem = checks.group_problem(group, found, references, going, ignored, scrubbed=self.scrubber.done())
            if problem:
                partly = ", after a part of the group was deleted" if self._is_partly_gone(group) else ""
                if not partly:
                    self.scrubber.put_back(group)
                self.ledger.skip(group.root, problem + partly)
            elif ids:
                going |= ids
                accepted.append(group)
        return accepted

    def _scrubbed(self, groups: Sequence[PlannedGroup]) -> list[PlannedGroup]:
        """Take references to groups out of documents that stay; returns the groups for which that could be done."""
        accepted = []
        for group in groups:
            if problem := self.scrubber.take_out(group, self.found):
                self.ledger.skip(group.root, problem)
            else:
                accepted.append(group)
        return accepted

    def _is_partly_gone(self, left: PlannedGroup) -> bool:
        whole = next(group for group in self.plan.groups if group.root == left.root)
        return len(whole.documents) != len(left.documents)

    def _read(self, groups: Sequence[PlannedGroup]) -> dict[str, Found | None]:
        left = [self._left(group) for group in groups]
        wanted = {(document.table, document.id) for group in left for document in group.documents}
        deleted = self.ledger.state.deleted
        wanted |= {(e.table, e.id) for group in left for e in group.evidence if e.id not in deleted}
        wanted |= {(scrub.table, scrub.id) for group in left for scrub in group.scrubs}
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_documents, self.client, sorted(wanted), known=self.known)
            self.watch.refresh()
            return reading.result()

    def _delete(self, groups: Sequence[PlannedGroup]) -> bool:
        """Delete groups, or the first part of one that is too large; returns whether anything was deleted."""
        documents = [document for group in groups for document in group.documents]
        if len(documents) > self._size:  # one group alone: children first, so that what is left still makes sense
            documents = documents[: self._size]
        batch = self.ledger.intent([document.id for document in documents])
        self.ledger.call(batch)
        try:
            self.executor.delete(documents)
        except OutcomeUnknown as lost:
            self.ledger.outcome(batch, "unknown", why=str(lost))
            return self._settle(documents)
        except (FunctionFailed, ServerRefused, SourceUnreachable) as refused:
            self.ledger.outcome(batch, "not done", why=str(refused))
            self._failed(refused, len(documents))
            return False
        self.ledger.outcome(batch, "deleted")
        self._failures = 0
        return True

    def _settle(self, documents: Sequence[Planned]) -> bool:
        before = len(self.ledger.state.deleted)
        self.lost |= settle(self.client, self.plan, self.ledger, self.pace.settle_s)
        if len(self.ledger.state.deleted) > before:
            self._failures = 0
            return True
        self._count_failure(SourceUnreachable(f"the answers to deleting {len(documents)} documents keep getting lost"))
        return False

    def _failed(self, error: SourceError, documents: int) -> None:
        """Decide how to go on after a call that changed nothing: smaller, or not at all."""
        if isinstance(error, AccessDenied):
            raise error
        self._size = max(1, documents // 2)
        if documents == 1 or not _is_about_size(error):
            self._count_failure(error)

    def _count_failure(self, error: SourceError) -> None:
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise error

    def may_go_on(self) -> None:
        """Stop where somebody asked for it, time is up, or the app suffers.

        raises  GuardRefused
        """
        pace, now_s = self.pace, clock.monotonic_s()
        done = f"{len(self.ledger.state.deleted)} documents were deleted; `analyzer purge apply PLAN` goes on"
        if pace.stop_file is not None and pace.stop_file.exists():
            raise guards.refused("stop file", "no stop file", str(pace.stop_file.name), done)
        if pace.max_runtime_s is not None and now_s - self._started_s > pace.max_runtime_s:
            raise guards.refused("runtime", f"at most {pace.max_runtime_s:g} s", "more", done)
        if self.is_paused:
            return
        if self._rate_s == self._started_s or now_s - self._rate_s >= RATE_EVERY_S:
            self._rate_s = now_s
            planned_ms = self.plan.snapshot_ts // 10**6
            before, self._functions = self._functions, recent_errors(self.client, planned_ms)
            wanted = "functions that fail no more often than when the plan was made"
            if before is not None and self._functions is None:  # it told a moment ago
                raise guards.refused("function errors", wanted, "that the deployment does not tell any more", done)
            if has_risen(self.plan.functions, self._functions):
                raise guards.refused("function errors", wanted, "that they do", done)


def _is_about_size(error: SourceError) -> bool:
    said = f"{error} {getattr(error, 'message', '')}".lower()
    return any(word in said for word in ("too many", "too large", "more than", "timed out", "toomanywrites"))
