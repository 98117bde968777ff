"""Watches a rollout: collects at each planned look, judges it, and waits for the next.

Whatever was collected before counts: looks that a snapshot reaches are judged at once, so a watch that was stopped goes
on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.analysis import checkpoints
from analyzer.analysis.checkpoints import Judged, Judging, Look
from analyzer.errors import SourceError, StoreError
from analyzer.flows.rollout_records import Opened, open_rollout
from analyzer.flows.rollouts import choose_change, judge_looks
from analyzer.store import Store

RETRY_MS = 60_000
PATIENCE_MS = 3_600_000  # after the last look, or after the start where nothing was flipped yet
LONGEST_SLEEP_S = 30.0  # a machine that slept wakes up late by no more than this


@dataclass(frozen=True, slots=True)
class Watching:
    """What a watch does its work with."""

    collect: Callable[[str, str], object]  # name of the deployment, label of the snapshot; raises SourceError
    judging: Callable[[], Judging]
    now_ms: Callable[[], int]
    sleep_s: Callable[[float], None]
    tell: Callable[[Judged], None]  # called once for each look
    complain: Callable[[str], None]  # called for each collect that failed


@dataclass(frozen=True, slots=True)
class Watched:
    """Which rollout is watched."""

    store: Path
    deployment: str | None = None
    rollout_id: int | None = None
    change_no: int | None = None  # None: all its changes
    wait_s: float = 10.0  # for another process to let go of the store


@dataclass(slots=True)
class _State:
    started_ms: int
    told: set[tuple[int, str]] = field(default_factory=set)  # change, label
    tried_ms: int | None = None  # when the last collect began


def watch(watched: Watched, how: Watching, *, for_ms: int | None = None) -> None:
    """Judge every look of a rollout as its time comes; returns after the last one, or when time is up.

    A collect that fails, and one that does not reach the look, is tried again a minute later. Time is up after
    `for_ms`, else an hour after the last look; each look that is due is tried at least once. What is due then and has
    no data is told as it is: NO_DATA.

    raises  NoData, StoreError, UsageError where there is no such rollout
    """
    state = _State(how.now_ms())
    while True:
        opened, left = _judge(watched, how, state)
        now_ms = how.now_ms()
        if opened.rollout.changes and not left:
            return
        next_ms = left[0].at_ms if left else state.started_ms
        ends_ms = state.started_ms + for_ms if for_ms is not None else _last_ms(left, state) + PATIENCE_MS
        is_untried = state.tried_ms is None or state.tried_ms < next_ms
        if next_ms <= now_ms and (is_untried or state.tried_ms + RETRY_MS <= now_ms < ends_ms):  # type: ignore[operator]
            state.tried_ms = now_ms
            _collect(opened, [look for look in left if look.at_ms <= now_ms], how)
            continue
        if now_ms >= ends_ms:
            _judge(watched, how, state, due_ms=now_ms)
            return
        again_ms = next_ms if state.tried_ms is None or next_ms > now_ms else state.tried_ms + RETRY_MS
        _wait(min(again_ms, ends_ms), how)


def _last_ms(left: list[Look], state: _State) -> int:
    return max(state.started_ms, *(look.at_ms for look in left)) if left else state.started_ms


def _judge(watched: Watched, how: Watching, state: _State, due_ms: int | None = None) -> tuple[Opened, list[Look]]:
    """Tell of every look that is new and that a snapshot reaches.

    due_ms   also tell of those that are due by then and have none
    returns  the rollout, and the looks that remain, earliest first
    """
    left = []
    with Store.read(watched.store, wait_s=watched.wait_s) as store:
        opened = open_rollout(store, deployment=watched.deployment, rollout_id=watched.rollout_id)
        chosen = choose_change(opened.rollout, watched.change_no) if watched.change_no else None
        for change in (chosen,) if chosen else opened.rollout.changes:
            looks = checkpoints.planned_looks(opened.rollout, change, opened.snapshots)
            open_ = [look for look in looks if (look.change, look.label) not in state.told]
            ready = {k.label for k in open_ if k.snapshot is not None or (due_ms is not None and k.at_ms <= due_ms)}
            left += [look for look in open_ if look.label not in ready]
            for judged in judge_looks(store, opened, change, how.judging()) if ready else ():
                if judged.look.label in ready:
                    state.told.add((judged.look.change, judged.look.label))
                    how.tell(judged)
    return opened, sorted(left, key=lambda look: look.at_ms)


def _collect(opened: Opened, due: list[Look], how: Watching) -> None:
    try:
        how.collect(opened.rollout.deployment, due[-1].label if due else "")
    except (SourceError, StoreError) as error:
        how.complain(f"not collected, tried again in a minute: {error}")


def _wait(until_ms: int, how: Watching) -> None:
    while (left_ms := until_ms - how.now_ms()) > 0:
        how.sleep_s(min(left_ms / 1000, LONGEST_SLEEP_S))
