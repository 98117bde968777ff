"""Applying a plan to a deployment over real sockets: what goes, what stays, and what is left to prove it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.purge import backup, live, plan_file, receipt
from tests.purge.leftovers import LEFTOVERS, world


def test_leftovers_go_and_everything_else_stays(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        before = w.living()
        plan, path = w.plan()
        assert {document.id for document in plan.documents} == {w.ids[name] for name in LEFTOVERS}
        assert not plan.blocked
        made = w.apply(plan, path, reason="the known issue")
        assert before - w.living() == {w.ids[name] for name in LEFTOVERS}
        assert made["verified"]["ok"]
        assert {document["id"] for document in made["deleted"]} == {w.ids[name] for name in LEFTOVERS}
        assert receipt.read(receipt.path_of(path)) == json.loads(json.dumps(made))
        held = backup.read(Path(made["backup"]["path"]))
        assert set(held) == {w.ids[name] for name in LEFTOVERS}
        assert Path(made["backup"]["path"]).stat().st_mode & 0o777 == 0o600


def test_planning_changes_nothing_and_the_plan_binds_what_it_read(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        history = len(w.deployment.history)
        plan, path = w.plan()
        assert len(w.deployment.history) == history
        assert plan_file.read(path) == plan
        assert plan.confirm == f"{plan.deployment}/{len(LEFTOVERS)}/{plan.hash[:6]}"
        assert all(document.sha256 and document.bytes for document in plan.documents)


@pytest.mark.parametrize(
    "absent", [set(), {"/api/v1/data/sync"}, {"/api/v1/data/sync", "/api/document_deltas", "/api/list_snapshot"}]
)
def test_every_way_of_reading_leads_to_the_same_plan(tmp_path: Path, absent: set[str]) -> None:
    with world(tmp_path, absent=absent, has_streaming_export=len(absent) < 2) as w:
        plan, path = w.plan()
        assert {document.id for document in plan.documents} == {w.ids[name] for name in LEFTOVERS}
        assert w.apply(plan, path)["verified"]["ok"]


def test_a_deployment_of_many_pages_is_purged_like_a_small_one(tmp_path: Path) -> None:
    with world(tmp_path, sync_rows=3, sync_rows_read=3) as w:
        plan, path = w.plan()
        assert {document.id for document in plan.documents} == {w.ids[name] for name in LEFTOVERS}
        assert w.apply(plan, path)["verified"]["ok"]


def test_a_table_that_an_import_replaced_is_looked_at_anew(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        watch = live.Watch(source, frozenset({w.ids["test"]}), frozenset({w.ids["test todo"]}))
        watch.refresh()
        assert {r.id for r in watch.references()} >= {w.ids["test todo"], w.ids["test message"]}
        assert set(watch.written_ns) == {w.ids["test todo"]}
        w.deployment.replace_table("todos", [])
        watch.refresh()
        assert {r.id for r in watch.references()} == {w.ids["test message"]}
        assert not watch.written_ns
