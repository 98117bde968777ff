"""`make bench SIZE=100k`: a table of figures with the floor or peer beside each, and results/latest.json.

Every module of this folder that has `rows(context)` is a room. ROOM=live,purge runs these alone; ROUNDS=1 is quick;
DATA=DIR keeps the generated exports there and uses them again (of this version alone: nothing tells them apart).
"""

from __future__ import annotations

import datetime
import importlib
import json
import os
import pkgutil
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import benchmarks
from analyzer import clock
from benchmarks.context import SIZES, Context, LeftOutError, Row
from benchmarks.measure import GIB

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("analyzer", "click", "duckdb", "httpx", "matplotlib", "orjson", "pandas")


def main(
    size: str, rounds: int | None = None, only: Sequence[str] = (), results: Path = RESULTS, data: Path | None = None
) -> int:
    """Measure everything at one size; returns 3 when a room failed, for then the table has a hole.

    rounds   of whole commands; None: as many as the size allows
    only     names of rooms; nothing is saved then
    results  folder of the JSON and the chart
    data     folder in which generated exports are kept and used again; None: they are made anew
    """
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    failed = False
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        context = Context(Path(name), size, rounds, results, data)
        for room in only or rooms():
            started_s = clock.monotonic_s()
            try:
                found = importlib.import_module(f"benchmarks.{room}").rows(context)
            except LeftOutError as reason:
                left_out[room] = str(reason)
            except Exception as error:  # one room's failure must not hide what the others measured
                traceback.print_exc()
                left_out[room], failed = f"failed: {error}"[:300], True
            else:
                rows += found
            print(f"{room}: {clock.monotonic_s() - started_s:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    for room, why in left_out.items():
        print(f"{room}: left out, {why}")
    if not only:
        save(results, size, rows, left_out)
    return 3 if failed else 0


def rooms() -> list[str]:
    """Return the names of the modules that measure something, sorted."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
    return [name for name in names if hasattr(importlib.import_module(f"benchmarks.{name}"), "rows")]


def table(rows: Sequence[Row]) -> str:
    """Return the rows for people."""
    lines = [f"{'what':40} {'size':>5} {'figure':>9} {'rounds':>15} {'limit':>9}  {'':6}  against"]
    for row in rows:
        limit = "" if row.limit is None else f"{'>=' if row.limit_is_least else '<='} {row.limit:g}"
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        spread = f"{row.low:.2f}..{row.high:.2f}"
        figure = f"{row.value:.2f} {row.unit}"
        lines.append(f"{row.id:40} {row.size:>5} {figure:>9} {spread:>15} {limit:>9}  {verdict:6}  {row.floor}")
    judged = [row for row in rows if row.met is not None]
    lines.append(f"{sum(bool(row.met) for row in judged)} of {len(judged)} judged rows are met")
    return "\n".join(lines)


def save(results: Path, size: str, rows: Sequence[Row], left_out: dict[str, str]) -> None:
    """Write latest.json, and the same as SIZE.json."""
    at = datetime.datetime.fromtimestamp(clock.now_ms() / 1000, tz=datetime.UTC)
    found = {
        "size": size,
        "date": at.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        "left_out": left_out,
        "rows": [asdict(row) for row in rows],
    }
    text = json.dumps(found, indent=2) + "\n"
    for name in ("latest", size):
        (results / f"{name}.json").write_text(text, encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what kind of machine this is: no name, no path."""
    processor = platform.machine()
    about = Path("/proc/cpuinfo")
    if about.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in about.read_text().splitlines() if line.startswith("model name")
        ]
        processor = models[0] if models else processor
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory_bytes / GIB, 1),
        "processor": processor,
        "system": platform.system(),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:  # it is told by the environment, as make does
        sys.exit(__doc__)
    chosen = os.environ.get("SIZE", "100k").lower()
    if chosen not in SIZES:
        sys.exit(f"SIZE is one of {', '.join(SIZES)}")
    asked, kept = os.environ.get("ROUNDS"), os.environ.get("DATA")
    wanted = [room for room in os.environ.get("ROOM", "").split(",") if room]
    sys.exit(main(chosen, int(asked) if asked else None, wanted, data=Path(kept) if kept else None))
