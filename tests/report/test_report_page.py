"""A report as HTML, Markdown and text: the same page, nothing foreign in charge, nothing too long."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.analysis.verdict import RolloutReport, Verdict
from analyzer.model import Finding
from analyzer.report import html, markdown, plain, rollout_page, rollout_words
from analyzer.report.page import Page, Section, Table, Words
from tests.report.reports import NASTY, extras, report, without_metrics


def page_of(found: RolloutReport) -> Page:
    return rollout_page.build(found, extras(found))


class Elements(HTMLParser):
    """Counts what an HTML file holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def nasty_html() -> Elements:
    return Elements(html.page(page_of(report(60, NASTY))))


def test_html_runs_nothing_and_asks_for_nothing(nasty_html: Elements) -> None:
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(nasty_html.tags)
    assert not [name for name, _ in nasty_html.attributes if name.startswith("on")]
    addresses = [v for name, v in nasty_html.attributes if name in ("href", "src", "xlink:href", "action") and v]
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    policy = next(v for name, v in nasty_html.attributes if name == "content" and v and "default-src" in v)
    assert "default-src 'none'" in policy


def test_html_shows_markup_in_foreign_text_as_text(nasty_html: Elements) -> None:
    assert "<script>alert('x')</script>" in nasty_html.text
    assert "\x1b" not in nasty_html.text


def test_no_two_elements_share_an_id_and_every_drawing_has_a_title_a_description_and_its_numbers(
    nasty_html: Elements,
) -> None:
    assert len(nasty_html.ids) == len(set(nasty_html.ids))
    drawings = nasty_html.tags.count("svg")
    assert drawings == 4
    assert nasty_html.tags.count("desc") == drawings
    assert nasty_html.tags.count("details") == drawings + 1  # and the list of sections
    labels = [v for name, v in nasty_html.attributes if name == "aria-labelledby" and v and v.startswith("chart-")]
    assert len(labels) == drawings and all(part in nasty_html.ids for label in labels for part in label.split())


def test_a_report_holds_every_section_that_has_something_to_say() -> None:
    assert [section.id for section in page_of(report(60)).sections] == [
        "metrics",
        "change-verdict",
        "checkpoints",
        "rollout",
        "time",
        "decomposition",
        "smoke",
        "rollback",
        "filter",
        "data",
        "findings",
        "method",
        "reproduce",
    ]


def test_the_three_sentences_follow_from_the_verdict_and_from_nothing_else() -> None:
    found = report(60)
    altered = replace(found, metrics=(), findings=(), checkpoints=(), smoke_tests=(), rollback=(), warnings=())
    assert rollout_words.sentences(found) == rollout_words.sentences(altered)
    assert rollout_words.sentences(found) != rollout_words.sentences(replace(found, verdict=Verdict.FAIL))
    assert len(rollout_words.sentences(found)) == 3


@pytest.mark.parametrize("n", [0, 60])
def test_every_format_of_the_same_report_has_the_same_bytes(n: int) -> None:
    for render in (html.page, markdown.page, plain.page):
        assert render(page_of(report(n))) == render(page_of(report(n)))


def test_nothing_to_compare_is_said_and_not_drawn() -> None:
    text = plain.page(page_of(without_metrics()))
    assert "No metric was compared" in text
    assert "<svg" not in html.page(page_of(without_metrics()))


# ---- Markdown ----------------------------------------------------------------------------------------------------


def test_markdown_stays_postable_and_says_what_it_cut() -> None:
    findings = tuple(Finding(f"f{number}", f"finding {number} " + "x" * 900) for number in range(400))
    found = replace(report(60), findings=findings, decomposition=report(60).decomposition * 5_000)
    text = markdown.page(page_of(found))
    assert len(text) < 60_000
    left_out = text.partition("## Left out here")[2]
    assert "361 points of" in left_out and "Findings and warnings" in left_out
    assert "see the report as HTML" in left_out


def test_markdown_drops_whole_sections_only_when_it_must_and_the_least_important_first() -> None:
    rows = tuple((f"{number} " + "y" * 190,) for number in range(40))
    big = tuple(
        Section(f"s{weight}", f"Section {weight}", tuple(Table(f"t{i}", ("h",), rows) for i in range(3)), weight)
        for weight in range(1, 5)
    )
    text = markdown.page(Page("title", "subtitle", "PASS", ("a", "b", "c"), big))
    assert len(text) < 60_000
    assert "\n## Section 1\n" in text and "\n## Section 4\n" not in text
    assert "the section \u201cSection 4\u201d" in text


def test_markdown_keeps_pipes_backticks_links_and_markup_as_text() -> None:
    text = markdown.page(page_of(report(60, NASTY)))
    assert "\x1b" not in text
    prose = re.sub(r"^`{3,}sh\n.*?^`{3,}$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in prose and "https://" not in prose
    for special in ("`", "[", "$", "|"):
        inside = [line for line in prose.splitlines() if "rm" in line]
        assert inside
        for line in inside:
            cells = line.strip().removeprefix("| ").removesuffix(" |").split(" | ") if special == "|" else [line]
            assert all(cell.replace(f"\\{special}", "").count(special) == 0 for cell in cells), line


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head() -> None:
    text = markdown.page(page_of(report(60, NASTY)))
    tables = re.findall(r"(?:^\|.*\|$\n)+", text, flags=re.MULTILINE)
    assert len(tables) > 5
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@settings(max_examples=150)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_escaped_text_stays_on_one_line_and_opens_nothing(text: str) -> None:
    safe = markdown.escaped(text)
    assert "\n" not in safe and "<" not in safe and "://" not in safe
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|~$]", safe)
    assert not re.match(r"#|-|=|\+(\s|$)|\d+[.)](\s|$)", safe)
    assert "@" not in safe.replace("@&#8288;", "")


def test_commands_stand_in_a_fence_that_they_cannot_close() -> None:
    text = markdown.page(page_of(replace(report(60), rollback=("echo ```; rm -rf /", "a\\b"))))
    assert "````sh\necho ```; rm -rf /\na\\b\n````" in text


# ---- text --------------------------------------------------------------------------------------------------------


def test_brief_is_twelve_lines_of_eighty_columns_at_most() -> None:
    found = report(60, "word " * 60)
    lines = plain.brief(page_of(found), rollout_page.brief_notes(found)).splitlines()
    assert len(lines) <= 12 and max(map(len, lines)) <= 80
    assert any(line.startswith("INCONCLUSIVE: Cannot tell yet") for line in lines)


def test_text_shows_control_characters_instead_of_obeying_them() -> None:
    assert "\x1b" not in plain.page(page_of(report(60, NASTY)))


def test_numbers_read_the_same_everywhere() -> None:
    assert rollout_words.difference(-0.00001, "share") == "\u00b10.0 pp"
    assert rollout_words.difference(-0.05, "share") == "\u22125.0 pp"
    assert rollout_words.value(4_200.0, "ms") == "4.2 s"
    assert rollout_words.value(None, "share") == "\u2013"
    assert rollout_words.p_value(1e-9) == "< 0.0001"


def test_a_paragraph_that_begins_like_a_list_stays_a_paragraph() -> None:
    section = Section("s", "t", (Words("1. not a list"), Words("# no heading"), Words("--- no rule")), 1)
    text = markdown.page(Page("t", "s", "PASS", ("a", "b", "c"), (section,)))
    assert "&#49;. not a list" in text and "&#35; no heading" in text and "&#45;-- no rule" in text
