"""Runs a command as a process of its own and reads what the operating system says of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    wall_s: float
    peak_bytes: int


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end.

    raises  RuntimeError with what it said when it fails: a benchmark of a failure measures nothing
    """
    started_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode not in (0, 1, 4):  # degraded and unknown are answers
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    return Cost(time.perf_counter() - started_s, usage.ru_maxrss * 1024)


def python(code: str, *arguments: str) -> list[str]:
    """Return the command that runs a piece of Python."""
    return [sys.executable, "-c", code, *arguments]


def paired(ours: Sequence[Sequence[str]], floor: Sequence[Sequence[str]], rounds: int) -> tuple[float, Cost]:
    """Run both sides in turn and compare them round by round.

    ours, floor  commands of each side, the last one is timed and the others prepare it
    returns      median ratio of wall times, and our cost in the median round
    """
    ratios, costs = [], []
    for _ in range(rounds):
        cost = _last(ours)
        ratios.append(cost.wall_s / _last(floor).wall_s)
        costs.append(cost)
    middle = sorted(range(rounds), key=lambda n: ratios[n])[rounds // 2]
    return statistics.median(ratios), costs[middle]


def _last(commands: Sequence[Sequence[str]]) -> Cost:
    for command in commands[:-1]:
        run(command)
    return run(commands[-1])
