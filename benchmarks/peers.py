"""An export into the store, against published tools that bring the same export into a database, or close to one.

dlt loads it into DuckDB with its defaults. convex2pg turns the unpacked export into SQL for PostgreSQL; that a server
would still have to run that SQL is not counted, which is in its favour. Both always read 100k messages.
"""

from __future__ import annotations

import functools

from benchmarks.context import Context, LeftOutError, Row
from benchmarks.environments import installed
from benchmarks.ingest import REMOVE
from benchmarks.measure import Figure, paired, python

DLT = """
import sys, zipfile
import dlt
from dlt.common import json
archive, store, work = sys.argv[1:]

def documents(name):
    with zipfile.ZipFile(archive) as z, z.open(name) as lines:
        for line in lines:
            yield json.loadb(line)

with zipfile.ZipFile(archive) as z:
    names = [n for n in z.namelist() if n.endswith("documents.jsonl") and not n.startswith("_")]
pipeline = dlt.pipeline(
    "export", pipelines_dir=work, destination=dlt.destinations.duckdb(store), dataset_name="export", dev_mode=True
)
pipeline.run([dlt.resource(documents(n), name=n.split("/")[0]) for n in names])
"""
CONVEX2PG = """
import sys, zipfile
from convex_to_postgres.cli import main
archive, work = sys.argv[1:]
with zipfile.ZipFile(archive) as z:
    z.extractall(work)
sys.argv = ["convex2pg", work]
sys.exit(main())
"""


def rows(context: Context) -> list[Row]:
    """Return how many times as long each of them takes."""
    if context.size in ("10k", "10m"):
        raise LeftOutError("other tools are measured with 100k documents: SIZE=100k or 1m")
    at = context.at("100k")
    store, other = at.folder / "peers.duckdb", at.folder / "dlt.duckdb"
    ours = [python(REMOVE, str(store)), at.collect(at.first, store)]
    dlt = str(installed(at.folder / "dlt", "dlt[duckdb]") / "python")
    convex2pg = str(installed(at.folder / "convex2pg", "convex2pg") / "python")
    # dlt takes as long as a hundred of our runs: one round says enough
    slow = paired(ours, [[dlt, "-c", DLT, str(at.first), str(other), str(at.folder / "dlt-work")]], 1)
    quick = paired(ours, [[convex2pg, "-c", CONVEX2PG, str(at.first), str(at.folder / "convex2pg-work")]], 3)
    found = []
    for name, pair, floor, limit in (
        ("collect an export: dlt", slow, "dlt into DuckDB, with its defaults", 20.0),
        ("collect an export: convex2pg", quick, "convex2pg, to SQL that nobody has run yet", 1.0),
    ):
        figure = Figure.of([theirs.wall_s / mine.wall_s for mine, theirs in zip(pair.ours, pair.floor, strict=True)])
        judge = functools.partial(at.row, limit=limit, judged_at="100k", limit_is_least=True)
        found.append(judge(name, figure, floor=floor, command="analyzer collect"))
    return found
