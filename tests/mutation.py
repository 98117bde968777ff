"""`make mutation`: changes guards, checks, ledger and backup one operator at a time, and counts what no test notices.

What is changed, and which tests have to notice, stands in `[tool.mutmut]` of pyproject.toml. Prints a table, and each
change that survived; ends with 1 when fewer than 90 of 100 are noticed. The same code gives the same figures.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from analyzer import __version__, clock, units

ROOT = Path(__file__).parents[1]
LEAST_SCORE = 0.9
NOTICED = ("killed", "timeout", "caught by type check", "segfault")
MUTMUT = [str(Path(sys.executable).with_name("mutmut"))]


def main() -> int:
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)  # what an earlier run found is not taken for granted
    subprocess.run([*MUTMUT, "run"], cwd=ROOT, stdout=sys.stderr, check=True)
    told = subprocess.run(
        [*MUTMUT, "results", "--all", "true"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = dict(line.strip().split(": ", 1) for line in told.splitlines() if "__mutmut_" in line)
    by_file: dict[str, Counter[str]] = {}
    for name, status in found.items():
        by_file.setdefault(name.rsplit(".", 1)[0], Counter())[status] += 1
    print(f"{units.instant(clock.now_ms())[:10]}, analyzer {__version__}, mutmut {version('mutmut')}\n")
    print("| module | changes | noticed | survived | no test | score |\n|---|---|---|---|---|---|")
    for name, counts in sorted(by_file.items()):
        print(_row(name, counts))
    total = sum(by_file.values(), Counter())
    print(_row("all", total))
    for name, status in sorted(found.items()):
        if status not in NOTICED:
            print(f"\n{name}: {status}")
            shown = subprocess.run([*MUTMUT, "show", name], cwd=ROOT, capture_output=True, text=True, check=False)
            print("".join(f"  {line}\n" for line in shown.stdout.splitlines() if line[:1] in "+-"), end="")
    return 0 if total and _score(total) >= LEAST_SCORE else 1


def _row(name: str, counts: Counter[str]) -> str:
    noticed = sum(counts[status] for status in NOTICED)
    unseen = counts["no tests"]
    rest = counts.total() - noticed - unseen
    return f"| {name} | {counts.total()} | {noticed} | {rest} | {unseen} | {100 * _score(counts):.1f} % |"


def _score(counts: Counter[str]) -> float:
    return sum(counts[status] for status in NOTICED) / counts.total()


if __name__ == "__main__":
    sys.exit(main())
