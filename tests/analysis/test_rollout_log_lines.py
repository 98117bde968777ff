"""Markdown as people and programs really write it: understood, or reported with its line."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.analysis.rollout_log import fill, log_findings, parse_log
from analyzer.errors import SourceInvalid
from tests.analysis.example_log import SOURCE, read, reasons

HEAD = "**Started:** 2026-02-03 14:05 UTC+05:30\n"  # gives the log an offset; line 1


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_line_ends_change_nothing_but_byte_positions(end: bytes) -> None:
    plain, other = parse_log(SOURCE, where="log.md"), parse_log(SOURCE.replace(b"\n", end), where="log.md")
    assert other.lines == plain.lines
    assert [phase.flips for phase in other.phases] == [phase.flips for phase in plain.phases]
    (table,) = other.checkpoint_tables
    assert [cell.text for row in table.rows for cell in row.cells] == [
        other.source[cell.start_byte : cell.end_byte].decode().strip() for row in table.rows for cell in row.cells
    ]


def test_a_byte_order_mark_hides_neither_the_title_nor_moves_a_cell() -> None:
    log = parse_log(b"\xef\xbb\xbf" + SOURCE, where="log.md")
    assert log.title == "Search Rewrite Rollout Log"
    cell = log.checkpoint_tables[0].rows[0].cells[0]
    assert log.source[cell.start_byte : cell.end_byte] == b" 14:41    "
    table = parse_log(b"\xef\xbb\xbf| Checkpoint | Time |\n|-|-|\n| T+1h | x |\n", where="log.md").checkpoint_tables[0]
    assert log.source[cell.start_byte : cell.end_byte].strip() == b"14:41" and table.rows[0].cells[0].text == "x"


@pytest.mark.parametrize(
    ("heading", "number", "title", "state"),
    [
        ("## Phase 2: ENABLE_X (COMPLETED)", "2", "ENABLE_X", "completed"),
        ("# Phase 2 - ENABLE_X - DONE", "2", "ENABLE_X", "completed"),
        ("### ✅ Phase 2: ENABLE_X", "2", "ENABLE_X", "pending"),
        ("## Phase 2: ENABLE_X ⏭️", "2", "ENABLE_X", "skipped"),
        ("## PHASE 2. ENABLE_X (In Progress) ##", "2", "ENABLE_X", "in_progress"),
        ("## Phase 2.1: ENABLE_X (day one)", "2.1", "ENABLE_X (day one)", "pending"),
        ("## Phase 2: ENABLE_X (ROLLED BACK)", "2", "ENABLE_X", "rolled_back"),
        ("## Phase 2: ENABLE_X (failed)", "2", "ENABLE_X", "failed"),
        ("## Phase 2", "2", "", "pending"),
    ],
)
def test_phase_headings_are_read_in_many_spellings(heading: str, number: str, title: str, state: str) -> None:
    (phase,) = read(heading).phases
    assert (phase.number, phase.title, phase.state) == (number, title, state)


@pytest.mark.parametrize(
    ("line", "state", "detail"),
    [
        ("✅ DONE", "completed", ""),
        ("✅ DONE - No alerts", "completed", "No alerts"),
        ("⏭️ SKIPPED - needs Redis", "skipped", "needs Redis"),
        ("Not started", "pending", ""),
        ("⬜", "pending", ""),
        ("❌", "failed", ""),
        ("in-progress, 40%", "in_progress", "40%"),
    ],
)
def test_status_lines_are_read_in_many_spellings(line: str, state: str, detail: str) -> None:
    log = read(f"## Phase 1: A\n**Status:** {line}\n")
    assert log.phases[0].state == state and log.phases[0].state_from == "status"
    assert log.phases[0].status is not None and log.phases[0].status.detail == detail
    assert log.unexplained == ()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-02-03 14:05", "2026-02-03T08:35:00+00:00"),
        ("2026-02-03 14:05 UTC", "2026-02-03T14:05:00+00:00"),
        ("2026-02-03T14:05:06.250Z", "2026-02-03T14:05:06.250+00:00"),
        ("2026-02-03 14:05 -0600", "2026-02-03T20:05:00+00:00"),
        ("2026-02-03 14:05 UTC\u22126", "2026-02-03T20:05:00+00:00"),
        ("2026-02-03 14:05:59+05:45", "2026-02-03T08:20:59+00:00"),
        ("1969-12-31 23:59 UTC", "1969-12-31T23:59:00+00:00"),
        ("2026-02-03 14:05 UTC\u201306:00", "2026-02-03T20:05:00+00:00"),  # an en dash, as editors put it
        ("2026-02-03 14:05 UTC\u201106:00", "2026-02-03T20:05:00+00:00"),  # a hyphen that does not break
        ("2026-02-03 14:05 (UTC-06:00)", "2026-02-03T20:05:00+00:00"),
        ("2026-02-03\u00a014:05\u202fUTC", "2026-02-03T14:05:00+00:00"),  # spaces that do not break
    ],
)
def test_times_are_read_with_and_without_offset(text: str, utc: str) -> None:
    from datetime import datetime

    log = read(f"{HEAD}## Phase 1: A\n**Timestamp:** {text}\n")
    assert log.unexplained == ()
    assert log.phases[0].at is not None
    assert log.phases[0].at.ms == round(datetime.fromisoformat(utc).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-30 14:05", "is no date and time"),
        ("2026-02-03 25:05", "is no date and time"),
        ("0000-02-03 05:05", "is no date and time"),
        ("around noon", "is no date and time"),
        ("2026-02-03 14:05 +99:00", "is no date and time"),
        ("2026-02-03 14:05 CST", "“CST” is no offset"),
        ("2026-02-03 2:05 PM", "“PM” is no offset"),
        ("2026-02-03 14:05 (about)", "behind it was not"),
        ("2026-02-03 14:05 (PDT)", "“(PDT)” is no offset"),
        ("2026-02-03 14:05-14:20", "is no date and time"),  # from when to when, and no offset of 14:20
        ("2026-02-03 10:00-15:00", "is no date and time"),
        ("2026-02-03 14:05\u201314:20", "behind it was not"),
    ],
)
def test_a_time_that_cannot_be_trusted_is_reported_with_its_line(text: str, why: str) -> None:
    assert why in reasons(read(f"{HEAD}## Phase 1: A\n**Timestamp:** {text}\n"))[3]


def test_a_time_without_offset_in_a_log_without_one_is_reported_and_never_guessed() -> None:
    log = read("## Phase 1: A_B (COMPLETED)\n**Timestamp:** 2026-02-03 14:05\n")
    assert log.phases[0].at is not None and log.phases[0].at.ms is None
    assert "without offset" in reasons(log)[2]


def test_the_offset_of_a_later_line_serves_a_log_whose_start_has_none() -> None:
    log = read("**Started:** 2026-02-03 14:05\n## Phase 1: A\n**Timestamp:** 2026-02-03 14:06 UTC+01:00\n")
    assert log.utc_offset_minutes == 60 and log.unexplained == ()


def test_a_second_time_or_status_in_the_same_place_is_reported() -> None:
    log = read(HEAD + "## Phase 1: A\n**Status:** DONE\n**Status:** FAILED\n" + "**Time:** 2026-02-03 14:05\n" * 2)
    assert log.phases[0].state == "completed"
    assert set(reasons(log)) == {4, 6}


def test_escaped_pipes_belong_to_their_cell_and_pipes_at_the_ends_are_optional() -> None:
    log = read("## Final\n| Metric | Value |\n|---|:-:|\n| a \\| b | x\\\\ |\n c | d\n")
    assert log.final_metrics is not None
    assert [(row.name, row.text) for row in log.final_metrics.rows] == [("a | b", "x\\\\"), ("c", "d")]


def test_half_a_table_is_reported_line_by_line() -> None:
    log = read(
        "## Final\n| Metric | Value |\n| Error Rate | 0% |\n\n| Metric | Value |\n|---|---|\n\n| Metric |\n|---|---|\n"
    )
    assert set(reasons(log)) == {2, 3, 5, 8, 9}
    assert "a row without a table" in reasons(log)[2] and reasons(log)[5] == "a table without rows"


def test_rows_of_the_wrong_width_are_reported_and_the_others_read() -> None:
    log = read("## Final\n| Metric | Value |\n|---|---|\n| Error Rate |\n| A | 1 | 2 |\n| B | 3 |\n| | 4 |\n")
    assert log.final_metrics is not None and [row.id for row in log.final_metrics.rows] == ["b"]
    assert set(reasons(log)) == {4, 5, 7} and reasons(log)[5] == "a row of 3 cells under a header of 2"


def test_a_metric_that_should_be_a_number_and_is_not_is_reported() -> None:
    log = read("## Final\n| Metric | Value |\n|---|---|\n| Error Rate | fine |\n| Alert Count | |\n| Vibe | good |\n")
    assert reasons(log) == {4: "Error Rate: “fine” is no number"}


def test_a_table_with_two_columns_of_values_gives_two_tables() -> None:
    log = read("## Final\n| Metric | Baseline | After | Status |\n|-|-|-|-|\n| Error Rate | 1% | 2/50 | ✅ |\n")
    base, after = log.sections[0].metric_tables
    assert (base.column, base.rows[0].value) == ("Baseline", 0.01)
    assert (after.column, after.rows[0].value, after.rows[0].k, after.rows[0].n) == ("After", 0.04, 2, 50)
    assert base.rows[0].mark == after.rows[0].mark == "completed"


def test_a_table_of_no_known_kind_is_reported() -> None:
    assert set(reasons(read("## Final\n| Who | When |\n|-|-|\n| me | now |\n"))) == {2, 4}


def test_checkpoint_rows_that_are_none_are_reported_and_short_ones_are_kept() -> None:
    log = read(
        "| Checkpoint | Time | Health |\n|-|-|-|\n| T+1h | |\n| later | | |\n| T + 7 days | | |\n| T+1h | | | |\n"
    )
    (table,) = log.checkpoint_tables
    assert [(row.offset_ms, len(row.cells)) for row in table.rows] == [(3_600_000, 1), (604_800_000, 2)]
    assert set(reasons(log)) == {3, 4, 6}


def test_a_code_fence_that_is_never_closed_hides_and_reports_what_follows() -> None:
    log = read("## Phase 1: A\n```json\n{\n## Phase 2: B\n\n")
    assert len(log.phases) == 1
    assert set(reasons(log)) == {2, 3, 4, 5}
    assert "opened in line 2 is never closed" in reasons(log)[4]


def test_headings_and_fields_inside_code_are_code() -> None:
    log = read("## Phase 1: A (DONE)\n~~~~bash\n## Phase 2: B\n~~~\nnpx convex env set A_B true\n~~~~\n")
    assert len(log.phases) == 1 and log.phases[0].flips[0].flag == "A_B" and log.unexplained == ()


def test_html_comments_hide_what_is_in_them() -> None:
    log = read("<!-- ## Phase 1: A\n## Phase 2: B\n-->\n## Phase 3: C\n<!-- open\n## Phase 4: D\n")
    assert [phase.number for phase in log.phases] == ["3"]
    assert set(reasons(log)) == {5, 6}


def test_html_quotes_and_prose_are_reported_and_prose_is_kept() -> None:
    log = read(
        "## Phase 1: A\n<script>alert(1)</script>\n\n> quoted\n\nBob restarted it.\n\n    indented\n<https://x.y>\n"
    )
    assert set(reasons(log)) == {2, 4, 6, 8, 9}
    assert log.phases[0].notes == ("Bob restarted it.", "indented", "<https://x.y>")


def test_unknown_fields_items_headings_and_sections_are_reported_and_their_contents_read() -> None:
    log = read(
        '## Party\n**Owner:** Jo\n- cake\n### Music\n```json\n{"A_B": true, "volume": 11}\n```\n```python\nx\n```\n'
    )
    assert set(reasons(log)) == {1, 2, 3, 4, 6, 8, 9}
    assert log.sections[0].flag_states[0].flags == {"A_B": True}
    assert log.sections[0].notes == ("Owner: Jo", "cake")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"A_B": tru}', "not JSON"),
        ('{"A_B": true, "A_B": false}', "a key stands twice"),
        ("[true]", "does not say which flags are on"),
        ('{"status": "healthy"}', "does not say which flags are on"),
        ("[" * 5000, "nested too deep"),
        ("9" * 5000, "not JSON"),
        ("", "not JSON"),
    ],
)
def test_json_that_is_no_flag_state_is_reported(text: str, why: str) -> None:
    log = read(f"```json\n{text}\n```\n")
    assert why in reasons(log)[2] and log.sections == ()


def test_flag_states_take_text_and_null_and_report_other_keys_by_line() -> None:
    log = read('## Final\n```\n{\n  "A_B": "true",\n  "C_D": null,\n  "E_F": 3,\n  "mode": "direct"\n}\n```\n')
    assert log.final_flags is not None
    assert log.final_flags.flags == {"A_B": True, "C_D": None} and log.final_flags.mode == "direct"
    assert set(reasons(log)) == {6}


def test_json_keys_that_cannot_be_found_in_a_line_are_reported_where_the_block_begins() -> None:
    many = ", ".join(f'"k{number}": 1' for number in range(30))
    assert set(reasons(read('```json\n{"A_B": true,\n"\\u0063": 1}\n```\n'))) == {1}
    assert set(reasons(read(f'```json\n{{"A_B": true,\n{many}}}\n```\n'))) == {1, 3}


def test_a_phase_that_nothing_is_said_of_is_pending_without_a_time_and_unknown_with_one() -> None:
    log = read(f"{HEAD}## Phase 1: A_B\n## Phase 2: C_D\n**Timestamp:** 2026-02-03 14:05\n")
    assert [(phase.state, len(phase.flips)) for phase in log.phases] == [("pending", 0), ("unknown", 1)]


def test_commands_are_joined_stripped_of_prompts_and_told_apart() -> None:
    log = read(
        "## Phase 1: A\n```console\n$ npx convex env --prod set A_B \\\n   true\n# off again\n"
        "bunx convex env remove 'A_B'\nnpx convex run --prod a/b:c '{}'\nnpx convex env set C_D=false\nls 'x\n```\n"
    )
    assert log.unexplained == ()
    assert [(c.kind, c.flag, c.value, c.function, c.line) for c in log.phases[0].commands] == [
        ("set-flag", "A_B", "true", None, 3),
        ("remove-flag", "A_B", None, None, 6),
        ("run", None, None, "a/b:c", 7),
        ("set-flag", "C_D", "false", None, 8),
        ("other", None, None, None, 9),
    ]


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("npx convex@latest env set A_B true", "true"),
        ("npx convex env set A_B TRUE", None),  # to the app, only exactly `true` is on
        ("npx convex env set A_B False", None),
    ],
)
def test_a_flag_is_set_to_what_the_app_will_read(command: str, value: str | None) -> None:
    log = read(f"{HEAD}## Phase 1: A_B (COMPLETED)\n**Command:** `{command}`\n**Timestamp:** 2026-02-03 14:05\n")
    assert [(flip.flag, flip.value, flip.told_by) for flip in log.phases[0].flips] == [("A_B", value, "command")]


def test_a_state_of_a_heading_may_say_why() -> None:
    log = read("## Phase 1: A_B (FAILED - timeouts)\n## Phase 2: C_D (Failed to answer)\n")
    assert [(phase.title, phase.state) for phase in log.phases] == [
        ("A_B", "failed"),
        ("C_D (Failed to answer)", "pending"),
    ]


def test_more_than_all_is_no_share_and_milliseconds_are_no_minutes() -> None:
    metrics = "## Health\n| Metric | Value |\n|-|-|\n| Error Rate | 120% |\n| Completion Rate | 100% |\n"
    looks = "## Phase 1: A\n| Checkpoint | Health |\n|-|-|\n| T+1ms | |\n| T+90m | |\n"
    log = read(metrics + looks)
    assert [row.value for section in log.sections for t in section.all_metric_tables for row in t.rows] == [None, 1.0]
    assert [row.offset_ms for row in log.checkpoint_tables[0].rows] == [90 * 60_000]


@pytest.mark.parametrize(
    "line",
    [
        "**Command:** `npx convex env set OPENAI_API_KEY hunter2`",
        "**Command:** `npx convex env --prod set WEBHOOK 'https://hunter2.example/with/path'`",
        "**Command:** `CONVEX_DEPLOY_KEY=hunter2 npx convex deploy`",
        "**Note:** ran npx convex data --admin-key hunter2",
        "We used prod:gentle-otter-417|hunter2 for it",
        "- [x] curl -H 'Authorization: Convex hunter2'",
        "**Odd:** sk-hunter2hunter2hunter2",
    ],
)
def test_secrets_of_a_log_reach_neither_values_nor_notes(line: str) -> None:
    log = read(f"## Phase 1: A\n{line}\n")
    assert "hunter2" not in repr(log)
    assert "<hidden>" in repr(log)
    assert log.source.endswith(line.encode() + b"\n")


def test_a_deployment_url_that_is_none_is_reported() -> None:
    for bad in ("soon", "https://user:pw@x.convex.cloud", "https://[::1", "https://x.convex.cloud:99999", "ftp://x"):
        log = read(f"**Deployment URL:** {bad}\n**Total Phases:** many\n")
        assert log.deployment_url is None and set(reasons(log)) == {1, 2}
    assert read("**Deployment URL:** [x](HTTPS://Happy.Convex.Cloud/abc)\n").deployment_url is None
    assert (
        read("**Deployment:** [x](https://Happy-1.Convex.Cloud/abc)\n").deployment_url == "https://happy-1.convex.cloud"
    )
    assert read("**URL:** http://127.0.0.1:3210/\n").deployment_url == "http://127.0.0.1:3210"


@pytest.mark.parametrize("behind", [".", ", production", "; see below", "!", "**"])
def test_what_stands_behind_a_deployment_url_is_no_part_of_its_name(behind: str) -> None:
    url = "https://happy-animal-123.convex.cloud"
    assert read(f"**Deployment URL:** {url}{behind}\n").deployment_url == url


@pytest.mark.external
@pytest.mark.parametrize(
    "source",
    [
        SOURCE * 700,
        b"| Checkpoint | Time |\n|-|-|\n" + b"| T+1h | |\n" * 100_000,
        b"x" * 5_000_000,
        b"|" * 5_000_000,
        (b"KEY" * 6000 + b"\n") * 270,
        (b"## Phase 1: " + b"(" * 19_000 + b"\n") * 270,
        (b"## Phase 1: " + b"A_A" * 6000 + b"a\n") * 270,
        b"**Cause:** a\n" + b"more and more of it\n" * 200_000,
        b"```json\n" + b"[" * 1_000_000 + b"\n```\n",
    ],
    ids=["log", "rows", "long-line", "pipes", "keys", "brackets", "names", "paragraph", "nested"],
)
def test_a_huge_file_takes_time_in_proportion_to_its_size(source: bytes) -> None:
    started = time.process_time()
    log = parse_log(source, where="log.md")
    assert time.process_time() - started < 20
    assert len(log.lines) == len(source.splitlines())


pieces = st.one_of(
    st.sampled_from([line + b"\n" for line in SOURCE.splitlines()]),
    st.sampled_from(
        [b"|", b"\\|", b"```\n", b"<!--\n", b"-->\n", b"\r", b"\n", b"\x00", b"\xef\xbb\xbf", b"**", b"\xc3"]
    ),
    st.text(max_size=12).map(str.encode),
    st.binary(max_size=3),
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Cut the example at random places, and put other pieces in."""
    mutated = SOURCE
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(mutated)))
        end = min(len(mutated), start + draw(st.sampled_from([0, 0, 1, 2, 30, 400])))
        mutated = mutated[:start] + draw(pieces) + mutated[end:]
    return mutated


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(mutations(), st.lists(pieces, max_size=40).map(b"".join)))
def test_no_mutation_of_a_log_raises_anything_but_source_invalid(source: bytes) -> None:
    try:
        log = parse_log(source, where="log.md")
    except SourceInvalid as error:
        assert "not UTF-8" in str(error)
        with pytest.raises(UnicodeDecodeError):
            source.decode()
        return
    log_findings(log)
    assert fill(log, {}) == source
    assert [note.line for note in log.lines] == list(range(1, len(source.splitlines()) + 1))
    assert all(note.text for note in log.unexplained)
    for table in log.checkpoint_tables:
        for cell in (cell for row in table.rows for cell in row.cells):
            assert source[cell.start_byte : cell.end_byte].decode().strip().replace("\\|", "|") == cell.text
