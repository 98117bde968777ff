"""Words to numbers and back."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer import units

LAST_MS = 253_402_300_799_999


@given(st.integers(0, units.MAX_DURATION_MS))
def test_a_duration_reads_back_as_it_was_written(ms: int) -> None:
    assert units.parse_duration_ms(units.duration(ms)) == ms


@given(st.integers(0, LAST_MS))
def test_an_instant_reads_back_as_it_was_written(ms: int) -> None:
    assert units.parse_instant_ms(units.instant(ms)) == ms


@given(st.integers(0, LAST_MS))
def test_an_instant_agrees_with_the_calendar_of_the_standard_library(ms: int) -> None:
    assert datetime.fromisoformat(units.instant(ms)) == datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("30s", 30_000), ("15m", 900_000), ("1h", 3_600_000), ("7d", 604_800_000), ("250ms", 250), ("1h30m", 5_400_000)],
)
def test_durations_read_as_people_write_them(text: str, ms: int) -> None:
    assert units.parse_duration_ms(text) == ms


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1 h", "-1h", "1.5h", "1h1h", "30m1h", "1w", "1H", "٣h", "1h ", "999999999d", "1h\n"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|century"):
        units.parse_duration_ms(text)


@given(st.text())
def test_reading_any_text_gives_a_number_or_a_value_error(text: str) -> None:
    for parse in (units.parse_duration_ms, units.parse_instant_ms):
        try:
            assert parse(text) >= 0
        except ValueError as problem:
            assert "\x1b" not in str(problem)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1765889880000", "2025-12-16T12:58:00Z"),
        ("2025-12-16T06:58:00-06:00", "2025-12-16T12:58:00Z"),
        ("2025-12-16 12:58Z", "2025-12-16T12:58:00Z"),
        ("2025-12-16T12:58:00.2509+00:00", "2025-12-16T12:58:00.250Z"),
        ("0", "1970-01-01T00:00:00Z"),
    ],
)
def test_instants_read_with_any_offset_and_are_written_in_utc(text: str, written: str) -> None:
    assert units.instant(units.parse_instant_ms(text)) == written


def test_an_instant_without_offset_is_refused_and_the_error_says_what_to_add() -> None:
    with pytest.raises(ValueError, match="no offset; add Z for UTC"):
        units.parse_instant_ms("2025-12-16T12:58:00")


@pytest.mark.parametrize(
    "text",
    ["", "now", "2025-13-01T00:00:00Z", "2025-02-30T00:00Z", "2025-01-01T24:01Z", "2025-01-01", "0001-01-01T00:00Z",
     "-5", "1e12", "9" * 15, "2025-01-01T00:00:00+25:00"],
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"instant|calendar|years"):
        units.parse_instant_ms(text)


@pytest.mark.parametrize("ms", [float("nan"), float("inf"), -1.0, 1e300])
def test_an_impossible_time_of_a_broken_document_is_written_as_its_number(ms: float) -> None:
    assert units.instant(ms) == f"{ms} ms"


def test_a_fraction_of_a_millisecond_is_rounded_down() -> None:
    assert units.instant(1_765_889_880_000.999) == "2025-12-16T12:58:00Z"


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0s"), (61_000, "1m 1s"), (3_600_000, "1h"), (273_600_000, "3d 4h"), (-5_000, "-5s")]
)
def test_an_age_keeps_its_two_largest_units(ms: int, text: str) -> None:
    assert units.age(ms) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0%"), (1.0, "100.0%"), (0.375, "37.5%"), (0.9999, ">99.9%"), (0.0001, "<0.1%"), (None, "–")],
)
def test_only_all_reads_as_100_percent_and_only_nothing_as_0(share: float | None, text: str) -> None:
    assert units.percent(share) == text


@given(st.floats(0, 1))
def test_a_percentage_is_within_half_a_step_of_its_share(share: float) -> None:
    number = float(units.percent(share).strip("<>%"))
    assert abs(number - share * 100) <= 0.1


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")])
def test_bytes_are_written_in_powers_of_1024(size: int, text: str) -> None:
    assert units.byte_count(size) == text


def test_a_count_takes_the_plural_of_its_noun() -> None:
    assert [units.count(1, "message"), units.count(5000, "message"), units.count(0, "reply", "replies")] == [
        "1 message",
        "5,000 messages",
        "0 replies",
    ]


@given(st.text(alphabet=st.characters()))
def test_visible_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = units.visible(text)
    assert not any(unicodedata.category(c) in units._HIDDEN_CATEGORIES for c in shown)
    shown.encode("utf-8")


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_visible_text_says_exactly_which_text_it_was(text: str) -> None:
    ascii_only = units.visible(text).encode("ascii", "backslashreplace").decode()
    assert ascii_only.encode().decode("unicode_escape") == text


def test_direction_overrides_and_escape_sequences_are_shown() -> None:
    assert units.visible("a\x1b[31m\u202eb\nc\u200b") == "a\\x1b[31m\\u202eb\\nc\\u200b"


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"])), st.integers(1, 30))
def test_truncated_text_never_exceeds_its_columns(text: str, columns: int) -> None:
    cut = units.truncated(text, columns)
    assert units.width(cut) <= columns
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_wide_characters_take_two_columns_and_combining_marks_none() -> None:
    assert [units.width("東京"), units.width("e\u0301"), units.padded("東", 4), units.padded("7", 3, right=True)] == [
        4,
        1,
        "東  ",
        "  7",
    ]


@given(st.text())
def test_no_cell_of_csv_begins_like_a_formula(text: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([units.csv_text(text)])
    assert not units.csv_text(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.text())
def test_defused_text_holds_nothing_that_a_terminal_obeys_but_line_breaks_and_tabs(text: str) -> None:
    shown = units.defused(text)
    assert not {unicodedata.category(c) for c in shown if c not in "\n\t"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert units.defused(shown) == shown
    if text.isprintable():
        assert shown == text


def test_json_escapes_every_character_that_a_terminal_obeys_and_means_the_same() -> None:
    every = "".join(chr(code) for code in range(0x20, 0x110000) if not 0xD800 <= code < 0xE000)
    shown = units.json_defused(json.dumps(every, ensure_ascii=False))
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert json.loads(shown) == every


def test_harmless_text_is_written_to_csv_as_it_is() -> None:
    assert units.csv_text("Add unit Tests for login") == "Add unit Tests for login"


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("512MiB", 512 << 20), ("1.5 GiB", 3 << 29), ("2GB", 2 * 10**9), ("64k", 64_000)]
)
def test_amounts_of_memory_are_read_with_their_unit(text: str, size_bytes: int) -> None:
    assert units.parse_byte_count(text) == size_bytes


@pytest.mark.parametrize("text", ["", "512", "-1GiB", "1,5GiB", "GiB", "1 PiB", "9" * 40 + "GiB"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no amount of memory"):
        units.parse_byte_count(text)
