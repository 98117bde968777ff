"""Writes the notebooks and runs them on the demo data, so that their outputs are what the code gives.

python notebooks/build.py    writes every notebook anew, outputs included
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).resolve().parent
PATIENCE_S = 300  # for one cell

START = """\
import tempfile
import analyzer

%matplotlib inline
SNAPSHOT = "{snapshot}"
store = analyzer.open_store(analyzer.demo_store(tempfile.mkdtemp()))
analyzer.snapshots(store)"""

INVESTIGATION = (
    "# Why does health say \u201cdegraded\u201d?\n\n"
    "The check said *degraded* a minute after a rollout. Is it the product, or what our own tests left behind?\n"
    "Snapshot: `06-after-tests-0658` of the demo data.",
    START.format(snapshot="06-after-tests-0658"),
    "Three witnesses of the same documents: what the deployment reported, every document, and without tests.",
    "explained = analyzer.explain(store, SNAPSHOT)\n"
    "explained.report.reported.system_health['health'], explained.raw_status.value, explained.status.value",
    "Which rule of the policy fails, by how much, and of how many documents?",
    "analyzer.rules_of(explained)",
    "Who is to blame? A cause, how many documents it has, and what to do about it.",
    "import pandas as pd\npd.set_option('display.max_colwidth', 100)\nanalyzer.causes(explained)",
    "The documents that tests left behind in this snapshot, by tier and table.",
    "leftovers = analyzer.artifacts(store, SNAPSHOT)\n"
    "leftovers.groupby(['tier', 'table'], sort=True).size().rename('documents').to_frame()",
    "Does it clear by itself? The day of the rollout, with every document and without those of tests.",
    "HOUR_MS = 3_600_000\n"
    "analyzer.plot_health(store, since_ms=explained.at_ms - 6 * HOUR_MS, until_ms=explained.at_ms + 24 * HOUR_MS)",
    "pd.Series({'since': explained.since_ms, 'clears': explained.clears_at_ms}).pipe(pd.to_datetime, unit='ms', utc=True)",
    "## Finding\n\n"
    "Degraded at 06:58 is **ours, not the product's**: leave out what test helpers left and the same documents are\n"
    "healthy. It clears by itself within the hour, when the leftovers are older than the window. The degraded stretch\n"
    "that evening is another matter: it stays degraded without tests.",
)

ROLLOUT = (
    "# Did the rollout change anything?\n\n"
    "Four flags were switched on within three minutes; nobody filled in the checkpoints. One snapshot a day later is\n"
    "enough to judge all of them. Snapshot: `11-t-plus-24h-0659` of the demo data, with its `rollout-log.md`.",
    START.format(snapshot="11-t-plus-24h-0659").replace("store =", 'LOG = "../data/demo/rollout-log.md"\nstore ='),
    "The log says which flags changed when; the documents say what happened.",
    "report = analyzer.rollout_report(store, log=LOG)\nreport.verdict.value, report.action, report.reason",
    "Every metric before and after. The two marks of a row are on the same scale; the bars are 95 % intervals.",
    "analyzer.plot_metrics(report)",
    "analyzer.metrics(report).round(4)",
    "How far apart, and how much of the margin is used up?",
    "analyzer.plot_differences(report)",
    "The planned looks, judged from documents although nobody looked at the time.",
    "analyzer.checkpoints(report)",
    "Where does the difference come from? Groups of documents, most suspect first.",
    "analyzer.decomposition(report)[['metric', 'dimension', 'group', 'baseline_k', 'baseline_n', 'after_k', 'after_n',"
    " 'p_adjusted']].head(5)",
    "## Finding\n\n"
    "**FAIL at T+24h**: more workflows and messages fail after the change than before it, and small numbers do not\n"
    "explain that. But nearly all of it comes from one model in one evening. Before and after differ in time as well:\n"
    "look at that provider before rolling back four flags that share one verdict.",
)
PURGE = (
    "# What would a purge delete, and what would it leave?\n\n"
    "The known issue is to be cleaned up an hour after the rollout. This is a rehearsal: it asks no deployment and\n"
    "deletes nothing. Snapshot: `08-t-plus-1h-0759` of the demo data.",
    START.format(snapshot="08-t-plus-1h-0759"),
    "Everything that a test may have left behind, by tier. Only *certain* documents are chosen without being asked for.",
    "leftovers = analyzer.artifacts(store, SNAPSHOT)\n"
    "leftovers.groupby(['tier', 'table'], sort=True).size().rename('documents').to_frame()",
    "Whole groups: one certain leftover and all that belongs to it, children first.",
    "import pandas as pd\npd.set_option('display.max_colwidth', 80)\n"
    "plan = analyzer.purge_rehearsal(store, SNAPSHOT)\nanalyzer.planned(plan)",
    "How much of each table is that?",
    "pd.Series({table: total.count for table, total in plan.totals.items()}, name='documents').to_frame()",
    "What stays although it is certain, and which document holds it?",
    "analyzer.held_back(plan)",
    "## Finding\n\n"
    "The helpers' own tasks, users and messages go as whole groups. A group stays wherever a document that is no\n"
    "leftover refers into it: a person has to look there. Suspects and orphans are never chosen.",
)
NOTEBOOKS = {"investigation.ipynb": INVESTIGATION, "purge.ipynb": PURGE, "rollout.ipynb": ROLLOUT}


def notebook(cells: tuple[str, ...]) -> Any:
    """Return a notebook; what begins like code is a cell of code."""
    made = []
    for position, source in enumerate(cells):
        is_code = position > 0 and source.split(maxsplit=1)[0].startswith(
            ("import", "analyzer.", "explained", "report", "leftovers", "HOUR_MS", "pd.", "plan")
        )
        cell = new_code_cell(source) if is_code else new_markdown_cell(source)
        cell["id"] = hashlib.sha256(f"{position} {source}".encode()).hexdigest()[:8]  # the same every time
        made.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=made, metadata={"kernelspec": kernel})


def run(book: Any, folder: Path) -> Any:
    """Run a notebook in a folder, and take out what differs from one machine to the next."""
    NotebookClient(
        book, timeout=PATIENCE_S, record_timing=False, resources={"metadata": {"path": str(folder)}}
    ).execute()
    book["metadata"].pop("language_info", None)
    return book


def main() -> None:
    for name, cells in NOTEBOOKS.items():
        nbformat.write(run(notebook(cells), FOLDER), FOLDER / name)
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
