"""Random documents, edits, faults and crashes: what goes was planned, is unchanged, and goes in whole groups."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analyzer.errors import GuardRefused, SourceError
from analyzer.purge import audit, ledger
from analyzer.purge.apply import Pace
from analyzer.purge.references import of_document
from tests.purge.leftovers import NOW_MS, PROMPT, World, world

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


edits = st.lists(
    st.builds(Edit, st.sampled_from(["change", "delete", "refer", "reply"]), st.integers(0, 400)), max_size=3
)
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


@pytest.mark.slow
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    shape=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=4),
    before=edits,
    between=edits,
    during=edits,
    fault=st.sampled_from(sorted(faults)),
    size=st.integers(1, 5),
    dies_after=st.one_of(st.none(), st.integers(1, 3)),
    forgets=st.booleans(),
)
def test_only_what_was_planned_and_is_unchanged_goes_and_it_goes_whole(
    *,
    shape: list[tuple[int, bool, bool]],
    before: list[Edit],
    between: list[Edit],
    during: list[Edit],
    fault: str,
    size: int,
    dies_after: int | None,
    forgets: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), is_filled=False) as w:
        populate(w, shape)
        for edit in before:
            edit(w)
        w.deployment.clock.advance_s(3600)
        plan, path = w.plan()
        planned = {document.id: group.root for group in plan.groups for document in group.documents}
        for edit in between:
            edit(w)
        mark_ts = w.deployment.now_ts()
        dry = None
        if plan.documents and not during:
            try:
                dry = {d["id"] for d in w.apply(plan, path, is_dry_run=True)["deleted"]}
            except GuardRefused:
                dry = set()
        faults[fault](w)
        calls: list[int] = []

        def happening(_: int) -> None:
            calls.append(1)
            if len(calls) <= len(during):
                during[len(calls) - 1](w)
            if len(calls) == dies_after:
                raise KilledError

        history = len(w.deployment.history)
        for _ in range(4):
            try:
                w.apply(plan, path, pace=Pace(batch_documents=size, settle_s=0.0, progress=happening))
                break
            except KilledError:
                if forgets:
                    _forget_the_last_outcome(ledger.path_of(path))
            except GuardRefused:
                break
            except SourceError:
                w.deployment.faults.clear()
        ours = {id_ for noted in _audited(w) for id_ in noted}
        assert ours <= planned.keys()
        state = ledger.read(ledger.path_of(path), plan.hash)
        assert not set(state.deleted) & w.living()
        assert not state.is_finished or ours <= set(state.deleted)
        _check_whole(plan, ours)
        if dry is not None:
            assert ours == dry
        for change in w.deployment.history[history:]:
            assert change.document is not None or change.id in ours or during
        changed = {c.id for c in w.deployment.history if plan.snapshot_ts < c.ts <= mark_ts}
        assert not ours & changed
        dangling = [
            reference
            for (component, table), rows in w.deployment.at(mark_ts).items()
            for document in rows.values()
            for reference in of_document(component, table, document)
            if reference.target in ours and reference.id in w.living()
        ]
        assert not dangling


def _forget_the_last_outcome(path: Path) -> None:
    """Take away the last line: the batch was deleted, and the crash came before that was written down."""
    lines = path.read_bytes().splitlines(keepends=True)
    if b'"outcome"' in lines[-1]:
        path.write_bytes(b"".join(lines[:-1]))


def _audited(w: World) -> list[list[str]]:
    """Return the ids of each deletion that came from outside."""
    with w.source() as source:
        found = audit.entries(source.connection.client, NOW_MS - 3_600_000, ("delete_documents",))
    assert found is not None
    return [entry["metadata"]["document_ids"] for entry in found]


def _check_whole(plan: Any, ours: set[str]) -> None:
    for group in plan.groups:
        members = {document.id for document in group.documents}
        if len(members) <= 2 and ours & members and not members <= ours:
            raise AssertionError(f"the group of {group.root} went in part")
