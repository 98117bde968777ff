"""What happens between plan and apply, and during an apply: a group is deleted as it was planned, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer import rules
from analyzer.errors import AccessDenied, GuardRefused, SourceError
from analyzer.flows.apply import apply_plan
from analyzer.model import Mark
from analyzer.purge import backup, ledger, plan_file, receipt
from analyzer.purge.apply import Pace
from analyzer.purge.select import Choice
from analyzer.store import Store
from tests.deployment import Execution
from tests.purge.leftovers import LEFTOVERS, NOW_MS, World, world

DELETE = "_system/frontend/deleteDocuments"
Change = Callable[[World], object]


def reply_by_a_person(w: World) -> None:
    w.add_message("new", w.ids["real"], promptMessageId=w.ids["prompt"])


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "a person renames the test task": (
        lambda w: w.deployment.patch("tasks", w.ids["test"], {"title": "My plan"}),
        {"test", "test message", "test todo", "helper"},
    ),
    "a person writes into the test task": (
        lambda w: w.add_message("new", w.ids["test"]),
        {"test", "test message", "test todo", "helper"},
    ),
    "a child of the test task changes": (
        lambda w: w.deployment.patch("todos", w.ids["test todo"], {"status": "DONE"}),
        {"test", "test message", "test todo", "helper"},
    ),
    "a child is deleted": (
        lambda w: w.deployment.delete("todos", w.ids["test todo"]),
        {"test", "test message", "helper"},
    ),
    "a person replies to the prompt": (reply_by_a_person, {"prompt"}),
    "the reason for the reply changes": (
        lambda w: w.deployment.patch("chatMessages", w.ids["prompt"], {"content": "A real question"}),
        {"prompt", "reply"},
    ),
    "a document in a list names the helper": (
        lambda w: w.deployment.patch("tasks", w.ids["real"], {"watchers": [{"who": w.ids["helper"]}]}),
        {"helper"},
    ),
    "a text names the test task": (
        lambda w: w.deployment.patch("todos", w.ids["real todo"], {"content": f"see {w.ids['test']} please"}),
        {"test", "test message", "test todo", "helper"},
    ),
}


IDLE_AGAIN = (  # an hour later, and to a store that sees it for the first time, it is the test's own
    "a person renames the test task",
    "a person writes into the test task",
    "a child of the test task changes",
    "a child is deleted",
)


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_group_that_changed_since_the_plan_stays_whole(tmp_path: Path, name: str) -> None:
    change, staying = CHANGES[name]
    with world(tmp_path) as w:
        plan, path = w.plan()
        change(w)
        before = w.living()
        made = w.apply(plan, path)
        assert before - w.living() == {w.ids[n] for n in LEFTOVERS} - {w.ids[n] for n in staying} & before
        assert made["verified"]["ok"]
        assert made["skipped"]


@pytest.mark.parametrize("name", list(CHANGES))
def test_what_is_so_when_the_plan_is_made_is_not_planned(tmp_path: Path, name: str) -> None:
    change, staying = CHANGES[name]
    with world(tmp_path) as w:
        change(w)
        w.deployment.clock.advance_s(3600)  # idle again
        planned = {document.id for document in w.plan()[0].documents}
        if name in IDLE_AGAIN:
            assert w.ids["test"] in planned
        else:
            assert not planned & {w.ids[n] for n in staying}


def test_a_task_that_had_another_title_before_stays_until_somebody_says_that_it_is_a_tests(tmp_path: Path) -> None:
    change, staying = CHANGES["a person renames the test task"]
    with world(tmp_path) as w:
        plan, path = w.plan(choice=Choice())
        assert w.ids["test"] in {document.id for document in plan.documents}
        path.unlink()
        change(w)
        w.deployment.clock.advance_s(3600)
        plan, path = w.plan()
        assert not {document.id for document in plan.documents} & {w.ids[name] for name in staying}
        fact = f"tasks {w.ids['test']} had another title before: a person may use it"
        reasons = {item.root: item.reason for item in plan.blocked}
        assert reasons[w.ids["test"]] == f"{fact}, unless `analyzer artifacts mark --test` says otherwise"
        path.unlink()
        with Store.write(w.store) as store:
            store.add_mark(plan.deployment, Mark(w.ids["test"], "test", "an end-to-end test does", "Ada", NOW_MS))
        w.deployment.clock.advance_s(3600)  # since the store saw the change
        assert w.ids["test"] in {document.id for document in w.plan()[0].documents}


def test_what_is_not_idle_stays_and_says_so(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.deployment.patch("todos", w.ids["test todo"], {"status": "DONE"})
        plan, _ = w.plan()
        assert not {document.id for document in plan.documents} & {w.ids["test"], w.ids["helper"]}
        assert any("it may be in use" in blocked.reason for blocked in plan.blocked)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_change_between_batches_saves_the_groups_that_are_left(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        calls: list[int] = []

        def changed(done: int) -> None:
            calls.append(done)
            if len(calls) == 1 and w.ids["test"] in w.living():
                w.deployment.patch("tasks", w.ids["test"], {"title": "mine now"})

        pace = Pace(batch_documents=size, settle_s=0.0, progress=changed)
        made = w.apply(plan, path, pace=pace)
        gone = {document["id"] for document in made["deleted"]}
        assert not gone & w.living()
        assert made["verified"]["ok"]
        if size == 1:
            assert w.ids["helper"] in w.living()


def test_a_mark_or_another_rule_since_the_plan_refuses_all_of_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        before = w.living()
        with Store.write(w.store) as store:
            store.add_mark(plan.deployment, Mark(w.ids["test"], "real", "mine", "Ada", NOW_MS))
        with pytest.raises(GuardRefused, match="guard rules"):
            w.apply(plan, path)
        other = replace(rules.load_all(), rules=rules.load_all().rules[1:])
        with pytest.raises(GuardRefused, match="guard rules"):
            w.apply(plan, path, rules_hash=rules.rules_hash(other, rules.InternalLists(), ()))
        assert w.living() == before


def test_a_document_marked_as_real_holds_its_group(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        path.unlink()
        with Store.write(w.store) as store:
            store.add_mark(plan.deployment, Mark(w.ids["test message"], "real", "mine", "Ada", NOW_MS))
        plan, path = w.plan()
        assert not {document.id for document in plan.documents} & {w.ids["test"], w.ids["test message"]}
        assert any("as real" in blocked.reason for blocked in plan.blocked)


def test_a_used_plan_is_used(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.apply(plan, path)
        with pytest.raises(GuardRefused, match="guard plan used"):
            w.apply(plan, path)


def test_without_confirmation_nothing_is_written_anywhere(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        before, files = w.living(), set(tmp_path.iterdir())
        for said in (None, "yes", plan.confirm + "0"):
            with pytest.raises(GuardRefused, match="guard confirmation"):
                w.apply(plan, path, confirm=lambda _, said=said: said)
        assert w.living() == before
        assert not w.deployment.called(DELETE)
        assert {p.suffix for p in set(tmp_path.iterdir()) - files} <= {".lock"}


def test_a_dry_run_shows_what_an_apply_deletes_and_leaves_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.patch("chatMessages", w.ids["prompt"], {"content": "A real question"})
        before = w.living()
        rehearsed = w.apply(plan, path, is_dry_run=True, confirm=lambda _: None)
        assert w.living() == before and not w.deployment.called(DELETE)
        assert not ledger.path_of(path).exists() and not receipt.path_of(path).exists()
        made = w.apply(plan, path)
        assert [d["id"] for d in rehearsed["deleted"]] == [d["id"] for d in made["deleted"]]
        assert rehearsed["skipped"] == made["skipped"]


def test_a_key_that_cannot_write_deletes_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        with pytest.raises(GuardRefused, match="guard key"):
            w.apply(plan, path, key=w.deployment.read_key)
        with pytest.raises(AccessDenied):
            w.apply(plan, path, key=w.deployment.foreign_key())
        assert not w.deployment.called(DELETE)


def test_another_purge_of_the_same_deployment_waits_its_turn(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        _, other = w.plan("other.json")

        def ask(found: plan_file.Plan) -> str:
            with pytest.raises(GuardRefused, match="guard another purge"):
                w.apply(found, other)
            with pytest.raises(GuardRefused, match="guard another purge"):
                w.apply(found, path)
            return found.confirm

        assert w.apply(plan, path, confirm=ask)["verified"]["ok"]


def test_a_stop_file_stops_between_batches_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        stop = tmp_path / "plan.stop"
        pace = Pace(stop_file=stop, batch_documents=1, settle_s=0.0, progress=lambda _: stop.touch())
        with pytest.raises(GuardRefused, match="guard stop file"):
            w.apply(plan, path, pace=pace)
        assert 0 < len({w.ids[n] for n in LEFTOVERS} - w.living()) < len(LEFTOVERS)
        with pytest.raises(GuardRefused, match="guard stop file"):
            w.apply(plan, path)
        stop.unlink()
        made = w.apply(plan, path)
        assert {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}
        assert made["verified"]["ok"]


def test_time_is_up_between_batches(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        with pytest.raises(GuardRefused, match="guard runtime"):
            w.apply(plan, path, pace=Pace(max_runtime_s=0.0, settle_s=0.0))
        assert w.apply(plan, path)["verified"]["ok"]


def test_functions_that_begin_to_fail_stop_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        assert plan.functions is not None
        at_s = w.deployment.clock.now_ms / 1000
        for _ in range(40):
            w.deployment.record(Execution("messages:send", "Mutation", at_s, 0.01, error="boom"))
        w.deployment.clock.advance_s(120)
        with pytest.raises(GuardRefused, match="guard function errors"):
            w.apply(plan, path)
        assert {w.ids[n] for n in LEFTOVERS} <= w.living()


def test_another_deployment_does_not_settle_what_became_of_a_batch(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with world(tmp_path) as w, world(tmp_path / "other") as other, other.source() as elsewhere:
        plan, path = w.plan()

        def lost(_: int) -> None:
            w.deployment.faults.drop(function=DELETE)
            w.deployment.faults.refuse(503, "Busy", function="_system/frontend/listById", skip=1, times=None)

        with pytest.raises(SourceError):
            w.apply(plan, path, pace=Pace(batch_documents=1, settle_s=0.0, progress=lost))
        noted = ledger.path_of(path).read_bytes()
        assert ledger.read(ledger.path_of(path), plan.hash).unsettled
        with pytest.raises(GuardRefused, match="guard origin"):
            apply_plan(elsewhere, plan, path, w.order(plan))
        assert ledger.path_of(path).read_bytes() == noted
        w.deployment.faults.clear()
        assert {d["id"] for d in w.apply(plan, path)["deleted"]} == {w.ids[n] for n in LEFTOVERS}


def test_a_ledger_with_documents_of_no_plan_settles_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        with ledger.Ledger(ledger.path_of(path), ledger.State()) as book:
            book.begin(plan.hash, server_ms=0)
            book.call(book.intent([w.ids["test"], w.ids["real"]]))
        noted = ledger.path_of(path).read_bytes()
        with pytest.raises(GuardRefused, match=rf"guard ledger: .* found {w.ids['real']}"):
            w.apply(plan, path)
        assert ledger.path_of(path).read_bytes() == noted and not w.deployment.called(DELETE)


def test_a_proof_that_could_not_be_had_is_had_by_the_same_command(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()

        def fails(deleted: int) -> None:
            if deleted == len(LEFTOVERS):
                w.deployment.faults.refuse(500, "InternalServerError", times=None)

        with pytest.raises(SourceError):
            w.apply(plan, path, pace=Pace(settle_s=0.0, progress=fails))
        assert not {w.ids[n] for n in LEFTOVERS} & w.living()
        w.deployment.faults.clear()
        made = w.apply(plan, path)
        assert made["verified"]["ok"] and made == receipt.read(receipt.path_of(path))
        assert {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}


def test_a_receipt_tells_of_everybody_who_carried_a_plan_out(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        first = {"actor": "Ada", "reason": "known issue", "approved_by": "Grace"}
        with pytest.raises(GuardRefused, match="guard runtime"):
            w.apply(plan, path, pace=Pace(max_runtime_s=0.0, settle_s=0.0), **first)
        w.deployment.faults.refuse(503, "Busy", function="monitoring/dashboard:getSystemHealth")
        made = w.apply(plan, path, actor="Mary")
        assert (made["actor"], made["reason"], made["approved_by"]) == ("Ada, Mary", "known issue", "Grace")
        assert made["health_before"]["health"]["status"] == "degraded"


@pytest.mark.parametrize("are_failing", [False, True])
@pytest.mark.parametrize("hours", [0, 3], ids=["applied at once", "applied after a long review"])
def test_steady_traffic_hides_no_failures(tmp_path: Path, hours: int, are_failing: bool) -> None:
    with world(tmp_path) as w:
        clock = w.deployment.clock

        def calls(minutes: int, error: str | None) -> None:
            for _ in range(minutes):
                for _ in range(15):
                    w.deployment.record(Execution("messages:send", "Mutation", clock.now_ms / 1000, 0.01, error=error))
                clock.advance_s(60)

        calls(60, None)
        plan, path = w.plan()
        clock.advance_s(hours * 3600)
        calls(4, "boom" if are_failing else None)
        if are_failing:
            with pytest.raises(GuardRefused, match="guard function errors"):
                w.apply(plan, path)
            assert {w.ids[n] for n in LEFTOVERS} <= w.living()
        else:
            assert w.apply(plan, path)["verified"]["ok"]


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_lost_answer_is_settled_by_reading_back(tmp_path: Path, after_commit: bool) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.faults.drop(function=DELETE, after_commit=after_commit)
        made = w.apply(plan, path)
        assert {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}
        assert made["verified"]["ok"]
        assert len(w.deployment.called(DELETE)) == (1 if after_commit else 2)


def test_batches_shrink_until_the_platform_takes_them(tmp_path: Path) -> None:
    with world(tmp_path, delete_rows=2) as w:
        plan, path = w.plan()
        made = w.apply(plan, path)
        assert {d["id"] for d in made["deleted"]} == {w.ids[n] for n in LEFTOVERS}
        assert made["verified"]["ok"]


@pytest.mark.parametrize("fault", [(503, "Busy"), (500, "InternalServerError"), (429, "TooManyWrites")])
def test_a_deployment_that_keeps_refusing_ends_it_and_it_can_go_on(tmp_path: Path, fault: tuple[int, str]) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.faults.refuse(*fault, function=DELETE, times=None)
        with pytest.raises(SourceError):
            w.apply(plan, path)
        assert {w.ids[n] for n in LEFTOVERS} <= w.living()
        w.deployment.faults.clear()
        assert w.apply(plan, path)["verified"]["ok"]
        assert not {w.ids[n] for n in LEFTOVERS} & w.living()


def rewritten(change: Callable[[Sequence[object]], object]) -> Callable[[bytes], bytes]:
    def apply(body: bytes) -> bytes:
        answer = json.loads(body)
        answer["value"] = change(answer["value"])
        return json.dumps(answer).encode()

    return apply


@pytest.mark.parametrize("change", [lambda v: [None for _ in v], lambda v: v[:-1], lambda _: None, lambda v: v[::-1]])
def test_an_empty_or_wrong_read_is_no_consent(tmp_path: Path, change: Callable[[Sequence[object]], object]) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.faults.rewrite(rewritten(change), function="_system/frontend/listById", times=None)
        with pytest.raises((GuardRefused, SourceError)):
            w.apply(plan, path)
        assert not w.deployment.called(DELETE)


def test_a_backup_that_somebody_touched_stops_what_is_left(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        with pytest.raises(GuardRefused, match="guard runtime"):
            w.apply(plan, path, pace=Pace(max_runtime_s=0.0, settle_s=0.0))
        saved = tmp_path / "plan.backup.zip"
        saved.write_bytes(saved.read_bytes()[:-30])
        with pytest.raises(GuardRefused, match="guard backup"):
            w.apply(plan, path)
        saved.unlink()
        with pytest.raises(GuardRefused, match="guard backup"):
            w.apply(plan, path)
        assert not w.deployment.called(DELETE)


def test_a_backup_that_is_there_already_serves_its_own_plan_alone_and_only_if_it_holds_all(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        _, other = w.plan("other.json")
        with pytest.raises(GuardRefused, match="guard runtime"):
            w.apply(plan, path, pace=Pace(max_runtime_s=0.0, settle_s=0.0))
        ledger.path_of(path).unlink()  # killed before it was noted
        saved = tmp_path / "plan.backup.zip"
        whole = saved.read_bytes()
        (tmp_path / "other.backup.zip").write_bytes(whole)
        with pytest.raises(GuardRefused, match=r"guard backup: .* found one of another plan"):
            w.apply(plan_file.read(other), other)
        saved.write_bytes(backup.without(saved, frozenset({w.ids["helper"]}))[0])
        with pytest.raises(GuardRefused, match=r"guard backup: .* found 1 that it does not hold"):
            w.apply(plan, path)
        assert not w.deployment.called(DELETE)
        saved.write_bytes(whole)
        made = w.apply(plan, path)
        assert made["verified"]["ok"] and saved.read_bytes() == whole


def test_production_has_to_be_named(tmp_path: Path) -> None:
    from analyzer.purge.facts import Consent

    with world(tmp_path, kind="prod") as w:
        for number in range(12):
            w.add_task(f"more {number}", w.person)
            w.add(f"user {number}", "users", name="B", email=f"b{number}@example.org")
            w.add_message(f"more message {number}", w.ids["real"])
            w.add(f"more todo {number}", "todos", taskId=w.ids["real"], content="x", status="PENDING")
        w.deployment.clock.advance_s(3600)
        plan, path = w.plan()
        with pytest.raises(GuardRefused, match="guard production named"):
            w.apply(plan, path)
        assert w.apply(plan, path, consent=Consent(is_named=True))["verified"]["ok"]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("to", ["real", "another test"])
def test_a_reference_that_nobody_declared_holds_its_group_while_its_target_stays(
    tmp_path: Path, to: str, nested: bool
) -> None:
    with world(tmp_path) as w:
        w.add_test_task("another test", w.ids["helper"])
        about = [{"see": w.ids[to]}] if nested else w.ids[to]
        w.add("link", "todos", taskId=w.ids["test"], content="look", status="PENDING", about=about)
        w.deployment.clock.advance_s(3600)
        plan, _ = w.plan("narrow.json", Choice(excluded=frozenset({w.ids["another test"]})))
        assert w.ids["test"] not in {document.id for document in plan.documents}
        held = next(blocked for blocked in plan.blocked if blocked.root == w.ids["test"])
        assert "no declared edge" in held.reason and w.ids[to] in held.reason
        assert held.referrer is not None and held.referrer["id"] == w.ids["link"]
        wide, _ = w.plan("wide.json")
        assert (w.ids["test"] in {document.id for document in wide.documents}) == (to == "another test")


def test_choices_narrow_the_plan(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        names = {id_: name for name, id_ in w.ids.items()}

        def planned(number: int, **choice: object) -> set[str]:
            plan, _ = w.plan(f"{number}.json", Choice(**choice))  # type: ignore[arg-type]
            return {names[document.id] for document in plan.documents}

        assert planned(1, tasks=(w.ids["real"],)) == {"prompt", "reply"}
        assert planned(2, rules=("helper-task",)) == {"test", "test message", "test todo"}
        assert planned(3, excluded=frozenset({w.ids["test todo"]})) == {"prompt", "reply"}
        assert planned(4, older_than_ms=2 * 3_600_000) == set()
