"""References taken out of documents that stay: planned, backed up, done while paused, proven, put back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import GuardRefused, SourceError
from analyzer.purge import backup, ledger, scrub
from analyzer.purge.apply import Pace
from analyzer.purge.plan_file import Plan
from analyzer.purge.select import Choice
from tests.purge.leftovers import World, world

PATCH, DELETE = "_system/frontend/patchDocumentsFields", "_system/frontend/deleteDocuments"
EDGES = frozenset({"chatMessages.promptMessageId", "tasks.watchers[]"})
HELPERS = ("prompt", "reply")


def with_reply(w: World) -> str:
    """Let a person's message answer the helper's prompt."""
    answer = w.add_message("answer", w.ids["real"], promptMessageId=w.ids["prompt"], content="a person's own words")
    w.deployment.clock.advance_s(3600)
    return answer


def planned(w: World, edges: frozenset[str] = EDGES) -> tuple[Plan, Path]:
    return w.plan(choice=Choice(scrubbed=edges, tasks=(w.ids["real"],)))


def document(w: World, name: str) -> dict[str, Any]:
    return next(rows[w.ids[name]] for rows in w.deployment.at().values() if w.ids[name] in rows)


def test_without_a_policy_the_group_stays_and_with_one_only_the_reference_goes(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w, frozenset())
        assert w.ids["prompt"] in {item.root for item in plan.blocked}
        path.unlink()
        before = document(w, "answer")
        plan, path = planned(w)
        assert [s.id for s in plan.scrubs] == [w.ids["answer"]]
        with pytest.raises(GuardRefused, match="guard scrub"):
            w.apply(plan, path)
        assert not w.deployment.called(PATCH)
        made = w.apply(plan, path, pauses=True)
        assert not {w.ids[n] for n in HELPERS} & w.living() and made["verified"]["ok"]
        after = document(w, "answer")
        assert after == {name: value for name, value in before.items() if name != "promptMessageId"}
        assert [s["id"] for s in made["scrubbed"]] == [w.ids["answer"]]
        assert w.deployment.settings.state == "running"
        held = backup.read(Path(made["backup"]["path"]), backup.SCRUBBED)
        assert json.loads(held[w.ids["answer"]][1])["promptMessageId"] == w.ids["prompt"]
        assert w.ids["answer"] not in backup.read(Path(made["backup"]["path"]))


def test_a_scrub_names_one_document_and_never_a_whole_table(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        mark = w.deployment.now_ts()
        w.apply(plan, path, pauses=True)
        changed = {c.id for c in w.deployment.history if c.ts > mark and c.document is not None}
        assert changed == {w.ids["answer"]}


def test_groups_that_one_document_refers_to_go_together(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.deployment.patch("tasks", w.ids["real"], {"watchers": [w.ids["prompt"], w.ids["reply"], w.person, 1.0]})
        w.deployment.clock.advance_s(3600)
        plan, path = planned(w)
        assert len([g for g in plan.groups if g.scrubs]) == 1
        assert w.apply(plan, path, pauses=True)["verified"]["ok"]
        assert document(w, "real")["watchers"] == [w.person, 1.0]


@pytest.mark.parametrize("value", [lambda id_: f"see {id_}", lambda id_: {"of": id_}, lambda id_: [[id_]]])
def test_what_is_not_the_id_alone_cannot_be_taken_out(tmp_path: Path, value: Callable[[str], object]) -> None:
    with world(tmp_path) as w:
        w.deployment.patch("tasks", w.ids["real"], {"watchers": value(w.ids["prompt"])})
        w.deployment.clock.advance_s(3600)
        plan, _ = planned(w, EDGES | {"tasks.watchers"})
        assert w.ids["prompt"] not in {d.id for d in plan.documents}
        assert w.ids["prompt"] in {item.root for item in plan.blocked}


def test_a_document_that_changed_since_the_plan_is_not_touched(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        answer = with_reply(w)
        plan, path = planned(w)
        w.deployment.patch("chatMessages", answer, {"content": "edited"})
        made = w.apply(plan, path, pauses=True)
        assert w.ids["prompt"] in w.living() and document(w, "answer")["promptMessageId"] == w.ids["prompt"]
        assert not w.deployment.called(PATCH) and made["skipped"] and not made["scrubbed"]


def test_a_scrub_that_the_schema_refuses_lets_the_group_stay(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        refusal = {"status": "error", "errorMessage": "Uncaught ConvexError: missing the required field"}
        w.deployment.faults.answer(200, json.dumps(refusal).encode(), function=PATCH)
        made = w.apply(plan, path, pauses=True)
        assert w.ids["prompt"] in w.living() and made["verified"]["ok"]
        assert any("could not be taken out" in item["reason"] for item in made["skipped"])


def test_a_document_that_becomes_something_else_stops_everything(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        w.deployment.faults.answer(200, b'{"status": "success", "value": {"success": true}}', function=PATCH)
        with pytest.raises(SourceError, match="did not become what was planned"):
            w.apply(plan, path, pauses=True)
        assert not w.deployment.called(DELETE) and w.deployment.settings.state == "running"
        assert w.apply(plan, path, pauses=True)["verified"]["ok"]


@pytest.mark.external
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_lost_answer_is_settled_by_reading(tmp_path: Path, after_commit: bool) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        w.deployment.faults.drop(function=PATCH, after_commit=after_commit)
        try:
            made = w.apply(plan, path, pauses=True)
        except SourceError:
            assert not after_commit
            made = w.apply(plan, path, pauses=True)
        assert made["verified"]["ok"] and "promptMessageId" not in document(w, "answer")


def crash_before_the_deletion(w: World, plan: Plan, path: Path) -> None:
    """Take the reference out, and end there."""
    w.deployment.faults.refuse(500, "InternalServerError", function=DELETE, times=None)
    with pytest.raises(SourceError):
        w.apply(plan, path, pauses=True)
    w.deployment.faults.clear()
    assert "promptMessageId" not in document(w, "answer") and w.ids["prompt"] in w.living()


@pytest.mark.external
def test_after_a_crash_between_both_steps_it_goes_on(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        crash_before_the_deletion(w, plan, path)
        made = w.apply(plan, path, pauses=True)
        assert made["verified"]["ok"] and made["scrubbed"] and w.ids["prompt"] not in w.living()
        assert len(w.deployment.called(PATCH)) == 1


@pytest.mark.external
def test_when_the_group_drifts_after_a_crash_the_reference_is_put_back(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        before = document(w, "answer")
        crash_before_the_deletion(w, plan, path)
        w.deployment.patch("chatMessages", w.ids["prompt"], {"content": "somebody's now"})
        made = w.apply(plan, path, pauses=True)
        assert document(w, "answer") == before
        assert w.ids["prompt"] in w.living() and not made["scrubbed"] and made["verified"]["ok"]
        assert ledger.read(ledger.path_of(path), plan.hash).scrubs[w.ids["answer"]] == "undone"


def test_a_dry_run_changes_nothing_and_shows_what_an_apply_does(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        history = len(w.deployment.history)
        dry = w.apply(plan, path, pauses=True, is_dry_run=True, pace=Pace(settle_s=0.0, batch_documents=1))
        assert len(w.deployment.history) == history
        made = w.apply(plan, path, pauses=True, pace=Pace(settle_s=0.0, batch_documents=1))
        assert [d["id"] for d in dry["deleted"]] == [d["id"] for d in made["deleted"]]
        assert [s["id"] for s in dry["scrubbed"]] == [s["id"] for s in made["scrubbed"]]


def test_a_change_and_its_reversal_are_exact() -> None:
    before = {"_id": "a", "one": "x", "many": ["x", "y", 2], "other": "x"}
    changed = scrub.changes(before, ("one", "many", "none"), ("x",))
    assert changed == {"one": scrub.REMOVED, "many": ["y", 2]}
    after = scrub.applied(before, changed).document
    assert after == {"_id": "a", "many": ["y", 2], "other": "x"}
    assert scrub.applied(after, scrub.reverted(before, changed)).document == before
    assert scrub.encoded(changed | {"int": 2}, "gone") == {
        "one": "gone",
        "many": ["y", {"$integer": "AgAAAAAAAAA="}],
        "int": {"$integer": "AgAAAAAAAAA="},
    }


@pytest.mark.external
def test_a_restore_gives_references_back_to_the_new_ids_while_paused(tmp_path: Path) -> None:
    from analyzer.flows.purge import restore_barrier
    from analyzer.purge import receipt, restore
    from analyzer.purge.facts import Consent

    def restored(w: World, path: Path, *, pauses: bool) -> dict[str, Any]:
        with w.source() as source:
            rehearsed = restore.rehearse(source.connection, path, Consent())
            with restore_barrier(source.connection, path, Consent(), lambda _: None, pauses=pauses) as barrier:
                return restore.restore(
                    source.connection, path, rehearsed, rehearsed.confirm, poll_s=0.0, barrier=barrier
                )

    with world(tmp_path) as w:
        with_reply(w)
        plan, path = planned(w)
        before = document(w, "answer")
        w.apply(plan, path, pauses=True)
        told = receipt.path_of(path)
        made = restored(w, told, pauses=False)
        assert "promptMessageId" not in document(w, "answer")
        assert any("--pause" in text for text in made["lost_references"])
        for _ in range(2):  # the second finds nothing left to do
            made = restored(w, told, pauses=True)
            assert document(w, "answer") == before | {"promptMessageId": made["ids"][w.ids["prompt"]]}
            assert not made["lost_references"] and w.deployment.settings.state == "running"
        w.deployment.patch("chatMessages", w.ids["answer"], {"promptMessageId": None})
        assert any("changed since" in text for text in restored(w, told, pauses=True)["lost_references"])
        assert document(w, "answer")["promptMessageId"] is None
