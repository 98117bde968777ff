"""What a room of the benchmark is given: the size, a folder, data made once, and ways to fill in rows."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate import export
from benchmarks.measure import Cost, Figure, Pair, paired, run

SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}  # messages
ROUNDS = {"10k": 3, "100k": 5, "1m": 3, "10m": 1}  # of whole commands
TAKEN_AT = "2025-12-16T12:58:00Z"  # the clock of the generated export; the second one is an hour later
TAKEN_AGAIN_AT = "2025-12-16T13:58:00Z"
CHANGED_SHARE = 0.001


class LeftOutError(Exception):
    """A room cannot be measured here, and why; the others go on."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None where the row is not judged at this size."""

    id: str
    size: str
    value: float
    limit: float | None
    met: bool | None
    floor: str  # the floor or peer beside it
    command: str
    low: float  # of the rounds
    high: float
    unit: str = "x"  # x: times the floor; GiB
    limit_is_least: bool = False  # whether the limit is the least value that is good, not the largest


class Context:
    """One run of the benchmark at one size."""

    def __init__(
        self,
        folder: Path,
        size: str,
        rounds: int | None = None,
        results: Path | None = None,
        data: Path | None = None,
    ) -> None:
        self.folder = folder  # for what a room makes; removed at the end
        self.data = data or folder  # of generated exports
        self.results = results or folder  # for what is kept
        self.size = size
        self.documents = SIZES[size]  # messages; there are a quarter as many traces, and a task for every twenty
        self.store_cost: Cost | None = None  # what collecting `store` took, once it is made
        self._asked_rounds = rounds
        self.rounds = rounds or ROUNDS[size]
        self.calls = 1 if size == "10k" else 7  # rounds of calls inside one process; at 10k only the answers count

    @functools.cached_property
    def analyzer(self) -> list[str]:
        """Return the command that starts the program."""
        return [sys.executable, "-m", "analyzer"]

    @functools.cached_property
    def first(self) -> Path:
        """Return the generated export, made when first asked for."""
        return self._export("first", 0.0)

    @functools.cached_property
    def second(self) -> Path:
        """Return the same export with 0.1 % of its messages changed."""
        return self._export("second", CHANGED_SHARE)

    def _export(self, name: str, changed_share: float) -> Path:
        path = self.data / f"{name}-{self.size}.zip"
        if not path.exists():
            export(path.with_suffix(".part"), self.documents, changed_share=changed_share).rename(path)
        return path

    @functools.cached_property
    def store(self) -> Path:
        """Return a store that holds the first export, and nothing else. For reading only."""
        path = self.folder / f"store-{self.size}.duckdb"
        self.store_cost = run(self.collect(self.first, path))
        return path

    @functools.cached_property
    def two_snapshots(self) -> Path:
        """Return a store that holds both exports. For reading only."""
        path = self.folder / f"two-{self.size}.duckdb"
        run(self.collect(self.first, path))
        run(self.collect(self.second, path, taken_at=TAKEN_AGAIN_AT))
        return path

    def collect(self, source: Path, store: Path, *, taken_at: str = TAKEN_AT) -> list[str]:
        """Return the command that collects an export."""
        return [*self.analyzer, "collect", str(source), "--db", str(store), "--taken-at", taken_at]

    def at(self, size: str) -> Context:
        """Return the same run at another size, with data of its own."""
        return (
            self
            if size == self.size
            else self._sizes.setdefault(size, Context(self.folder, size, self._asked_rounds, data=self.data))
        )

    @functools.cached_property
    def _sizes(self) -> dict[str, Context]:
        return {}

    def row(
        self,
        id_: str,
        figure: Figure,
        *,
        floor: str,
        command: str,
        limit: float | None = None,
        judged_at: str = "",
        unit: str = "x",
        limit_is_least: bool = False,
    ) -> Row:
        """Judge a figure.

        judged_at  the only size at which the limit counts; "any" for every size
        """
        met = None
        if limit is not None and judged_at in (self.size, "any"):
            met = figure.value >= limit if limit_is_least else figure.value <= limit
        return Row(
            id_, self.size, figure.value, limit, met, floor, command, figure.low, figure.high, unit, limit_is_least
        )

    def compare(
        self,
        id_: str,
        ours: Sequence[Sequence[str]],
        floor: Sequence[Sequence[str]],
        *,
        against: str,
        limit: float | None = None,
        judged_at: str = "",
    ) -> tuple[Row, Pair]:
        """Measure whole processes, see `measure.paired`; returns the row of their times, and what each run took."""
        pair = paired(ours, floor, self.rounds)
        row = self.row(id_, pair.ratio, floor=against, command=told(ours[-1]), limit=limit, judged_at=judged_at)
        return row, pair


def told(command: Sequence[str]) -> str:
    """Return a command as a person would type it: no paths of this run."""
    words = [Path(word).name if word.startswith("/") else word for word in command]
    return " ".join(["analyzer", *words[3:]] if list(command[1:3]) == ["-m", "analyzer"] else words)
