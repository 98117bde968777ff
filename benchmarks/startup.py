"""What a command costs before it does anything: against importing click, and Python opening the same file."""

from __future__ import annotations

from benchmarks.context import Context, Row
from benchmarks.measure import python

COUNT = """
import sys, duckdb
duck = duckdb.connect(sys.argv[1], read_only=True)
duck.execute("select count(*), count(status), max(created_at_ms) from revision_messages").fetchall()
"""
MANY = 21  # such short processes differ much from one to the next


def rows(context: Context) -> list[Row]:
    """Return `--help`, and two whole commands."""
    quick = Context(context.folder, context.size, max(context.rounds, MANY if context.size != "10k" else 3))
    count = [python(COUNT, str(context.store))]
    against = "Python that opens the file with duckdb and counts"
    health = [*context.analyzer, "health", "--db", str(context.store)]
    explain = [*context.analyzer, "explain", "--db", str(context.store)]
    return [
        quick.compare(
            "analyzer --help",
            [[*context.analyzer, "--help"]],
            [python("import click")],
            against="import click",
            limit=1.25,
            judged_at="any",
        )[0],
        context.compare("analyzer health", [health], count, against=against, limit=1.6, judged_at="1m")[0],
        context.compare("analyzer explain", [explain], count, against=against)[0],
    ]
