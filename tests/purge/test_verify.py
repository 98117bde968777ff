"""Proof afterwards: what is not as it should be is found, named, and makes the exit code bad."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer.purge import receipt
from analyzer.purge.verify import Verdict, verify
from analyzer.purge.writes import Deleting
from analyzer.report import purge_text
from tests.purge.leftovers import LEFTOVERS, World, world
from tests.purge.test_commands import run


def look(w: World, made: dict[str, Any], **more: Any) -> Verdict:
    with w.source() as source:
        return verify(source, receipt.deleted(made), **more)


def test_who_names_what_is_gone_is_found_wherever_the_name_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        made = w.apply(*w.plan())
        assert look(w, made).is_good
        late = w.add("late", "todos", content="see", meta=[{"about": [w.ids["test"]]}], status="PENDING")
        found = look(w, made)
        assert found.dangling == (f"todos.meta[].about[] of {late} refers to {w.ids['test']}",) and not found.is_good
        assert look(w, made, ignored=["todos.meta[].about[]"]).is_good
        said = run(w, monkeypatch, "verify", "plan.receipt.json")
        assert said.exit_code == 1 and f"DANGLING: todos.meta[].about[] of {late}" in said.stdout


def test_what_should_be_gone_and_is_not_is_found(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        plan, _ = w.plan()
        found = verify(source, plan.documents)
        assert set(found.still_there) == {w.ids[n] for n in LEFTOVERS} and found.gone == 0 and not found.is_good


def test_a_deletion_of_ours_that_no_plan_named_is_found(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.source() as source:
        plan, path = w.plan()
        since_ms = int(w.deployment.clock.now_ms)
        made = w.apply(plan, path)
        stray = replace(plan.documents[0], table="todos", id=w.ids["real todo"])
        Deleting(source.connection.client).delete([stray])
        found = verify(source, receipt.deleted(made), since_ms=since_ms)
        assert found.outside_plan == (stray.id,) and found.is_audit_read and not found.is_good
        assert verify(source, receipt.deleted(made), since_ms=since_ms, changed=[stray.id]).is_good
        shown = purge_text.receipt_md(made | {"verified": found.as_data(), "audit": list(found.audit)})
        assert stray.id in shown and "name no other document" not in shown


def test_a_receipt_without_its_fields_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        made = w.apply(plan, path)
        for name in ("id", "deployment", "plan_hash", "backup", "deleted"):
            receipt.write({key: value for key, value in made.items() if key != name}, receipt.path_of(path))
            for command in ("verify", "restore"):
                said = run(w, monkeypatch, command, "plan.receipt.json")
                assert said.exit_code == 2 and "damaged" in said.stderr, (name, command, said.stderr)


def test_another_deployment_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        made = w.apply(plan, path)
        receipt.write(made | {"deployment": "other-one-2"}, receipt.path_of(path))
        said = run(w, monkeypatch, "verify", "plan.receipt.json")
        assert said.exit_code == 2 and f"is of other-one-2, and {plan.deployment} answers" in said.stderr
