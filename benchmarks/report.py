"""The HTML report with its charts, against importing matplotlib and drawing as many bare figures."""

from __future__ import annotations

from benchmarks.context import Context, LeftOutError, Row
from benchmarks.measure import python, run

BARE = """
import io, sys
import matplotlib
matplotlib.use("Agg")
matplotlib.rcParams["svg.fonttype"] = "none"
from matplotlib.figure import Figure
for _ in range(int(sys.argv[1])):
    figure = Figure(figsize=(10, 5.6))
    upper, lower = figure.subplots(2, 1)
    for axes in (upper, lower):
        axes.plot(range(200), [n % 17 for n in range(200)])
        axes.set_title("What changed?")
    figure.savefig(io.StringIO(), format="svg")
"""


def rows(context: Context) -> list[Row]:
    """Return the report on what changed between two snapshots."""
    if context.size == "10m":
        raise LeftOutError("a second snapshot of 10 M documents takes longer to collect than this run may")
    page = context.folder / f"report-{context.size}.html"
    report = [*context.analyzer, "report", "--db", str(context.two_snapshots), "--baseline", "1", "--after", "2"]
    report += ["-o", str(page)]
    run(report)
    charts = page.read_text(encoding="utf-8").count("<svg")
    row, _ = context.compare(
        "HTML report with its charts",
        [report],
        [python(BARE, str(charts))],
        against=f"importing matplotlib and drawing {charts} bare figures of two panels",
        limit=2.0,
        judged_at="100k",
    )
    return [row]
