"""The fuzzing campaign: every target in a process of its own, guided by coverage; prints one table.

Exits with 1 when an input broke the promise of `tests.fuzz.target`; the input is then kept under fuzz-crashes/. Put it
into tests/fuzz/crashes/<target>/ and mend the reader: it is a regression test from then on.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from analyzer import __version__, clock, units
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CRASHES = ROOT / "fuzz-crashes"
# An input may take 10 s and 2 GiB at most; the largest one that is made has 64 KiB.
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1", "-verbosity=0")


@dataclass(frozen=True)
class Outcome:
    """What came of one target."""

    name: str
    inputs: int
    corpus: int  # inputs that each reached something new
    covered: int  # lines of the target's modules
    lines: int
    crashes: int


def explored(name: str, budget: str, seed: int) -> Outcome:
    """Run one target until its budget is used up, or its first crash."""
    kept = CRASHES / name.replace(": ", "-").replace(" ", "-")
    with tempfile.TemporaryDirectory(prefix="analyzer-fuzz-") as folder:
        corpus = Path(folder)
        seeds = [*TARGETS[name].seeds(), *regressions(name)]
        for number, data in enumerate(seeds):
            (corpus / f"seed-{number:03}").write_bytes(data)
        kept.mkdir(parents=True, exist_ok=True)
        options = [*LIMITS, budget, f"-seed={seed}", f"-artifact_prefix={kept}/"]
        done = _python("tests.fuzz.guided", name, *options, folder)
        found = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        if found is None:
            sys.exit(f"{name}: the fuzzer did not run:\n{done.stderr[-2000:]}")
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
        crashes = sum(1 for path in kept.iterdir() if path.is_file())
        if not crashes:
            kept.rmdir()
        told = _python("tests.fuzz.covered", name, folder).stdout.split()
        covered, lines = (int(told[0]), int(told[1])) if len(told) == 2 else (0, 0)
        return Outcome(name, int(found[1]), len(list(corpus.iterdir())), covered, lines, crashes)


def regressions(name: str) -> list[bytes]:
    """Return the inputs that broke a promise once."""
    folder = Path(__file__).parent / "crashes" / name.replace(": ", "-").replace(" ", "-")
    return [path.read_bytes() for path in sorted(folder.glob("*"))]


def _python(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    return subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace"
    )


def table(outcomes: list[Outcome], budget: str, seed: int) -> str:
    """Return the summary as Markdown."""
    today = units.instant(clock.now_ms())[:10]
    tools = f"Python {platform.python_version()}, atheris {version('atheris')}"
    lines = [
        f"analyzer {__version__}, {today}, seed {seed}, {budget} a target, {tools}",
        "",
        "| target | inputs | corpus | lines covered | of | share | crashes |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    total = Outcome("all", *(sum(getattr(o, name) for o in outcomes) for name in list(Outcome.__annotations__)[1:]))
    for row in [*outcomes, total]:
        share = units.percent(row.covered / row.lines if row.lines else None, 0)
        lines.append(
            f"| {row.name} | {row.inputs:,} | {row.corpus:,} | {row.covered:,} | {row.lines:,} | {share} "
            f"| {row.crashes} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--runs", type=int, help="inputs for each target, instead of seconds: the same each time")
    parser.add_argument("--jobs", type=int, default=2, help="targets at once")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only these")
    asked = parser.parse_args()
    budget = f"-runs={asked.runs}" if asked.runs else f"-max_total_time={asked.seconds}"
    outcomes = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        for outcome in pool.map(lambda name: explored(name, budget, asked.seed), asked.target or TARGETS):
            print(f"{outcome.name}: {outcome.inputs:,} inputs", file=sys.stderr)
            outcomes.append(outcome)
    print(table(outcomes, f"{asked.runs:,} inputs" if asked.runs else f"{asked.seconds} s", asked.seed))
    return 1 if any(outcome.crashes for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
