"""Putting back what was deleted: the same documents but for their ids, once, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import GuardRefused, SourceError, SourceUnreachable, UsageError
from analyzer.purge import backup, files, ledger, receipt, restore
from analyzer.purge.apply import Pace
from analyzer.purge.facts import Consent
from tests.purge.leftovers import LEFTOVERS, World, world


def purged(w: World) -> tuple[Path, dict[str, dict[str, Any]]]:
    before = {id_: document for rows in w.deployment.at().values() for id_, document in rows.items()}
    plan, path = w.plan()
    w.apply(plan, path)
    return receipt.path_of(path), before


def restored(w: World, path: Path, typed: str | None = None) -> dict[str, Any]:
    with w.source() as source:
        rehearsed = restore.rehearse(source.connection, path, Consent())
        return restore.restore(source.connection, path, rehearsed, typed or rehearsed.confirm, poll_s=0.0)


def test_everything_is_as_before_but_for_the_ids(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, before = purged(w)
        made = restored(w, path)
        assert made["verified"]["ok"] and made["sent"] == len(LEFTOVERS)
        back = {new: old for old, new in made["ids"].items()}
        after = {id_: document for rows in w.deployment.at().values() for id_, document in rows.items()}
        text = json.dumps(list(after.values()))
        for new, old in back.items():
            text = text.replace(new, old)
        assert sorted(json.loads(text), key=lambda d: d["_id"]) == sorted(before.values(), key=lambda d: d["_id"])


def test_a_rehearsal_sends_nothing_and_needs_the_confirmation(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, _ = purged(w)
        living = w.living()
        with pytest.raises(GuardRefused, match="guard confirmation"):
            restored(w, path, "yes")
        assert w.living() == living
        assert not w.deployment.called("/api/import/*")


@pytest.mark.parametrize("fault", ["/api/import/start_upload", "/api/import/finish_upload", "/api/perform_import"])
@pytest.mark.parametrize("after_commit", [False, True])
def test_an_interrupted_restore_goes_on_without_doubling(tmp_path: Path, fault: str, after_commit: bool) -> None:
    with world(tmp_path) as w:
        path, before = purged(w)
        w.deployment.faults.drop(path=fault, after_commit=after_commit)
        with pytest.raises(SourceError):
            restored(w, path)
        first = json.loads(restore.path_of(path).read_text())["ids"]
        assert restored(w, path)["ids"] == first
        assert restored(w, path)["sent"] == 0
        assert len(w.living()) == len(before)


@pytest.mark.parametrize("lost", [False, True], ids=["between batches", "while an answer is lost"])
def test_a_purge_that_did_not_come_to_its_end_is_undone_by_its_plan(tmp_path: Path, lost: bool) -> None:
    with world(tmp_path) as w:
        before = w.living()
        plan, path = w.plan()
        with pytest.raises((GuardRefused, SourceError)):
            w.apply(plan, path, pace=Pace(batch_documents=1, settle_s=0.0, progress=lambda _: stop(w, lost)))
        gone = before - w.living()
        assert 0 < len(gone) < len(LEFTOVERS) and not receipt.path_of(path).exists()
        assert bool(ledger.read(ledger.path_of(path), plan.hash).unsettled) == lost
        w.deployment.faults.clear()
        first = restored(w, path)
        assert first["verified"]["ok"] and set(first["ids"]) == gone
        assert restored(w, path)["sent"] == 0
        deleted = {document["id"] for document in w.apply(plan, path)["deleted"]}
        assert gone < deleted
        for name in (path, receipt.path_of(path)):
            made = restored(w, name)
            assert made["verified"]["ok"] and set(made["ids"]) == deleted
        assert len(w.living()) == len(before)


def stop(w: World, lost: bool) -> None:
    """Let an apply end before its next batch, or while it does not know what became of that."""
    if not lost:
        raise SourceUnreachable("no network")
    w.deployment.faults.drop(function="_system/frontend/deleteDocuments", after_commit=True)
    w.deployment.faults.refuse(503, "Busy", function="_system/frontend/listById", skip=1, times=None)


def test_nobody_restores_while_the_plan_is_being_applied(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()

        def look(_: int) -> None:
            with pytest.raises(GuardRefused, match="guard another purge"):
                restored(w, path)

        assert w.apply(plan, path, pace=Pace(settle_s=0.0, progress=look))["verified"]["ok"]


def test_a_plan_of_which_nothing_was_deleted_has_nothing_to_put_back(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        _, path = w.plan()
        with pytest.raises(UsageError, match="nothing"):
            restore.rehearse(source.connection, path, Consent())


def edited(name: str, value: object) -> Callable[[World, Path], object]:
    def edit(_: World, path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))

    return edit


def answered(function: str, change: Callable[[Any], Any]) -> Callable[[World, Path], object]:
    def rewrite(body: bytes) -> bytes:
        answer = json.loads(body)
        return json.dumps(answer | {"value": change(answer["value"])}).encode()

    return lambda w, _: w.deployment.faults.rewrite(rewrite, function=function, times=None)


REFUSED: dict[str, tuple[Callable[[World, Path], object], str]] = {
    "another deployment": (edited("deployment", "other-one-2"), "guard deployment"),
    "another address": (edited("origin", "https://elsewhere.example"), "guard deployment"),
    "it is production now": (lambda w, _: setattr(w.deployment.settings, "kind", "prod"), "guard production named"),
    "the server does not say what it is": (
        lambda w, _: w.deployment.faults.refuse(404, path="/api/v1/deployment_info", times=None),
        "guard unknown type",
    ),
    "tables have other numbers": (
        answered("_system/frontend/getTableMapping", lambda mapping: dict.fromkeys(mapping, "users")),
        "guard table mapping",
    ),
    "another receipt's map": (
        lambda _, path: restore.path_of(path).write_text('{"schema": "restore/1", "receipt": "x", "ids": {}}'),
        "guard restore map",
    ),
    "a damaged map": (lambda _, path: restore.path_of(path).write_text('{"schema"'), "guard restore map"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_restore_is_refused_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    change, guard = REFUSED[name]
    with world(tmp_path) as w:
        path, _ = purged(w)
        change(w, path)
        with pytest.raises(GuardRefused, match=guard):
            restored(w, path)
        assert not w.deployment.called("/api/import/*")


def test_production_that_is_named_gets_its_documents_back(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, _ = purged(w)
        w.deployment.settings.kind = "prod"
        with w.source() as source:
            assert restore.rehearse(source.connection, path, Consent(is_named=True)).missing


def test_an_import_that_would_delete_is_never_confirmed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, _ = purged(w)
        asks = {"state": "waiting_for_confirmation", "require_manual_confirmation": True}
        answered("_system/cli/queryImport", lambda row: row | {"state": asks})(w, path)
        with pytest.raises(SourceError, match="would delete"):
            restored(w, path)
        assert not w.deployment.called("/api/perform_import")


def test_what_is_not_as_before_afterwards_is_said(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        path, _ = purged(w)
        rehearsed = restore.rehearse(source.connection, path, Consent())
        answered("_system/frontend/listById", lambda found: [None, *found[1:]])(w, path)
        made = restore.restore(source.connection, path, rehearsed, rehearsed.confirm, poll_s=0.0)
        assert made["verified"] == {"ok": False, "not_as_before": [rehearsed.documents[0].id]}


def test_two_people_do_not_restore_at_once(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        path, _ = purged(w)
        rehearsed = restore.rehearse(source.connection, path, Consent())
        with files.locked(tmp_path / ".plan.json.lock", "plan.json"):
            with pytest.raises(GuardRefused, match="guard another purge"):
                restore.rehearse(source.connection, path, Consent())
            with pytest.raises(GuardRefused, match="guard another purge"):
                restore.restore(source.connection, path, rehearsed, rehearsed.confirm, poll_s=0.0)
        assert not w.deployment.called("/api/import/*")


def test_what_cannot_come_back_is_said(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, _ = purged(w)
        w.deployment.delete("tasks", w.ids["real"])
        made = restored(w, path)
        assert any(w.ids["real"] in text for text in made["lost_references"])


def test_an_altered_backup_or_a_weak_key_restores_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, _ = purged(w)
        with w.source(w.deployment.read_key) as source, pytest.raises(GuardRefused, match="guard key"):
            restore.rehearse(source.connection, path, Consent())
        saved = Path(receipt.read(path)["backup"]["path"])
        saved.write_bytes(saved.read_bytes()[:-9])
        with pytest.raises(GuardRefused, match="guard backup"):
            restored(w, path)


def test_a_backup_imported_by_mistake_changes_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        path, _ = purged(w)
        saved = Path(receipt.read(path)["backup"]["path"])
        assert len(backup.read(saved)) == len(LEFTOVERS)
        living = w.living()
        from analyzer.purge import writes

        with w.source() as source:
            client = source.connection.client
            import_id = writes.start_import(client, saved.read_bytes())
            restore._await(client, import_id, ("waiting_for_confirmation",), 0.0)
            writes.perform_import(client, import_id)
            restore._await(client, import_id, ("completed",), 0.0)
        assert w.living() == living
