"""A whole rollout log, read as data."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from analyzer.analysis.rollout_log import log_findings, parse_log, read_log
from analyzer.errors import SourceInvalid, SourceUnreachable
from tests.analysis.example_log import EXAMPLE, SOURCE, read

LOG = read_log(EXAMPLE)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_every_line_of_the_example_is_understood_and_noted_once_in_order() -> None:
    assert LOG.unexplained == ()
    assert [note.line for note in LOG.lines] == list(range(1, len(SOURCE.splitlines()) + 1))
    assert {note.kind for note in LOG.lines} >= {
        "title", "metadata", "phase", "task", "timestamp", "status", "json", "metric", "checkpoint", "command",
        "checklist", "smoke-test", "known-issue", "reference", "rule", "blank",
    }  # fmt: skip


def test_the_metadata_lines_give_deployment_start_and_number_of_phases() -> None:
    assert LOG.title == "Search Rewrite Rollout Log"
    assert LOG.deployment_url == "https://gentle-otter-417.convex.cloud"
    assert LOG.deployment_name == "gentle-otter-417"
    assert LOG.started is not None and LOG.started.ms == ms("2026-02-03T08:35:00")
    assert LOG.utc_offset_minutes == 330
    assert LOG.total_phases == 4


def test_phases_carry_their_state_and_where_it_was_said() -> None:
    assert [(phase.number, phase.state, phase.state_from) for phase in LOG.phases] == [
        ("0", "completed", "heading"),
        ("1", "completed", "tasks"),
        ("2", "completed", "heading"),
        ("3", "skipped", "heading"),
        ("4", "pending", "heading"),
    ]
    assert LOG.phases[3].reason == "Needs a collector first"
    assert LOG.phases[3].notes == ("Planned for the next rollout",)


def test_flips_come_from_commands_and_headings_and_never_from_skipped_or_pending_phases() -> None:
    flips = [flip for phase in LOG.phases for flip in phase.flips]
    assert [(flip.flag, flip.value, flip.phase, flip.told_by) for flip in flips] == [
        ("SEARCH_RANKER_V2", "true", "1", "command"),
        ("ENABLE_QUERY_CACHE", "true", "2", "heading"),
    ]
    assert [flip.at.ms for flip in flips if flip.at] == [ms("2026-02-03T08:40:30"), ms("2026-02-03T08:55:00")]
    assert [flip.at.precision_ms for flip in flips if flip.at] == [1_000, 60_000]


def test_a_time_without_offset_takes_the_logs_own_and_one_with_its_own_keeps_it() -> None:
    first, *_ = LOG.phases[0].tasks
    assert first.at is not None and not first.at.has_offset and first.at.ms == ms("2026-02-03T08:35:00")
    zulu = LOG.phases[1].tasks[2].at
    assert zulu is not None and zulu.has_offset and zulu.ms == ms("2026-02-03T08:42:00")


def test_tasks_hold_commands_status_flags_and_checklists() -> None:
    phase = LOG.phases[1]
    switch, read_back, _ = phase.tasks
    assert (switch.number, switch.title) == ("1.1.1", "Switch the ranker on")
    assert [(command.kind, command.flag, command.value) for command in switch.commands] == [
        ("set-flag", "SEARCH_RANKER_V2", "true")
    ]
    assert read_back.flag_states[0].flags == {"SEARCH_RANKER_V2": True}
    assert LOG.phases[0].tasks[2].status is not None
    assert LOG.phases[0].tasks[2].status.detail == "One alert, acknowledged"
    assert [item.done for item in phase.checklist] == [True, True, False]
    assert phase.checklist[1].at is not None and phase.checklist[1].at.ms == ms("2026-02-03T08:39:00")


def test_metric_tables_hold_numbers_with_units_counts_and_marks() -> None:
    base, final = LOG.baseline_metrics, LOG.final_metrics
    assert base is not None and final is not None
    assert base.column == "Baseline Value" and base.at is not None and base.at.ms == ms("2026-02-03T08:37:00")
    assert {row.id: (row.value, row.unit, row.k, row.n) for row in base.rows} == {
        "health_status": (None, "text", None, None),
        "alert_count": (0.0, "count", None, None),
        "stuck_messages": (1.0, "count", None, None),
        "error_rate": (0.015, "share", None, None),
        "completion_rate": (0.98, "share", 196, 200),
        "response_time": (2400.0, "ms", None, None),
    }
    right_after = LOG.phases[1].all_metric_tables[0].row("alert_count")
    assert right_after is not None and right_after.mark == "failed"
    assert final.title == "Final Health Check" and final.row("mode") is not None


def test_the_final_flag_state_has_all_flags_and_the_mode() -> None:
    assert LOG.final_flags is not None
    assert LOG.final_flags.mode == "direct"
    assert LOG.final_flags.flags == {
        "SEARCH_RANKER_V2": True,
        "ENABLE_QUERY_CACHE": True,
        "ENABLE_TRACE_SAMPLING": False,
        "ENABLE_WORKFLOW": False,
    }


def test_checkpoint_rows_have_offsets_and_know_which_cells_are_open() -> None:
    (table,) = LOG.checkpoint_tables
    assert table.phase == "1"
    assert table.columns == ("time", "health", "alerts", "error_rate", "status")
    assert [(row.label, row.offset_ms, row.is_open) for row in table.rows] == [
        ("T+30m", 1_800_000, False),
        ("T+2h", 7_200_000, True),
        ("T+24h", 86_400_000, True),
    ]
    status, health = table.rows[1].cell("status"), table.rows[1].cell("health")
    assert status is not None and status.is_open and not status.is_empty
    assert health is not None and health.is_empty
    for row in table.rows:
        for cell in row.cells:
            assert SOURCE[cell.start_byte : cell.end_byte].decode().strip() == cell.text
            assert SOURCE[cell.start_byte - 1 : cell.start_byte] == SOURCE[cell.end_byte : cell.end_byte + 1] == b"|"


def test_the_smoke_test_has_the_id_of_its_task_and_the_time_of_its_section() -> None:
    (test,) = LOG.smoke_tests
    assert (test.title, test.task_id) == ("ranker smoke | run", "jh71c9w3v5m2k8x4q6r0t7y9a3b5d1f0")
    assert test.status is not None and test.status.state == "completed"
    assert test.at is not None and test.at.ms == ms("2026-02-03T09:01:00")


def test_rollback_commands_are_kept_by_phase_and_for_all() -> None:
    assert [command.text for command in LOG.phases[1].rollback] == ["npx convex env set SEARCH_RANKER_V2 false"]
    assert [command.flag for command in LOG.rollback] == ["ENABLE_QUERY_CACHE", "SEARCH_RANKER_V2"]
    assert [(reference.title, len(reference.commands)) for reference in LOG.references] == [
        ("Health", 1),
        ("Emergency Rollback (All)", 2),
    ]
    assert LOG.references[0].commands[0].function == "monitoring/dashboard:getSystemHealth"


def test_known_issues_are_kept_with_their_parts() -> None:
    (issue,) = LOG.known_issues
    assert issue.title == 'Alerts "stuck" after load tests'
    assert issue.cause == "Load tests leave messages that stream for ever."
    assert issue.resolutions == ("Wait: They leave the window after an hour", "Delete them: With the purge command")
    assert issue.verification == "No alert after the window has passed."


def test_the_example_is_consistent_but_for_its_gaps() -> None:
    assert {finding.id: finding.details["line"] for finding in log_findings(LOG)} == {
        "log-final-metrics": 121,
        "log-open-checkpoints": 72,
    }


@pytest.mark.parametrize(
    ("change", "finding", "line"),
    [
        ((b"(PENDING)", b"(COMPLETED)"), "log-state", 101),
        ((b"ENABLE_QUERY_CACHE (COMPLETED)", b"ENABLE_QUERY_CACHE (SKIPPED)"), "log-final-flags", 110),
        ((b'"ENABLE_QUERY_CACHE": true', b'"ENABLE_QUERY_CACHE": false'), "log-final-flags", 110),
        ((b"14:31 UTC", b"14:21 UTC"), "log-time-order", 107),
        ((b"**Total Phases:** 4", b"**Total Phases:** 9"), "log-phase-count", 1),
        ((b"## Phase 3: ENABLE_TRACE_SAMPLING", b"## Phase 2: ENABLE_TRACE_SAMPLING"), "log-phase-twice", 92),
        ((b"**Impact:** Only", b"**Impact:** Health says degraded, only"), "log-known-issue", 153),
        ((b"- Task ID:", b"- Task ID none:"), "log-smoke-test", 128),
        ((b"\xe2\x9c\x85 SUCCESS", b"\xe2\x9d\x8c FAILED"), "log-smoke-test", 128),
        ((b"env set ENABLE_QUERY_CACHE false", b"env list"), "log-no-rollback", 85),
        ((b" (196/200)", b""), "log-no-counts", None),
    ],
)
def test_what_the_log_says_against_itself_is_a_finding_with_its_line(
    change: tuple[bytes, bytes], finding: str, line: int | None
) -> None:
    assert change[0] in SOURCE
    log = parse_log(SOURCE.replace(*change).replace(b" (1/200)", b"" if line is None else b" (1/200)"), where="log.md")
    found = {found.id: found.details["line"] for found in log_findings(log)}
    assert found.get(finding) == (line or 33)


def test_a_log_that_is_only_prose_has_no_phases_and_no_findings() -> None:
    log = read("We shipped it on Tuesday.\n")
    assert log.phases == () and log.baseline_metrics is None and log.final_flags is None
    assert log_findings(log) == ()


def test_an_empty_file_is_an_empty_log() -> None:
    log = parse_log(b"", where="log.md")
    assert log.lines == () and log.sections == () and log.title == ""


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(SourceInvalid, match=r"^log\.md line 3 holds bytes that are not UTF-8$"):
        parse_log(b"# Log\r\n\r\n**Started:** \xff\n", where="log.md")
    with pytest.raises(SourceInvalid, match="line 1 "):
        parse_log("# Log\n".encode("utf-16"), where="log.md")


def test_a_file_far_too_large_for_a_log_is_refused() -> None:
    with pytest.raises(SourceInvalid, match="bytes"):
        parse_log(b"x" * (16 * 2**20 + 1), where="log.md")
    with pytest.raises(SourceInvalid, match="lines"):
        parse_log(b"\n" * 1_000_001, where="log.md")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match=r"missing\.md cannot be read: No such file"):
        read_log(tmp_path / "missing.md")
