"""Times two ways of doing the same thing in turn: commands as processes of their own, or calls inside this one."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

GIB = 1 << 30
FINE = (0, 1, 4, 5)  # degraded, unknown and no data are answers


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float  # of the process and the children it waited for
    peak_bytes: int  # of the largest of these processes


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of some rounds, and how far they lie apart."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Return the figure of at least one round."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, round by round."""

    ours: tuple[Cost, ...]
    floor: tuple[Cost, ...]

    @property
    def ratio(self) -> Figure:
        """Return our time over theirs, paired by round."""
        return Figure.of([a.wall_s / b.wall_s for a, b in zip(self.ours, self.floor, strict=True)])

    @property
    def peak_gib(self) -> Figure:
        """Return our peak memory."""
        return Figure.of([cost.peak_bytes / GIB for cost in self.ours])


# A process counts the memory of the one that started it as its own peak, so a small one starts what is measured. Python
# keeps compiled modules there, as an installed program has them, whatever the environment says.
_LAUNCH = """
import json, os, subprocess, sys, time
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
started_s = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
wall_s = time.perf_counter() - started_s
print(json.dumps([os.waitstatus_to_exitcode(status), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]))
"""


def run(command: Sequence[str], *, fine: Sequence[int] = FINE) -> Cost:
    """Run a command to its end.

    raises  RuntimeError with what it said when it fails: a benchmark of a failure measures nothing
    """
    launched = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCH, *command], capture_output=True, text=True, check=True
    )
    code, wall_s, cpu_s, peak_bytes = json.loads(launched.stdout)
    if code not in fine:
        raise RuntimeError(f"{' '.join(command)[:400]} ended with {code}: {launched.stderr[-2000:]}")
    return Cost(wall_s, cpu_s, peak_bytes)


def python(code: str, *arguments: str) -> list[str]:
    """Return the command that runs a piece of Python."""
    return [sys.executable, "-c", code, *arguments]


def paired(ours: Sequence[Sequence[str]], floor: Sequence[Sequence[str]], rounds: int) -> Pair:
    """Run both sides in turn, A B A B.

    ours, floor  commands of each side; the last one is timed and the others prepare it
    """
    costs: list[tuple[Cost, Cost]] = [(_last(ours), _last(floor)) for _ in range(rounds)]
    return Pair(tuple(a for a, _ in costs), tuple(b for _, b in costs))


def in_turn(ours: Callable[[], Any], floor: Callable[[], Any], rounds: int) -> Figure:
    """Call both in turn inside this process, once unmeasured; returns the ratio of their times."""
    ours(), floor()
    return Figure.of([_seconds(ours) / _seconds(floor) for _ in range(rounds)])


def seconds(call: Callable[[], Any], rounds: int) -> Figure:
    """Call inside this process, once unmeasured; returns how long it takes."""
    call()
    return Figure.of([_seconds(call) for _ in range(rounds)])


def _last(commands: Sequence[Sequence[str]]) -> Cost:
    for command in commands[:-1]:
        run(command)
    return run(commands[-1])


def _seconds(call: Callable[[], Any]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s
