"""Health as a series: every tick as `health --at` that tick would show it, from a few passes over the documents.

Raw counts of all ticks come from one statement: over the revisions, or over what collects counted of them by the minute
where the clocks are on whole minutes. What a filter leaves out changes only when a snapshot saw something new, so it is
found once for each stretch of ticks between two snapshots.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import sub
from typing import Any

from analyzer.analysis import artifacts, health
from analyzer.analysis.doubts import JUDGED_TABLES, Gap, doubts, gaps, needed_tables
from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import RESPONSE_PERCENT, STUCK_MS, Policy
from analyzer.analysis.reported import SYSTEM_HEALTH, claimed, timestamp_ms
from analyzer.errors import UsageError
from analyzer.model import FilterName, Snapshot
from analyzer.pauses import no_cycles_sought
from analyzer.rules import InternalLists, RuleSet
from analyzer.store import Frame, Store
from analyzer.units import count as counted
from analyzer.units import duration

MAX_TICKS = 100_000
MINUTE_MS = 60_000

Change = tuple[Any, ...]  # table, measure, status, tick, documents: see queries/health/series.sql
Response = tuple[float, int]  # milliseconds, and the traces that it was taken from


@dataclass(frozen=True, slots=True)
class Grid:
    """Clocks at even distances."""

    first_ms: int
    step_ms: int  # > 0
    ticks: int  # 1..MAX_TICKS

    @property
    def clocks(self) -> range:
        """Return every clock, milliseconds since the epoch."""
        return range(self.first_ms, self.first_ms + self.ticks * self.step_ms, self.step_ms)


@dataclass(frozen=True, slots=True)
class Tick:
    """Health at one clock."""

    at_ms: int
    raw: health.Side
    without_tests: health.Side


@dataclass(frozen=True, slots=True)
class Mark:
    """What the deployment itself reported at one time."""

    at_ms: int
    completion_rate: float  # of messages, rounded as the app shows it
    status: str


@dataclass(frozen=True, slots=True)
class Series:
    """Health over time."""

    snapshot: Snapshot  # whose documents
    policy: Policy
    filter: FilterName
    grid: Grid
    ticks: tuple[Tick, ...]
    reported: tuple[Mark, ...]  # of every snapshot up to this one, in the grid's time


def grid(since_ms: int, until_ms: int, step_ms: int) -> Grid:
    """Return the clocks from since_ms in steps, up to and including until_ms.

    raises  UsageError when they are the wrong way round, or too many
    """
    if until_ms < since_ms:
        raise UsageError("--until lies before --since", hint="swap them")
    ticks = (until_ms - since_ms) // step_ms + 1
    if ticks > MAX_TICKS:
        raise UsageError(
            f"every {duration(step_ms)} makes {counted(ticks, 'tick')}, more than {counted(MAX_TICKS)}",
            hint="take a longer --every or a shorter time",
        )
    return Grid(since_ms, step_ms, ticks)


@no_cycles_sought()
def series(
    store: Store,
    snapshot: Snapshot,
    clocks: Grid,
    *,
    policy: Policy,
    filter_name: FilterName,
    rules: RuleSet,
    internal: InternalLists = artifacts.NO_LISTS,
    system_health: str = SYSTEM_HEALTH,
) -> Series:
    """Judge a snapshot's documents at every clock of a grid, with the statuses that were in force then.

    system_health  path of the function whose recorded answers become marks
    """
    grid_params = {"first_ms": clocks.first_ms, "step_ms": clocks.step_ms}
    windows = {"window_ms": policy.window_ms, "stuck_ms": STUCK_MS}
    frame = store.frame(snapshot, clocks.clocks[-1])
    counted_ns = _counted_ns(frame, *grid_params.values(), *windows.values())
    raw = _by_field(
        frame.rows("health/series", **grid_params, **windows, ticks=clocks.ticks, counted_ns=counted_ns), clocks.ticks
    )
    left_out: list[Change] = []
    responses: dict[tuple[int, bool], Response] = {}  # by tick, and whether without tests
    is_filtered = filter_name is not FilterName.NONE
    for from_tick, until_tick in _stretches(store, snapshot, clocks) if is_filtered or policy.needs_response else ():
        frame = store.frame(snapshot, clocks.clocks[until_tick])
        artifacts.find(frame, rules, internal, orphans=filter_name is FilterName.WIDE, whole=False)
        health.leave_out(frame, filter_name)
        stretch = grid_params | {"from_tick": from_tick, "until_tick": until_tick}
        left_out += frame.rows("health/series_left_out", **stretch, **windows)
        if policy.needs_response:
            responses |= _responses(frame, stretch, policy)
    without = _less(raw, _by_field(left_out, clocks.ticks))
    judged = functools.partial(_judge, snapshot, policy, clocks, lost=gaps(frame))
    raw_sides = judged(JUDGED_TABLES, _counts(raw, clocks.ticks, responses, is_without=False))
    sides = judged(needed_tables(filter_name), _counts(without, clocks.ticks, responses, is_without=True))
    return Series(
        snapshot,
        policy,
        filter_name,
        clocks,
        tuple(Tick(*tick) for tick in zip(clocks.clocks, raw_sides, sides, strict=True)),
        _reported(store, snapshot, clocks, system_health),
    )


def _judge(
    snapshot: Snapshot,
    policy: Policy,
    clocks: Grid,
    tables: Sequence[str],
    counts: Iterable[Counts],
    *,
    lost: Sequence[Gap],
) -> list[health.Side]:
    usual = doubts(snapshot, snapshot.as_of_ms, policy.window_ms, tables)
    unsure_ticks = set(_ticks_with_doubts(clocks, snapshot.as_of_ms + policy.window_ms, lost))
    sides = []
    for tick, (at_ms, found) in enumerate(zip(clocks.clocks, counts, strict=True)):
        unsure = doubts(snapshot, at_ms, policy.window_ms, tables, lost) if tick in unsure_ticks else usual
        sides.append(health.side(found, at_ms, policy, unsure))
    return sides


def _ticks_with_doubts(clocks: Grid, covered_until_ms: int, lost: Sequence[Gap]) -> Iterator[int]:
    """Yield the ticks that have doubts of their own: in a gap, and where the snapshot does not reach."""
    for from_ms, until_ms in [
        *((gap.from_ms, gap.until_ms) for gap in lost),
        (covered_until_ms, clocks.clocks[-1] + 1),
    ]:
        first = max(0, (from_ms - clocks.first_ms) // clocks.step_ms + 1)
        end = min(clocks.ticks, -((clocks.first_ms - until_ms) // clocks.step_ms))
        yield from range(first, end)


def _stretches(store: Store, snapshot: Snapshot, clocks: Grid) -> Iterator[tuple[int, int]]:
    """Yield the first and last tick of every stretch between two snapshots that has a tick.

    A snapshot counts from the millisecond of its time on, as in a frame. The first one does so before, too: nothing
    older is known.
    """
    seen = [
        other.as_of_ms for other in store.snapshots(snapshot.deployment.name) if other.as_of_ns <= snapshot.as_of_ns
    ]
    starts = seen[1:]
    first = 0
    while first < clocks.ticks:
        position = bisect.bisect_right(starts, clocks.clocks[first])
        last = clocks.ticks - 1
        if position < len(starts):
            last = min(last, (starts[position] - 1 - clocks.first_ms) // clocks.step_ms)
        yield first, last
        first = last + 1


def _counted_ns(frame: Frame, *clocks_ms: int) -> int:
    """Return up to which revisions counts by the minute tell what the documents do; -1: of none.

    clocks_ms  a clock, and the lengths by which others, their windows and limits are away from it
    """
    if any(ms % MINUTE_MS for ms in clocks_ms):
        return -1
    counted_ns: int = frame.rows("health/counted_until")[0][0]
    return counted_ns


def _by_field(changes: Sequence[Change], ticks: int) -> dict[str, list[int]]:
    """Return for each field of counts that changes what it is at every tick."""
    moved: dict[str, list[int]] = {}
    fields: dict[tuple[str, str, str | None], list[list[int]]] = {}
    for table, measure, status, tick, change in changes:
        key = (table, measure, status)
        if key not in fields:
            fields[key] = [moved.setdefault(name, [0] * (ticks + 1)) for name in health.fields_of(*key)]
        for field in fields[key]:
            field[tick] += change
    return {name: list(accumulate(field[:ticks])) for name, field in moved.items()}


def _less(whole: Mapping[str, list[int]], part: Mapping[str, list[int]]) -> dict[str, list[int]]:
    return {name: list(map(sub, field, part[name])) if name in part else field for name, field in whole.items()}


def _counts(
    by_field: Mapping[str, list[int]], ticks: int, responses: Mapping[tuple[int, bool], Response], *, is_without: bool
) -> Iterator[Counts]:
    """Yield the counts at each tick."""
    rows = zip(*by_field.values(), strict=True) if by_field else repeat((), ticks)
    for tick, row in enumerate(rows):
        counts = Counts(**dict(zip(by_field, row, strict=True)))
        yield health.with_response(counts, responses.get((tick, is_without)))


def _responses(frame: Frame, stretch: Mapping[str, int], policy: Policy) -> dict[tuple[int, bool], Response]:
    rows = frame.rows("health/responses", **stretch, window_ms=policy.window_ms, percent=RESPONSE_PERCENT)
    return {(tick, is_without): (response_ms, documents) for tick, is_without, response_ms, documents in rows}


def _reported(store: Store, snapshot: Snapshot, clocks: Grid, function: str) -> tuple[Mark, ...]:
    """Return what the deployment reported of itself in the grid's time, oldest first."""
    found = set()
    for other in store.snapshots(snapshot.deployment.name):
        answer = claimed(store, other, function) if other.as_of_ns <= snapshot.as_of_ns else None
        if answer is None:
            continue
        at_ms, rate = timestamp_ms(answer), _at(answer, "messages", "completionRate")
        status = _at(answer, "health", "status")
        is_rate = isinstance(rate, int | float) and 0 <= rate <= 1  # an answer may hold anything
        if at_ms is not None and clocks.first_ms <= at_ms <= clocks.clocks[-1] and is_rate:
            found.add(Mark(at_ms, float(rate), str(status)))
    return tuple(sorted(found, key=lambda mark: mark.at_ms))


def _at(answer: Mapping[str, Any], section: str, field: str) -> Any:
    part = answer.get(section)
    return part.get(field) if isinstance(part, Mapping) else None
