"""Counts the lines of the target's own modules that a corpus reaches. Run by `tests.fuzz`.

usage: python -m tests.fuzz.covered TARGET CORPUS_FOLDER; prints "COVERED TOTAL"
"""

from __future__ import annotations

import sys
from pathlib import Path

import coverage

PACKAGE = Path(__file__).parents[2] / "analyzer"


def main(name: str, corpus: Path) -> None:
    measure = coverage.Coverage(data_file=None, config_file=False, include=[f"{PACKAGE}/*"])
    measure.start()
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    for path in sorted(corpus.iterdir()):
        target.check(path.read_bytes())
    measure.stop()
    covered = total = 0
    for module in target.modules:
        for file in sorted((PACKAGE / module).rglob("*.py")) or [PACKAGE / module]:
            _, statements, _, missing, _ = measure.analysis2(str(file))
            covered, total = covered + len(statements) - len(missing), total + len(statements)
    print(covered, total)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
