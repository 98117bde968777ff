"""The charts over time of a report, counted from the store: health, documents by time, usual values, flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.analysis import series
from analyzer.analysis.buckets import Buckets, Ended, count_buckets
from analyzer.analysis.changes import Flip
from analyzer.analysis.checkpoints import Frames, Judging
from analyzer.analysis.rollout import is_on
from analyzer.analysis.verdict import RolloutReport
from analyzer.flows.explaining import flag_changes
from analyzer.model import Snapshot
from analyzer.report import rollout_charts
from analyzer.report.charts_time import FlagHistory, Moment, Usual
from analyzer.report.page import Chart
from analyzer.store import Frame, Store
from analyzer.units import MS_OF_UNIT

MINUTE_MS, HOUR_MS, DAY_MS = MS_OF_UNIT["m"], MS_OF_UNIT["h"], MS_OF_UNIT["d"]
STEPS_MS = (MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, DAY_MS)
MOST_TICKS = 200  # of a chart: more could not be told apart
MOST_STRETCHES = 60
LEAD_MS = 6 * HOUR_MS  # shown before a change at least, where there is a baseline


@dataclass(frozen=True, slots=True)
class Lens:
    """How documents become counts."""

    how: Judging
    system_health: str  # path of the function whose recorded answers become marks
    with_charts: bool = True  # whether to count for charts over time, which only a page as HTML shows


def charts(report: RolloutReport, lens: Lens, frames: Frames) -> tuple[Chart, ...]:
    """Return the charts over time of a report; none where no window says what time that is."""
    from_ms, to_ms = report.after.from_ms, report.after.to_ms
    if from_ms is None or to_ms is None or not report.after.snapshot_ids:
        return ()
    store = frames.store
    snapshot = store.snapshot(report.after.snapshot_ids[-1], report.deployment)
    start_ms = _start_ms(report, from_ms, to_ms)
    marks = moments(report)
    frame = frames.open(snapshot)
    found = [rollout_charts.hours(_hours(frame, lens, start_ms, to_ms), marks)]
    if to_ms > from_ms:
        found.append(rollout_charts.usual(_usual(frame, lens, report), to_ms - from_ms))
    found.insert(0, rollout_charts.health(_health(store, snapshot, lens, start_ms, to_ms), marks))
    histories = flag_histories(store, snapshot, start_ms)
    if histories:
        found.append(rollout_charts.flags(histories, start_ms, to_ms, marks))
    return tuple(found)


def moments(report: RolloutReport) -> tuple[Moment, ...]:
    """Return the changes of a report and the planned looks after the one it judges."""
    times: dict[int, list[int]] = {}
    for phase in report.rollout.phases if report.rollout else ():
        if phase.change is not None and phase.at_ms is not None:
            times.setdefault(phase.change, []).append(phase.at_ms)
    changes = [Moment(f"change {number}", min(at_ms), max(at_ms), "change") for number, at_ms in sorted(times.items())]
    if not changes and report.after.from_ms is not None:
        changes = [Moment("the change", report.after.from_ms, report.after.from_ms, "change")]
    looks = {(look.label, look.at_ms): Moment(look.label, look.at_ms, look.at_ms, "checkpoint")
             for look in report.checkpoints}  # fmt: skip
    return (*changes, *looks.values())


def flag_histories(store: Store, snapshot: Snapshot, start_ms: int) -> tuple[FlagHistory, ...]:
    """Return what each flag was, as far as snapshots up to this one tell."""
    first: dict[str, tuple[int, str | None]] = {}
    for earlier in store.snapshots(snapshot.deployment.name):
        for flag in earlier.flags if earlier.as_of_ns <= snapshot.as_of_ns else ():
            first.setdefault(flag.name, (earlier.as_of_ms, flag.value))
    found = []
    for name, (at_ms, value) in sorted(first.items()):
        points: list[tuple[int, bool | None]] = [(at_ms, is_on(name, value))]
        points += [(c.at_ms, is_on(name, c.value)) for c in flag_changes(store, snapshot) if c.name == name]
        unknown: list[tuple[int, bool | None]] = [(start_ms, None)] if at_ms > start_ms else []
        found.append(FlagHistory(name, (*unknown, *points)))
    return tuple(found)


def flags_of_log(flips: Sequence[Flip]) -> Chart | None:
    """Return when each flag was on as a log tells it; None where it dates no flip."""
    if not flips:
        return None
    start_ms = min(flip.at_ms for flip in flips) - HOUR_MS
    end_ms = max(flip.at_ms for flip in flips) + HOUR_MS
    by_flag: dict[str, list[tuple[int, bool | None]]] = {}
    for flip in sorted(flips, key=lambda flip: flip.at_ms):
        points = by_flag.setdefault(flip.flag, [(start_ms, None)])
        points.append((flip.at_ms, is_on(flip.flag, flip.value)))
    histories = [FlagHistory(name, tuple(points)) for name, points in by_flag.items()]
    return rollout_charts.flags(histories, start_ms, end_ms, ())


# ---- series ------------------------------------------------------------------------------------------------------


def _start_ms(report: RolloutReport, from_ms: int, to_ms: int) -> int:
    """Return where the charts begin: as long before the change as they go on after it, where that is covered."""
    wanted = from_ms - max(LEAD_MS, to_ms - from_ms)
    return wanted if report.baseline.from_ms is None else max(wanted, report.baseline.from_ms)


def _step_ms(from_ms: int, to_ms: int, least_ms: int) -> int:
    fitting = (step for step in STEPS_MS if step >= least_ms and (to_ms - from_ms) // step < MOST_TICKS)
    return next(fitting, DAY_MS * (1 + (to_ms - from_ms) // (DAY_MS * MOST_TICKS)))


def _health(store: Store, snapshot: Snapshot, lens: Lens, from_ms: int, to_ms: int) -> series.Series:
    return series.series(
        store,
        snapshot,
        series.grid(from_ms, to_ms, _step_ms(from_ms, to_ms, 5 * MINUTE_MS)),
        policy=lens.how.policy,
        filter_name=lens.how.filter,
        rules=lens.how.rules,
        internal=lens.how.lists,
        system_health=lens.system_health,
    )


def _hours(frame: Frame, lens: Lens, from_ms: int, to_ms: int) -> Buckets:
    step_ms = _step_ms(from_ms, to_ms, HOUR_MS)
    first_ms = from_ms // step_ms * step_ms
    count = (to_ms - first_ms) // step_ms + 1
    return count_buckets(frame, lens.how.filter, first_ms=first_ms, step_ms=step_ms, count=count)


def _usual(frame: Frame, lens: Lens, report: RolloutReport) -> tuple[Usual, ...]:
    """Measure stretches of the baseline as long as the look, back from the change, and the look itself."""
    assert report.after.from_ms is not None and report.after.to_ms is not None
    change_ms, length_ms = report.after.from_ms, report.after.to_ms - report.after.from_ms
    covered_ms = 0 if report.baseline.from_ms is None else change_ms - report.baseline.from_ms
    before = min(MOST_STRETCHES, covered_ms // length_ms)
    found = count_buckets(
        frame, lens.how.filter, first_ms=change_ms - before * length_ms, step_ms=length_ms, count=before + 1
    )
    return tuple(
        Usual(title, tuple(share for share in shares[:-1] if share is not None), shares[-1])
        for title, table, event in _RATES
        for shares in [[_share(ended, event) for ended in found.of(table)]]
    )


_RATES = (
    ("Messages complete", "chatMessages", "completed"),
    ("Messages failed", "chatMessages", "failed"),
    ("Workflows completed", "workflowTraces", "completed"),
    ("Workflows failed", "workflowTraces", "failed"),
)


def _share(ended: Ended, event: str) -> float | None:
    return getattr(ended, event) / ended.documents if ended.documents else None
