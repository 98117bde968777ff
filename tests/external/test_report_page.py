"""The page of a report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.report import html, rollout_page
from tests.external.browser import Browser, browser
from tests.report.reports import NASTY, extras, report, without_metrics

pytestmark = [pytest.mark.external("chromium"), pytest.mark.slow]
NARROW, WIDE = 360, 1280


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "usual": report(60),
        "large": report(3_000_000),
        "small": report(3),
        "nasty": report(60, NASTY),
        "empty": without_metrics(),
    }
    for name, found in made.items():
        (folder / f"{name}.html").write_text(html.page(rollout_page.build(found, extras(found))), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["usual", "large", "small", "nasty", "empty"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_a_page_says_nothing_on_the_console_asks_for_nothing_and_never_scrolls_sideways(
    chromium: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    chromium.open(pages[name], width=width)
    assert chromium.value("document.documentElement.scrollWidth") <= width
    assert chromium.value("document.scripts.length") == 0
    assert chromium.said() == []
    outside = [url for url in chromium.requests() if url != pages[name].resolve().as_uri() and url != "data:,"]
    assert outside == []


@pytest.mark.parametrize("dark", [False, True])
def test_every_chart_is_visible_and_none_is_as_dark_as_its_page(
    chromium: Browser, pages: dict[str, Path], dark: bool
) -> None:
    chromium.open(pages["usual"], width=WIDE, dark=dark)
    boxes = chromium.value(
        "Array.from(document.querySelectorAll('figure svg'), s => { const b = s.getBoundingClientRect();"
        " return [b.width, b.height, s.querySelectorAll('path, use').length,"
        " getComputedStyle(s.querySelector('text')).fill, getComputedStyle(document.body).backgroundColor]; })"
    )
    assert len(boxes) == len(extras(report(60)).charts) + 2
    for width, height, marks, ink, paper in boxes:
        assert width > 500 and height > 100 and marks > 10
        assert ink != paper


def test_text_of_documents_is_shown_as_text(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["nasty"], width=WIDE)
    assert "<script>alert('x')</script>" in chromium.value("document.querySelector('h1').textContent")
    assert "<script>alert('x')</script>" in chromium.value("document.querySelector('figure svg').textContent")
    assert chromium.value("document.querySelectorAll('main a, main img, main b, main script').length") == 0


def test_the_numbers_behind_a_chart_open_without_a_script_and_still_fit(
    chromium: Browser, pages: dict[str, Path]
) -> None:
    chromium.open(pages["usual"], width=NARROW)
    assert chromium.value("document.querySelectorAll('figure details table').length") >= 2
    chromium.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert chromium.value("document.documentElement.scrollWidth") <= NARROW
