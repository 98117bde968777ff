"""Health as a series: every tick as `health --at` that tick would show it, from a few passes over the documents.

Raw counts of all ticks come from one statement over the revisions. What a filter leaves out changes only when a
snapshot saw something new, so it is found once for each stretch of ticks between two snapshots.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_COMPLETE = {"chatMessages": "complete", "workflowTraces": "COMPLETED"}

Key = tuple[str, str, str | None]  # table, measure, status: see queries/health/series.sql
Spans = Sequence[tuple[Any, ...]]


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
    span_params = {"first_ms": clocks.first_ms, "step_ms": clocks.step_ms}
    windows = {"window_ms": policy.window_ms, "stuck_ms": STUCK_MS}
    frame = store.frame(snapshot, clocks.clocks[-1])
    raw = list(_counts(frame.rows("health/series", **span_params, **windows, ticks=clocks.ticks), 0, clocks.ticks))
    without: list[Counts] = []
    for from_tick, until_tick in _stretches(store, snapshot, clocks):
        stretch = slice(from_tick, until_tick + 1)
        if filter_name is FilterName.NONE and not policy.needs_response:
            without += raw[stretch]
            continue
        frame = store.frame(snapshot, clocks.clocks[until_tick])
        artifacts.find(frame, rules, internal, orphans=filter_name is FilterName.WIDE, whole=False)
        health.leave_out(frame, filter_name)
        ticks = {"from_tick": from_tick, "until_tick": until_tick}
        left_out = frame.rows("health/series_left_out", **span_params, **windows, **ticks)
        part = [
            whole.minus(less)
            for whole, less in zip(raw[stretch], _counts(left_out, from_tick, until_tick + 1), strict=True)
        ]
        if policy.needs_response:
            raw[stretch], part = _with_responses(frame, raw[stretch], part, span_params | ticks, policy)
        without += part
    lost = gaps(frame)
    raw_sides = _judge(snapshot, policy, JUDGED_TABLES, clocks, raw, lost=lost)
    sides = _judge(snapshot, policy, needed_tables(filter_name), clocks, without, lost=lost)
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
    tables: Sequence[str],
    clocks: Grid,
    counts: Sequence[Counts],
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

    A snapshot counts from the millisecond of its time on, as in a frame.
    """
    starts = [
        other.as_of_ms for other in store.snapshots(snapshot.deployment.name) if other.as_of_ns <= snapshot.as_of_ns
    ]
    first = 0
    while first < clocks.ticks:
        position = bisect.bisect_right(starts, clocks.clocks[first])
        last = clocks.ticks - 1
        if position < len(starts):
            last = min(last, (starts[position] - 1 - clocks.first_ms) // clocks.step_ms)
        yield first, last
        first = last + 1


def _counts(spans: Spans, from_tick: int, end_tick: int) -> Iterator[Counts]:
    """Yield the counts at each tick of a range from spans of (table, measure, status, first, last tick, documents)."""
    moves: dict[int, dict[Key, int]] = {}
    for table, measure, status, first, last, documents in spans:
        if first <= last:
            for tick, change in ((first, documents), (last + 1, -documents)):
                moved = moves.setdefault(tick, {})
                moved[table, measure, status] = moved.get((table, measure, status), 0) + change
    now: dict[Key, int] = {}
    counts = Counts()
    for tick in range(from_tick, end_tick):
        if tick in moves:
            for key, change in moves[tick].items():
                now[key] = now.get(key, 0) + change
            counts = health.tally(list(_by_status(now)))
        yield counts


def _by_status(now: Mapping[Key, int]) -> Iterator[tuple[str, str, str | None, int]]:
    """Turn the measures of a series into those of health/counts."""
    completed = dict.fromkeys(_COMPLETE, 0)
    for (table, measure, status), documents in now.items():
        if measure == "total":
            completed[table] += documents
        elif measure == "not_completed":
            completed[table] -= documents
            yield table, "window", status, documents
        elif measure == "stuck":
            yield table, "stuck", status, documents
        elif measure == "recent":
            yield table, "recent", None, documents
        else:  # recent_failed: in recent as well
            yield table, "recent", "FAILED", documents
            yield table, "recent", None, -documents
    for table, documents in completed.items():
        yield table, "window", _COMPLETE[table], documents


def _with_responses(
    frame: Frame, raw: list[Counts], without: list[Counts], params: Mapping[str, int], policy: Policy
) -> tuple[list[Counts], list[Counts]]:
    rows = frame.rows("health/responses", **params, window_ms=policy.window_ms, percent=RESPONSE_PERCENT)
    found = {(tick, is_without): (response_ms, documents) for tick, is_without, response_ms, documents in rows}
    ticks = range(params["from_tick"], params["until_tick"] + 1)
    return (
        [health.with_response(c, found.get((tick, False))) for tick, c in zip(ticks, raw, strict=True)],
        [health.with_response(c, found.get((tick, True))) for tick, c in zip(ticks, without, strict=True)],
    )


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
