"""`analyzer purge` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from tests.purge import demo
from tests.purge.leftovers import LEFTOVERS, World, world


def run(w: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """Run a command in the folder of a world, with its deployment in the environment."""
    monkeypatch.chdir(w.folder)
    monkeypatch.setenv("CONVEX_SELF_HOSTED_URL", w.deployment.url)
    monkeypatch.setenv("CONVEX_SELF_HOSTED_ADMIN_KEY", w.deployment.read_key)
    monkeypatch.setenv("ANALYZER_WRITE_KEY", w.deployment.admin_key)
    monkeypatch.setenv("ANALYZER_DB", str(w.store))
    return CliRunner().invoke(main, ["purge", *words])


@pytest.mark.external
def test_the_demo_is_degraded_then_healthy_and_then_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    assert "as before, but for the ids" in capsys.readouterr().out


def test_nobody_watching_is_for_named_dev_and_preview_deployments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "--reason", "nightly", "-o", "night.json")
    with world(tmp_path) as w:
        name = w.deployment.settings.name
        before = w.living()
        for settings in ("", f"[deployments.{name}]\npurge = true\n", "[deployments.another]\nunattended = true\n"):
            (tmp_path / "analyzer.toml").write_text(settings)
            refused = run(w, monkeypatch, *words)
            assert refused.exit_code == 6 and "guard unattended" in refused.stderr
        assert w.living() == before
        (tmp_path / "analyzer.toml").write_text(f"[deployments.{name}]\nunattended = true\npurge = true\n")
        w.deployment.settings.kind = "prod"
        assert run(w, monkeypatch, *words).exit_code == 6
        assert w.living() == before
        w.deployment.settings.kind = "dev"
        done = run(w, monkeypatch, *words)
        assert done.exit_code == 0, done.stderr
        assert before - w.living() == {w.ids[n] for n in LEFTOVERS}
        for fmt in ("text", "md", "html", "json"):
            shown = run(w, monkeypatch, "show", "night.receipt.json", "--format", fmt)
            assert shown.exit_code == 0 and "nightly" in shown.stdout
        again = run(w, monkeypatch, "run", "--reason", "nightly", "-o", "next.json")
        assert again.exit_code == 0 and "nothing to delete" in again.stdout


def test_an_apply_without_the_confirmation_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        assert run(w, monkeypatch, "plan", "-o", "plan.json").exit_code == 0
        w.deployment.faults.refuse(500, times=None)
        for words in (("plan",), ("run", "--reason", "again")):  # a plan is never replaced, and that is seen at once
            again = run(w, monkeypatch, *words, "-o", "plan.json")
            assert again.exit_code == 2 and "plan.json exists" in again.stderr
        w.deployment.faults.clear()
        before = w.living()
        for more in ((), ("--confirm", "yes")):
            refused = run(w, monkeypatch, "apply", "plan.json", *more)
            assert refused.exit_code == 6 and "guard confirmation" in refused.stderr
        assert w.living() == before
        assert run(w, monkeypatch, "apply", "plan.json", "--yes").exit_code == 2


def test_an_apply_that_was_stopped_says_where_it_stands_and_what_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, delete_rows=2) as w:
        plan, _ = w.plan()
        w.deployment.faults.refuse(503, "Busy", function="_system/frontend/deleteDocuments", skip=2, times=None)
        stopped = run(w, monkeypatch, "apply", "plan.json", "--confirm", plan.confirm)
        assert stopped.exit_code == 3 and f"of {len(LEFTOVERS)} documents were deleted" in stopped.stderr
        assert "analyzer purge apply plan.json" in stopped.stderr
        assert "analyzer purge restore plan.json" in stopped.stderr
        w.deployment.faults.clear()
        looked = run(w, monkeypatch, "verify", "plan.json")
        assert looked.exit_code == 4 and "was not carried out to its end" in looked.stdout
        assert run(w, monkeypatch, "restore", "plan.json", "--confirm", "no").exit_code == 6
        done = run(w, monkeypatch, "apply", "plan.json", "--confirm", plan.confirm)
        assert done.exit_code == 0 and f"going on: 2 of {len(LEFTOVERS)} documents" in done.stderr
        for name in ("plan.json", "plan.receipt.json"):
            assert run(w, monkeypatch, "verify", name).exit_code == 0


def test_an_id_that_protects_nothing_is_refused_and_a_task_without_artifacts_is_said_to_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.plan("first.json")
        for mistyped in ("abc", w.ids["real"]):
            refused = run(w, monkeypatch, "plan", "--rehearse", "--exclude", mistyped, "-o", "plan.json")
            assert refused.exit_code == 2 and f"{mistyped} cannot be excluded" in refused.stderr
            assert not (tmp_path / "plan.json").exists()
        said = run(w, monkeypatch, "plan", "--rehearse", "--task", "k57", "-o", "plan.json")
        assert said.exit_code == 0 and "no test artifact belongs to k57" in said.stdout


def test_a_rehearsal_says_that_it_is_one_and_cannot_be_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        w.plan("first.json")
        said = run(w, monkeypatch, "plan", "--rehearse", "-o", "plan.json")
        assert said.exit_code == 0 and "A REHEARSAL" in said.stdout
        plan = json.loads((tmp_path / "plan.json").read_text())
        assert plan["rehearsal"] and all(d["sha256"] is None for g in plan["groups"] for d in g["documents"])
        refused = run(w, monkeypatch, "apply", "plan.json", "--confirm", plan["confirm"])
        assert refused.exit_code == 6 and "guard plan version" in refused.stderr


@pytest.mark.parametrize("fmt", ["text", "md", "html"])
def test_a_receipt_without_its_fields_is_called_damaged(tmp_path: Path, fmt: str) -> None:
    (tmp_path / "cut.json").write_text('{"schema": "receipt/1", "deleted": 7}')
    result = CliRunner().invoke(main, ["purge", "show", str(tmp_path / "cut.json"), "--format", fmt])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is damaged: it lacks fields of a receipt" in result.stderr
