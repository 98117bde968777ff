"""A page as one HTML file that needs nothing else: no script, no request, drawings inside."""

from __future__ import annotations

from analyzer.pauses import no_cycles_sought
from analyzer.report.page import Chart, Commands, Page, Points, Table, Words, command_text
from analyzer.units import visible

# Nothing may be loaded or run, whatever a text in the page says.
CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_KINDS = {Words: "words", Points: "points", Commands: "commands", Table: "table", Chart: "chart"}


def page(document: Page) -> str:
    """Return the whole file; the same page gives the same text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from analyzer.report import charts_svg

    environment = Environment(
        loader=PackageLoader("analyzer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"safe_text": visible, "command_text": command_text}
    with no_cycles_sought():  # a drawing is made of ten thousand objects
        drawings = {
            chart.id: Markup(  # noqa: S704  # drawn by us: its texts are escaped where they are drawn
                charts_svg.inline(chart.draw(), f"chart-{chart.id}", visible(chart.title), visible(chart.description))
            )
            for chart in document.charts
        }
    return environment.get_template("page.html.j2").render(
        page=document,
        kind=lambda block: _KINDS[type(block)],
        drawings=drawings,
        dark=charts_svg.DARK,
        policy=CONTENT_POLICY,
        verdicts=("PASS", "FAIL", "INCONCLUSIVE", "NO_DATA", "ERROR", "INVALID"),
    )
