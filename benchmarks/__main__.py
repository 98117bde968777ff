"""`make bench SIZE=100k`: a table of ratios with the floor beside each, and benchmarks/results/latest.json."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.generate import export
from benchmarks.measure import paired, python

RESULTS = Path(__file__).parent / "results" / "latest.json"
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
ANALYZER = [sys.executable, "-m", "analyzer"]

INFLATE_AND_LOAD = """
import sys, zipfile, shutil, duckdb
archive, store, scratch = sys.argv[1:]
with zipfile.ZipFile(archive) as z:
    names = [n for n in z.namelist() if n.endswith("documents.jsonl") and not n.startswith("_")]
    for n in names:
        with z.open(n) as source, open(scratch + "/" + n.replace("/", "_"), "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
duck = duckdb.connect(store)
duck.execute("set preserve_insertion_order = false")
numbers = {"_creationTime", "sequence", "startedAt", "totalDurationMs", "editedAt"}
fields = {
    "users": "_id _creationTime email name createdAt",
    "tasks": "_id _creationTime title status repoFullName userId workspacePath createdAt",
    "workflowTraces": "_id _creationTime taskId traceId workflowType status startedAt totalDurationMs model createdAt",
    "chatMessages": "_id _creationTime taskId role content status llmModel sequence createdAt",
}
for n in names:
    table = n.split("/")[0]
    spec = ", ".join(f"'{f}': '{'DOUBLE' if f in numbers else 'VARCHAR'}'" for f in fields[table].split())
    path = scratch + "/" + n.replace("/", "_")
    source = f"read_json('{path}', format='newline_delimited', columns={{{spec}}})"
    duck.execute(f"create table {table} as select * from {source}")
duck.close()
"""
SCAN = """
import sys, duckdb
duck = duckdb.connect(sys.argv[1], read_only=True)
duck.execute("select count(*), count(status), max(created_at_ms) from revision_messages").fetchall()
"""
REMOVE = "import sys, pathlib; [pathlib.Path(p).unlink(missing_ok=True) for p in sys.argv[1:]]"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None where the row is not judged at this size."""

    id: str
    size: str
    value: float
    limit: float | None
    met: bool | None
    floor: str
    command: str


def main(size: str, rounds: int) -> int:
    """Measure everything at one size."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        rows = measure(Path(name), size, rounds)
    print(f"{'what':34} {'ratio':>8} {'limit':>7}  against")
    for row in rows:
        limit = "–" if row.limit is None else f"{row.limit:g}"
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        print(f"{row.id:34} {row.value:8.2f} {limit:>7}  {row.floor}  {verdict}")
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    versions = {package: version(package) for package in ("duckdb", "orjson", "click")}
    found = {
        "size": size,
        "rounds": rounds,
        "machine": machine,
        "versions": versions,
        "rows": [asdict(r) for r in rows],
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(folder: Path, size: str, rounds: int) -> list[Row]:
    """Return every row at one size, in the order of the table."""
    messages = SIZES[size]
    first = str(export(folder / "first.zip", messages))
    second = str(export(folder / "second.zip", messages, changed_share=0.001))
    store, floor_store = str(folder / "s.duckdb"), str(folder / "f.duckdb")
    collect = [*ANALYZER, "collect", first, "--db", store, "--taken-at", "2025-12-16T12:58:00Z"]
    again = [*ANALYZER, "collect", second, "--db", store, "--taken-at", "2025-12-16T13:58:00Z"]
    fresh = python(REMOVE, store, floor_store)
    click_alone = python("import click")
    health = [*ANALYZER, "health", "--db", store]
    explain = [*ANALYZER, "explain", "--db", store]
    scan, help_ = python(SCAN, store), [*ANALYZER, "--help"]
    load = python(INFLATE_AND_LOAD, first, floor_store, str(folder))
    pairs: list[tuple[str, list[list[str]], list[list[str]], str, float | None, str]] = [
        (
            "collect an export",
            [fresh, collect],
            [fresh, load],
            "inflate, then typed read_json, extras dropped",
            1.5,
            "1m",
        ),
        ("collect after 0.1 % changed", [fresh, collect, again], [fresh, collect], "the first collect", 0.6, "1m"),
        ("analyzer --help", [help_], [click_alone], "import click", 1.25, "any"),
        ("analyzer health", [health], [scan], "Python that opens the file and scans", 1.6, "1m"),
        ("analyzer explain", [explain], [scan], "the same", None, ""),
    ]
    rows = []
    for id_, ours, floor, against, limit, judged_at in pairs:
        value, _ = paired(ours, floor, rounds)
        met = None if limit is None or judged_at not in (size, "any") else value <= limit
        rows.append(Row(id_, size, value, limit, met, against, " ".join(_told(ours[-1]))))
    return rows


def _told(command: list[str]) -> list[str]:
    """Return a command as a person would type it: no paths of this run."""
    return [
        "analyzer" if word == sys.executable else Path(word).name for word in command if word not in ("-m", "analyzer")
    ]


if __name__ == "__main__":
    chosen = os.environ.get("SIZE", "100k").lower()
    if chosen not in SIZES:
        sys.exit(f"SIZE is one of {', '.join(SIZES)}")
    sys.exit(main(chosen, int(os.environ.get("ROUNDS", "3"))))
