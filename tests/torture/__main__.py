"""Does many runs, some at once, and prints one table."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from analyzer import __version__
from tests.torture import campaigns, conditions
from tests.torture.campaigns import CAMPAIGNS, HANDS

LIMIT_S = 400.0  # a run that takes longer hangs


@dataclass
class Row:
    """What happened in one campaign."""

    runs: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def planned(runs: int) -> list[str]:
    """Return the names of all runs: "live:17"."""
    total = sum(share for _, share in CAMPAIGNS.values())
    counts = {kind: max(1, runs * share // total) for kind, (_, share) in CAMPAIGNS.items()}
    first = next(iter(counts))
    counts[first] += max(0, runs - sum(counts.values()))
    return [f"{kind}:{number}" for kind, count in counts.items() for number in range(count)]


def do(seed: int, name: str, pipe: Connection) -> None:
    """Do one run in a process of its own, and tell how it went."""
    kind, _, _ = name.partition(":")
    work = CAMPAIGNS[kind][0] if kind in CAMPAIGNS else conditions.CONDITIONS[kind]
    happened: Counter[str] = Counter()
    try:
        with campaigns.prepared(f"{seed}/{name}", HANDS) as run:
            happened = run.happened
            work(run)
        pipe.send((happened, ""))
    except BaseException:
        pipe.send((happened, traceback.format_exc()))
    finally:
        pipe.close()
        os._exit(0)


def results(seed: int, names: list[str], jobs: int) -> Iterator[tuple[str, Counter[str], str]]:
    """Do runs, some at once; gives (name, what happened, "" or why it failed) as they end."""
    waiting = list(reversed(names))
    going: dict[Connection, tuple[str, ForkProcess]] = {}
    random.Random(seed).shuffle(waiting)  # a run that is broken off has done something of everything
    while waiting or going:
        while waiting and len(going) < jobs:
            name = waiting.pop()
            ours, theirs = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.get_context("fork").Process(target=do, args=(seed, name, theirs))
            process.start()
            theirs.close()
            going[ours] = (name, process)
        ready = wait(list(going), timeout=LIMIT_S)
        for pipe in [pipe for pipe in going if not ready or pipe in ready]:
            name, process = going.pop(pipe)
            happened, why = Counter[str](), "it hangs"
            try:
                if ready:
                    happened, why = pipe.recv()
            except EOFError:
                why = "the process ended without a word"
            process.kill() if not ready else process.join()
            yield name, happened, why


def table(rows: dict[str, Row]) -> str:
    """Return the summary."""
    head: tuple[str, ...] = ("campaign", "runs", "finished", "refused", "killed", "failed")
    lines = [head]
    for kind, row in rows.items():
        counts = (row.happened["done"], row.happened["refused"], row.happened["killed"])
        lines.append((kind, str(row.runs), *map(str, counts), str(len(row.failures))))
    totals = [str(sum(int(line[column]) for line in lines[1:])) for column in range(1, len(head))]
    lines.append(("all", *totals))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def main() -> int:
    """Return 0 where every run held."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", metavar="KIND[:N]", help="one campaign, or one run of it again")
    given = parser.parse_args()
    names = [*planned(given.runs), *(f"{kind}:0" for kind in conditions.CONDITIONS)]
    if given.only:
        names = [name for name in names if given.only in (name, name.partition(":")[0])] or [given.only]
    rows: dict[str, Row] = {name.partition(":")[0]: Row() for name in names}
    started_s = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):  # the table is of what was done until then
        for name, happened, why in results(given.seed, names, given.jobs):
            row = rows[name.partition(":")[0]]
            row.runs += 1
            row.happened += happened
            if why:
                row.failures.append(name)
                print(
                    f"{name} failed:\n{why}\ndo it again: python -m tests.torture --seed {given.seed} --only {name}\n"
                )
    print(
        f"version {__version__}, seed {given.seed}, {time.monotonic() - started_s:.0f} s, {given.jobs} runs at once\n"
    )
    print(table(rows))
    print("\nfinished, refused (with one line and an exit code) and killed are pieces of work; a run has several.")
    for kind, note in conditions.NOTES.items():
        if kind in rows:
            print(f"{kind}: {note()}")
    return 1 if any(row.failures for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
