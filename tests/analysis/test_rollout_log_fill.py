"""Writing a log back: open checkpoint cells are filled in, every other byte stays."""

from __future__ import annotations

import dataclasses
import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.analysis.rollout_log import CheckpointCell, RolloutLog, fill, parse_log
from tests.analysis.example_log import SOURCE, read


def open_cells(log: RolloutLog) -> list[CheckpointCell]:
    return [cell for table in log.checkpoint_tables for row in table.rows for cell in row.cells if cell.is_open]


def test_with_no_data_the_log_comes_back_byte_for_byte() -> None:
    for source in (
        SOURCE,
        SOURCE.replace(b"\n", b"\r\n"),
        SOURCE.replace(b"\n", b"  \t\n").rstrip(),
        b"\xef\xbb\xbf" + SOURCE,
        b"",
        b"\r\n\r",
        b"no end",
    ):
        log = parse_log(source, where="log.md")
        assert fill(log, {}) == source
        assert fill(log, dict.fromkeys(open_cells(log), "")) == source


def test_filled_cells_keep_the_columns_aligned_where_the_text_fits() -> None:
    log = parse_log(SOURCE, where="log.md")
    row = log.checkpoint_tables[0].rows[1]
    texts = ("16:11", "healthy", "0", "0.5% of 200", "✅")
    filled = fill(log, dict(zip(row.cells, texts, strict=True))).decode()
    changed = [line for line in difflib.ndiff(SOURCE.decode().splitlines(), filled.splitlines()) if line[0] in "+-"]
    assert changed == [
        "- | T+2h       |          |         |        |            | ⬜     |",
        "+ | T+2h       | 16:11    | healthy | 0      | 0.5% of 200 | ✅     |",
    ]


def test_narrow_cells_grow_by_just_what_is_needed() -> None:
    log = read("| Checkpoint | Time | Health |\r\n|-|-|-|\r\n| T+1h || |  \r\n\ttail")
    first, second = open_cells(log)
    filled = fill(log, {second: "ok", first: "7"})
    assert filled == b"| Checkpoint | Time | Health |\r\n|-|-|-|\r\n| T+1h | 7 | ok |  \r\n\ttail"


def test_text_that_would_break_the_row_or_the_page_is_escaped() -> None:
    log = read("| Checkpoint | Time | Health |\n|-|-|-|\n| T+1h | | |\n")
    first, second = open_cells(log)
    filled = fill(log, {first: "a|b\nc\x1b[2J", second: "<script>`*x*\\"})
    again = parse_log(filled, where="log.md")
    assert b"a\\|b c [2J" in filled and b"<script>" not in filled and b"\x1b" not in filled
    assert again.checkpoint_tables[0].rows[0].cells[0].text == "a|b c [2J"
    assert len(again.checkpoint_tables[0].rows[0].cells) == 2 and again.unexplained == ()


def test_a_cell_that_a_person_filled_in_is_never_overwritten() -> None:
    log = parse_log(SOURCE, where="log.md")
    written = log.checkpoint_tables[0].rows[0].cells[0]
    with pytest.raises(ValueError, match=r"line 74 of log\.md: the cell time is already filled in"):
        fill(log, {written: "15:00"})


def test_a_cell_of_another_log_is_refused() -> None:
    log = parse_log(SOURCE, where="log.md")
    foreign = dataclasses.replace(open_cells(log)[0], start_byte=3)
    with pytest.raises(ValueError, match="has no such checkpoint cell"):
        fill(log, {foreign: "x"})


@settings(max_examples=60)
@given(st.data(), st.sampled_from([SOURCE, SOURCE.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + SOURCE.rstrip()]))
def test_any_texts_in_any_cells_change_those_cells_and_nothing_else(data: st.DataObject, source: bytes) -> None:
    log = parse_log(source, where="log.md")
    cells = open_cells(log)
    texts = data.draw(st.dictionaries(st.sampled_from(cells), st.text(max_size=20)))
    filled = parse_log(fill(log, texts), where="log.md")
    assert len(filled.lines) == len(log.lines) and filled.unexplained == ()
    before, after = (
        [cell for table in one.checkpoint_tables for row in table.rows for cell in row.cells] for one in (log, filled)
    )
    assert len(before) == len(after)
    assert outside(log, before) == outside(filled, after)
    for old, new in zip(before, after, strict=True):
        visible = any(char.isprintable() and not char.isspace() for char in texts.get(old, ""))
        assert visible == (old.text != new.text) or texts[old].strip() == old.text


def outside(log: RolloutLog, cells: list[CheckpointCell]) -> list[bytes]:
    """Give the bytes before, between and behind the cells."""
    edges = [0, *(edge for cell in cells for edge in (cell.start_byte, cell.end_byte)), len(log.source)]
    return [log.source[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
