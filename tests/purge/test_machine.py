"""A purge as a state machine: people edit, the wire and the server fail, the process dies, the same command goes on.

The stand-in's own history is the model: it knows every write, and each is either an edit of ours here or a deletion
that the purge sent.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from analyzer.errors import GuardRefused, SourceError
from analyzer.purge import ledger
from analyzer.purge.apply import Pace
from analyzer.purge.plan_file import Plan
from analyzer.purge.references import of_document
from tests.purge.leftovers import PROMPT, World, world

DELETE = "_system/frontend/deleteDocuments"
LISTED = "_system/frontend/listById"


class KilledError(BaseException):
    """The process ends here."""


@dataclass(frozen=True)
class Edit:
    """What somebody does to one document."""

    kind: str
    place: int  # which document, counted round

    def __call__(self, w: World) -> None:
        known = sorted((table, id_) for (component, table), rows in w.deployment.at().items() for id_ in rows)
        if not known:
            return
        table, id_ = known[self.place % len(known)]
        if self.kind == "change":
            w.deployment.patch(table, id_, {"note": f"edit {self.place}"})
        elif self.kind == "delete" and table != "users":
            w.deployment.delete(table, id_)
        elif self.kind == "refer":
            w.deployment.insert("todos", {"content": "see", "meta": [{"about": [id_]}], "status": "PENDING"})
        elif self.kind == "reply":
            w.deployment.insert("chatMessages", {"taskId": id_, "role": "USER", "content": "hi", "status": "complete"})


faults: dict[str, Callable[[World], Any]] = {
    "none": lambda _: None,
    "lost before": lambda w: w.deployment.faults.drop(function=DELETE, skip=1),
    "lost after": lambda w: w.deployment.faults.drop(function=DELETE, after_commit=True),
    "busy": lambda w: w.deployment.faults.refuse(503, "Busy", function=DELETE),
    "conflict": lambda w: w.deployment.faults.refuse(
        503, "OptimisticConcurrencyControlFailure", function=DELETE, times=4
    ),
    "too many": lambda w: w.deployment.faults.refuse(429, "TooManyWrites", function=DELETE, times=4),
    "cut off": lambda w: w.deployment.faults.truncate(function=LISTED, skip=3),
    "small batches only": lambda w: setattr(w.deployment.settings, "delete_rows", 2),
}


def populate(w: World, shape: list[tuple[int, bool, bool]]) -> None:
    """Add test tasks with children, some of which refer across groups, and helpers' messages in real tasks."""
    person = w.add("person", "users", name="Ada", email="ada@example.org")
    helper = w.add("helper", "users", name="Workflow Test User", email="workflow-test@test.local")
    real = w.add_task("real", person)
    w.add_message("real message", real)
    w.add("real todo", "todos", taskId=real, content="x", status="PENDING")
    last = ""
    for number, (children, is_linked, is_real_tasks) in enumerate(shape):
        task = w.add_test_task(f"test {number}", helper)
        for child in range(children):
            link = {"stackedTaskId": last} if is_linked and last else {}
            w.add_message(f"message {number}.{child}", task, **link)
        if is_real_tasks:
            prompt = w.add_message(f"prompt {number}", real, content=PROMPT, llmModel="test-model")
            w.add_message(f"reply {number}", real, content="", llmModel="test-model", promptMessageId=prompt)
        last = task


shapes = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=4)
edits = st.builds(Edit, st.sampled_from(["change", "delete", "refer", "reply"]), st.integers(0, 400))
LOSSES = ("kept", "torn", "lost")  # what becomes of the line that was being written when the process died


class Purging(RuleBasedStateMachine):
    """One deployment, one purge after another."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.w: World
        self.plan: Plan | None = None
        self.path = Path()
        self.plans: list[Plan] = []
        self.theirs: set[int] = set()  # places in the history of what people did
        self.start = 0
        self.is_rehearsed: set[str] | None = None  # what a dry run showed, until anything happens

    @initialize(shape=shapes)
    def begin(self, shape: list[tuple[int, bool, bool]]) -> None:
        folder = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        self.w = self.open.enter_context(world(folder, is_filled=False))
        populate(self.w, shape)
        self.start = len(self.w.deployment.history)

    def teardown(self) -> None:
        with self.open:
            if self.plan is not None:
                self.finish()

    # ---- what happens -----------------------------------------------------------------------------------------------

    @rule(edit=edits)
    def somebody_edits(self, edit: Edit) -> None:
        before = len(self.w.deployment.history)
        edit(self.w)
        self.theirs |= set(range(before, len(self.w.deployment.history)))
        self.is_rehearsed = None

    @precondition(lambda self: self.plan is None)
    @rule()
    def a_plan_is_made(self) -> None:
        self.w.deployment.clock.advance_s(3600)
        self.plan, self.path = self.w.plan(f"plan-{len(self.plans)}.json")
        self.plans.append(self.plan)

    @precondition(lambda self: self.plan is not None)
    @rule()
    def it_is_rehearsed(self) -> None:
        assert self.plan is not None
        before = len(self.w.deployment.history)
        try:
            made = self.w.apply(self.plan, self.path, is_dry_run=True)
        except GuardRefused:
            return
        assert len(self.w.deployment.history) == before
        self.is_rehearsed = {document["id"] for document in made["deleted"]}

    @precondition(lambda self: self.plan is not None)
    @rule(
        name=st.sampled_from(sorted(faults)),
        size=st.integers(1, 5),
        during=st.lists(edits, max_size=2),
        dies_at=st.one_of(st.none(), st.integers(1, 14)),
        loss=st.sampled_from(LOSSES),
    )
    def it_is_applied(self, name: str, size: int, during: list[Edit], dies_at: int | None, loss: str) -> None:
        assert self.plan is not None
        limit = self.w.deployment.settings.delete_rows
        faults[name](self.w)
        shown = self.is_rehearsed if not during and dies_at is None else None
        waiting = list(during)

        def happens(_: int) -> None:
            if waiting:
                self.somebody_edits(waiting.pop(0))

        try:
            with dying(dies_at):
                made = self.w.apply(
                    self.plan, self.path, pace=Pace(batch_documents=size, settle_s=0.0, progress=happens)
                )
        except KilledError:
            lose(ledger.path_of(self.path), loss)
        except (GuardRefused, SourceError):
            pass
        else:
            self.proven(made)
            deleted = {document["id"] for document in made["deleted"]}
            assert shown is None or shown == deleted
            self.plan = None
        self.is_rehearsed = None
        self.w.deployment.faults.clear()
        self.w.deployment.settings.delete_rows = limit

    @precondition(lambda self: self.plan is not None)
    @rule()
    def finish(self) -> None:
        """Start the same command again, with nothing in its way: it finishes, or a guard says why it may not."""
        assert self.plan is not None
        try:
            made = self.w.apply(self.plan, self.path)
        except GuardRefused as refused:
            assert any(f"guard {name}" in str(refused) for name in ("zero rows", "empty read", "whole table"))
        else:
            self.proven(made)
        self.plan = None

    # ---- what holds -------------------------------------------------------------------------------------------------

    def proven(self, made: dict[str, Any]) -> None:
        """Check a plan that was carried out: whole groups, a right ledger, nothing left dangling."""
        assert self.plan is not None
        ours, state = self.gone(), ledger.read(ledger.path_of(self.path), self.plan.hash)
        planned = {document.id for document in self.plan.documents}
        assert state.is_finished and not state.unsettled
        assert set(state.deleted) == {document["id"] for document in made["deleted"]} == ours & planned
        assert made["verified"]["ok"], made["verified"]
        for group in self.plan.groups:
            members = {document.id for document in group.documents}
            is_cut_off = "a part of the group" in state.skipped.get(group.root, "")
            assert not members & ours or members <= ours or is_cut_off
        for (component, table), rows in self.w.deployment.at().items():
            for document in rows.values():
                for reference in of_document(component, table, document):
                    assert reference.target not in ours & planned or reference.target in state.skipped

    @invariant()
    def only_planned_and_unchanged_documents_were_ever_touched(self) -> None:
        if not hasattr(self, "w"):
            return
        history = self.w.deployment.history
        planned = {document.id: plan for plan in self.plans for document in plan.documents}
        for place, change in enumerate(history):
            if place < self.start or place in self.theirs:
                continue
            assert change.document is None and change.id in planned
            written = [c.ts for c in history[:place] if c.id == change.id]
            assert written[-1] <= planned[change.id].snapshot_ts

    @invariant()
    def the_ledger_knows_whatever_may_be_gone(self) -> None:
        if self.plan is None:
            return
        state = ledger.read(ledger.path_of(self.path), self.plan.hash)
        known = set(state.deleted) | {id_ for ids in state.unsettled.values() for id_ in ids}
        assert self.gone() & {document.id for document in self.plan.documents} <= known
        assert not set(state.deleted) & self.w.living()

    def gone(self) -> set[str]:
        """Return what the purge deleted, by the stand-in's own history."""
        history = self.w.deployment.history
        return {c.id for n, c in enumerate(history) if n >= self.start and n not in self.theirs}


@contextmanager
def dying(at: int | None) -> Iterator[None]:
    """Let the process die while it waits for the disk for the nth time: ledger, backup or receipt."""
    whole, count = os.fsync, [0]

    def dies(descriptor: int) -> None:
        count[0] += 1
        if count[0] == at:
            raise KilledError
        whole(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", dies)
        yield


def lose(path: Path, loss: str) -> None:
    """Lose the last line of a ledger, or its end: it had not reached the disk."""
    if loss == "kept" or not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    if lines:
        path.write_bytes(b"".join(lines[:-1]) + (lines[-1][:9] if loss == "torn" else b""))


def run(examples: int, steps: int, *, derandomize: bool = True) -> None:
    run_state_machine_as_test(
        Purging,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
def test_whatever_happens_only_planned_and_unchanged_groups_go_and_a_re_run_finishes() -> None:
    run(examples=2, steps=8)


@pytest.mark.external
@pytest.mark.timeout(600)
def test_the_same_for_longer() -> None:
    run(examples=12, steps=15)
