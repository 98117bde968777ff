"""`analyzer rollout` on the demo's recordings: import, show, fill, looks, plans, decisions and the gate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.analysis import rollout_plan
from analyzer.collect import collect
from analyzer.config import DEFAULT_FLAGS
from analyzer.rules import fingerprints, load_all
from analyzer.sources import open_source
from analyzer.store import Store

DEMO = Path(__file__).parents[2] / "data" / "demo"
LOG = DEMO / "rollout-log.md"
RECORDINGS = ("01-baseline-0653", "06-after-tests-0658", "11-t-plus-24h-0659")


pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Collect the first minutes of the demo and the export a day later."""
    store = tmp_path_factory.mktemp("rollout") / "store.duckdb"
    for name in RECORDINGS:
        source = open_source(DEMO / name, deployment=None, taken_at_ns=None, flag_names=DEFAULT_FLAGS)
        collect(source, store, label=name, fingerprints=fingerprints(load_all()))
        source.close()
    return store


@pytest.fixture
def store(collected: Path, tmp_path: Path) -> Path:
    """Return a store of this test's own."""
    return Path(shutil.copy(collected, tmp_path / "own.duckdb"))


def run(store: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["rollout", *words, "--db", str(store)])


def test_import_says_of_every_line_what_it_was_read_as_and_import_again_changes_nothing(tmp_path: Path) -> None:
    store = tmp_path / "new.duckdb"
    result = run(store, "import", str(LOG))
    assert result.exit_code == 0
    assert "   31   metric      Health Status = healthy" in result.stdout
    assert "every line understood" in result.stdout
    assert "skipped: phase 4" in result.stdout
    assert "rollout 1 of curious-heron-412: recorded" in result.stderr
    assert "already recorded" in run(store, "import", str(LOG)).stderr


def test_import_marks_lines_that_it_does_not_understand(tmp_path: Path) -> None:
    log = tmp_path / "log.md"
    log.write_bytes(LOG.read_bytes() + b"\n| Colour | Mood |\n|---|---|\n| red | \x1b[31mangry |\n")
    result = run(tmp_path / "new.duckdb", "import", str(log))
    assert "? table" in result.stdout
    assert "\x1b" not in result.stdout
    found = json.loads(run(tmp_path / "new.duckdb", "import", str(log), "--format", "json").stdout)
    assert [line["line"] for line in found["lines"] if not line["understood"]] == [226, 228]


def test_a_log_without_a_deployment_needs_one_by_name(tmp_path: Path) -> None:
    log = tmp_path / "log.md"
    log.write_text("# Log\n\n## Phase 1: A_B\n")
    assert run(tmp_path / "new.duckdb", "import", str(log)).exit_code == 2
    assert run(tmp_path / "new.duckdb", "import", str(log), "--deployment", "happy-animal-123").exit_code == 0


def test_a_file_that_says_nothing_of_a_rollout_is_not_recorded_as_one(tmp_path: Path) -> None:
    for name, text in (("empty.md", ""), ("prose.md", "# Shopping\n\nMilk, and bread.\n")):
        (tmp_path / name).write_text(text)
        result = run(tmp_path / "store.duckdb", "import", str(tmp_path / name), "--deployment", "happy-animal-123")
        assert (result.exit_code, result.stdout) == (3, "")
        assert f"{name} says nothing of a rollout" in result.stderr
    assert not (tmp_path / "store.duckdb").exists()


@pytest.mark.parametrize(
    ("words", "fact"), [("--margin nan --flag A_B", "--margin is no number"), ("--flag=", "--flag")]
)
def test_a_plan_that_could_judge_nothing_is_not_frozen(tmp_path: Path, words: str, fact: str) -> None:
    result = run(tmp_path / "store.duckdb", "start", "--deployment", "happy-animal-123", *words.split())
    assert result.exit_code == 2
    assert fact in result.stderr


def test_show_holds_the_log_against_the_snapshots(store: Path) -> None:
    run(store, "import", str(LOG))
    shown = run(store, "show").stdout
    assert "ENABLE_WORKFLOW was turned on: off before, on after." in shown
    assert "skipped: No log provider is configured for this deployment" in shown
    assert "LOG_PROVIDER_ENABLED was skipped and stayed off." in shown
    assert "The log says Health Status healthy at 2025-12-16 06:58" in shown
    assert "documents say degraded" in " ".join(shown.split())
    assert "PASS         final-verification-test" in shown


def test_a_flag_that_is_not_as_the_log_says_is_found_and_makes_the_comparison_invalid(
    store: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.md"
    log.write_text(LOG.read_text().replace("ENABLE_WORKFLOW true`", "LOG_PROVIDER_ENABLED true`"))
    run(store, "import", str(log))
    shown = " ".join(run(store, "show").stdout.split())
    assert "LOG_PROVIDER_ENABLED should have been turned on, but it is off" in shown
    assert "ENABLE_WORKFLOW changed from false to true" in shown
    assert run(store, "checkpoint", "T+24h", "--format", "brief").stdout.startswith("INVALID")


def test_rollback_prints_commands_in_reverse_and_whether_they_were_run(store: Path) -> None:
    run(store, "import", str(LOG))
    lines = run(store, "show", "--rollback").stdout.splitlines()
    assert lines[:4] == [
        f"npx convex env set {flag} false"
        for flag in (
            "ENABLE_WORKFLOW",
            "ENABLE_MESSAGE_COMPRESSION",
            "ENABLE_PROMPT_MESSAGE_ID",
            "ENABLE_RETRY_WITH_BACKOFF",
        )
    ]
    assert all("still as the rollout left it" in line for line in lines[5:])
    one = run(store, "show", "--rollback", "--phase", "2").stdout.splitlines()
    assert one[0] == "npx convex env set ENABLE_PROMPT_MESSAGE_ID false"
    assert run(store, "show", "--rollback", "--phase", "9").exit_code == 2


def test_fill_with_no_data_gives_the_log_back_byte_for_byte(tmp_path: Path) -> None:
    run(tmp_path / "new.duckdb", "import", str(LOG))
    for store in ("new.duckdb", "missing.duckdb"):
        assert run(tmp_path / store, "fill", str(LOG)).stdout_bytes == LOG.read_bytes()


@pytest.mark.external
def test_one_export_a_day_later_fills_all_four_rows_and_says_that_three_are_reconstructed(
    store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "filled.md"
    assert run(store, "fill", str(LOG), "-o", str(out)).exit_code == 0
    before, after = LOG.read_text().splitlines(), out.read_text().splitlines()
    changed = [line for was, line in zip(before, after, strict=True) if was != line]
    assert len(changed) == 8
    assert all(line.startswith("| T+") for line in changed)
    assert changed[0].startswith("| T+1h | 2025-12-16 07:54 |")
    assert [("reconstructed" in line) for line in changed[:4]] == [True, True, True, False]
    assert changed[3].startswith("| T+24h | 2025-12-17 06:59 | healthy | 1 | messages 2.3% (9/387)")
    assert changed[3].endswith("| ❌ FAIL |")
    again = run(store, "fill", str(out))
    assert again.stdout_bytes == out.read_bytes()


@pytest.mark.external
def test_a_look_lists_what_it_rests_on(store: Path) -> None:
    run(store, "import", str(LOG))
    result = run(store, "checkpoint", "T+24h", "--full")
    assert result.exit_code == 1
    assert "=> guardrails" in result.stdout
    assert "Workflow error rate    0.8% (9 of 1,070) -> 4.7% (9 of 193)" in result.stdout
    assert "workflow error rate, model google/gemini-2.5-flash: 2 of 254 -> 9 of 42" in result.stdout
    assert "A/A" in result.stdout
    assert "rule:helper-message" in result.stdout


@pytest.mark.external
def test_a_look_as_json_has_exactly_the_fields_of_report_1_and_the_same_bytes_each_time(store: Path) -> None:
    run(store, "import", str(LOG))
    first = run(store, "checkpoint", "T+1h", "--format", "json")
    assert first.stdout == run(store, "checkpoint", "T+1h", "--format", "json").stdout
    found = json.loads(first.stdout)
    assert list(found) == [
        *("schema", "deployment", "rollout", "baseline", "after", "verdict", "action", "reason_code", "alpha"),
        *("metrics", "checkpoints", "filter", "explain", "smoke_tests", "rollback", "findings", "warnings"),
    ]
    assert list(found["metrics"][0]) == [
        *("id", "role", "direction", "unit", "baseline", "after", "diff", "test", "margin", "min_n"),
        *("verdict", "reason_code", "n_needed"),
    ]
    assert found["verdict"] == "INCONCLUSIVE"
    assert found["checkpoints"][0]["reconstructed"]
    assert found["alpha"]["shares"] == [0.005, 0.01, 0.01, 0.025]


def test_an_unknown_look_is_refused_with_the_valid_ones(store: Path) -> None:
    run(store, "import", str(LOG))
    result = run(store, "checkpoint", "T+2h")
    assert result.exit_code == 2
    assert "T+1h, T+6h, T+12h, T+24h" in result.stderr


def test_the_gate_fails_closed(store: Path, tmp_path: Path) -> None:
    run(store, "import", str(LOG))
    assert run(store, "gate").exit_code == 1
    early = ("gate", "--checkpoint", "T+1h")
    assert run(store, *early).exit_code == 4
    assert run(store, *early, "--on-inconclusive", "pass").exit_code == 0
    assert run(tmp_path / "missing.duckdb", "gate").exit_code == 3
    empty = tmp_path / "empty.duckdb"
    run(empty, "import", str(LOG))
    nothing = run(empty, "gate", "--on-inconclusive", "pass")
    assert nothing.exit_code == 5
    assert nothing.stdout.startswith("NO_DATA  T+24h")


@pytest.mark.external
def test_flags_that_changed_between_snapshots_are_a_rollout_by_themselves(store: Path) -> None:
    shown = run(store, "show").stdout
    assert "not recorded, seen between snapshots" in shown
    assert "ENABLE_RETRY_WITH_BACKOFF was turned on: off before, on after." in shown
    assert run(store, "gate").exit_code == 1
    assert run(store, "accept", "--by", "Ana", "--because", "x").exit_code == 2


def test_a_frozen_plan_changes_only_on_record(store: Path) -> None:
    words = ("start", "--flag", "ENABLE_WORKFLOW", "--at", "2025-12-16T12:57:20Z", "--checkpoint", "24h")
    assert "recorded" in run(store, *words).stdout
    assert "already recorded" in run(store, *words).stdout
    refused = run(store, *words, "--margin", "0.5")
    assert refused.exit_code == 6
    assert "metrics" in refused.stderr
    amended = run(store, *words, "--margin", "0.5", "--amend", "--because", "agreed with the team")
    assert "plan amended" in amended.stdout
    assert "version 2" in amended.stdout
    assert run(store, *words, "--amend").exit_code == 2


def test_a_plan_frozen_before_a_metric_existed_stays_the_same_plan_in_a_version_that_has_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("start", "--flag", "ENABLE_WORKFLOW", "--at", "2025-12-16T12:57:20Z", "--checkpoint", "24h")
    older = {name: kind for name, kind in rollout_plan.KINDS.items() if name != "cost_per_workflow"}
    with monkeypatch.context() as as_before:
        as_before.setattr(rollout_plan, "KINDS", older)
        run(store, *words)
        run(store, "import", str(LOG))
    with Store.read(store) as opened:
        before = [stored.plan for stored in opened.rollouts.all()]
    assert "already recorded" in run(store, *words).stdout
    assert "already recorded" in run(store, "import", str(LOG)).stderr
    with Store.read(store) as opened:
        assert [stored.plan for stored in opened.rollouts.all()] == before
    judged = json.loads(run(store, "checkpoint", "T+24h", "--rollout", "1", "--format", "json").stdout)
    assert {metric["id"] for metric in judged["metrics"]} == set(older)


def test_a_rollout_started_by_hand_is_judged_by_its_own_plan(store: Path) -> None:
    run(store, "start", "--flag", "ENABLE_WORKFLOW", "--at", "2025-12-16T12:57:20Z", "--checkpoint", "24h",
        "--role", "workflow_error_rate=dry-run", "--role", "message_error_rate=dry-run")  # fmt: skip
    result = run(store, "checkpoint", "T+24h", "--format", "json")
    found = json.loads(result.stdout)
    assert found["alpha"]["look"] == 0.05
    roles = {metric["id"]: metric["role"] for metric in found["metrics"]}
    assert roles["workflow_error_rate"] == "dry-run"
    assert "Holm" not in found["reason_code"]
    assert run(store, "start", "--flag", "X", "--role", "nothing=signal").exit_code == 2


@pytest.mark.external
def test_an_acceptance_is_shown_and_changes_no_verdict(store: Path) -> None:
    run(store, "import", str(LOG))
    accepted = run(store, "accept", "--by", "Ana \x1b[1m", "--because", "an outage of the provider")
    assert accepted.exit_code == 0
    assert "its verdict stays FAIL" in accepted.stdout
    shown = run(store, "show").stdout
    assert "Accepted by Ana \\x1b[1m" in shown
    assert run(store, "gate").exit_code == 1


def test_a_newer_log_that_changes_the_plan_is_refused_and_a_filled_one_is_not(store: Path, tmp_path: Path) -> None:
    run(store, "import", str(LOG))
    filled = tmp_path / "filled.md"
    run(store, "fill", str(LOG), "-o", str(filled))
    assert "log replaced" in run(store, "import", str(filled)).stderr
    moved = tmp_path / "moved.md"
    moved.write_text(LOG.read_text().replace("| T+6h |", "| T+5h |"))
    assert run(store, "import", str(moved)).exit_code == 6
    amended = run(store, "import", str(moved), "--amend", "--because", "a holiday")
    assert "plan amended" in amended.stderr


@pytest.mark.external
def test_flips_hours_apart_are_changes_of_their_own_with_verdicts_of_their_own(store: Path, tmp_path: Path) -> None:
    head, _, tail = LOG.read_text().partition("## Phase 5")
    log = tmp_path / "log.md"
    log.write_text(f"{head}## Phase 5{tail.replace('2025-12-16 06:57', '2025-12-16 12:30', 1)}")
    run(store, "import", str(log))
    assert "2 changes" in run(store, "show").stdout
    shown = run(store, "checkpoint", "T+12h", "--change", "2").stdout
    assert "T+24h  change 1  FAIL" in shown
    assert "The baseline holds other changes (1)" in shown
    assert run(store, "checkpoint", "T+1h", "--change", "3").exit_code == 2
