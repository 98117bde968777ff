"""What a report shows besides the comparison: series over time from the store, flags, and the log's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analyzer.analysis import series
from analyzer.analysis.changes import Flip, log_flips
from analyzer.analysis.checkpoints import Judging
from analyzer.analysis.policy import Counts, Policy
from analyzer.analysis.rollout import is_on
from analyzer.analysis.rollout_log import RolloutLog
from analyzer.analysis.rollout_plan import make_plan
from analyzer.analysis.verdict import RolloutReport
from analyzer.flows import reporting_log, rollouts
from analyzer.flows.comparing import compare_snapshots
from analyzer.flows.explaining import flag_changes
from analyzer.flows.rollout_records import Opened, open_log
from analyzer.model import Snapshot
from analyzer.report import rollout_charts, rollout_log_page, rollout_page
from analyzer.report.charts_time import FlagHistory, Moment, Usual
from analyzer.report.page import Chart, Page
from analyzer.report.rollout_page import Extras
from analyzer.store import Store
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


@dataclass(frozen=True, slots=True)
class Made:
    """A report and its page."""

    report: RolloutReport
    page: Page


def of_rollout(
    store: Store, opened: Opened, lens: Lens, reproduce: str, *, change_no: int | None = None, look: str | None = None
) -> Made:
    """Report on one change of a rollout at one of its looks.

    reproduce  the command line that makes this report again, without secrets
    change_no  number of the change; None for the last
    look       label of the look; None for the last that a snapshot reaches
    """
    found = judge_rollout(store, opened, lens, change_no=change_no, look=look)
    return _made(store, found, lens, reproduce, opened.rollout.log)


def of_snapshots(store: Store, baseline: Snapshot, after: Snapshot, lens: Lens, reproduce: str) -> Made:
    """Report on the time up to one snapshot against the time from it to a later one."""
    found = judge_snapshots(store, baseline, after, lens)
    return _made(store, found, lens, reproduce, None)


def of_log_alone(log: RolloutLog, reproduce: str) -> Made:
    """Report on what a person noted, where there are no documents."""
    found = reporting_log.of_log(log)
    chart = flags_of_log(log_flips(log))
    extras = Extras(() if chart is None else (chart,), (), rollout_log_page.blocks(log), reproduce)
    return Made(found, rollout_page.build(found, extras))


def of_unrecorded(
    store: Store,
    log: RolloutLog,
    lens: Lens,
    reproduce: str,
    *,
    deployment: str | None = None,
    change_no: int | None = None,
    look: str | None = None,
) -> Made:
    """Report on a log that the store does not hold, with the documents of its deployment where there are any."""
    opened = _opened(store, log, deployment)
    if opened is None:
        return of_log_alone(log, reproduce)
    return of_rollout(store, opened, lens, reproduce, change_no=change_no, look=look)


def judge_rollout(
    store: Store, opened: Opened, lens: Lens, *, change_no: int | None = None, look: str | None = None
) -> RolloutReport:
    """Return the comparison of one look at one change, without a page."""
    return rollouts.report(store, opened, lens.how, change_no=change_no, label=look)


def judge_snapshots(store: Store, baseline: Snapshot, after: Snapshot, lens: Lens) -> RolloutReport:
    """Return the comparison of the time up to one snapshot with the time from it to a later one."""
    return compare_snapshots(store, baseline, after, lens.how, make_plan())


def judge_log(
    store: Store, log: RolloutLog, lens: Lens, *, deployment: str | None = None, look: str | None = None
) -> RolloutReport:
    """Return the comparison for a log that the store does not hold."""
    opened = _opened(store, log, deployment)
    return reporting_log.of_log(log) if opened is None else judge_rollout(store, opened, lens, look=look)


def _opened(store: Store, log: RolloutLog, deployment: str | None) -> Opened | None:
    """Return the rollout of a log with the snapshots of its deployment; None where there are none."""
    name = deployment or log.deployment_name
    if name is None or not store.snapshots(name):
        return None
    return open_log(store, log, store.snapshots(name)[-1].deployment.name)


def _made(store: Store, found: RolloutReport, lens: Lens, reproduce: str, log: RolloutLog | None) -> Made:
    shown = {*found.baseline.snapshot_ids, *found.after.snapshot_ids}
    shown |= {look.snapshot_id for look in found.checkpoints if look.snapshot_id is not None}
    shown |= {e.snapshot.id for e in (found.explain, found.explain_before) if e is not None}
    snapshots = tuple(shot for shot in store.snapshots(found.deployment) if shot.id in shown)
    said = () if log is None else rollout_log_page.blocks(log)
    extras = Extras(charts(store, found, lens) if lens.with_charts else (), snapshots, said, reproduce)
    return Made(found, rollout_page.build(found, extras))


def charts(store: Store, report: RolloutReport, lens: Lens) -> tuple[Chart, ...]:
    """Return the charts over time of a report; none where no window says what time that is."""
    from_ms, to_ms = report.after.from_ms, report.after.to_ms
    if from_ms is None or to_ms is None or not report.after.snapshot_ids:
        return ()
    snapshot = store.snapshot(report.after.snapshot_ids[-1], report.deployment)
    start_ms = _start_ms(report, from_ms, to_ms)
    marks = moments(report)
    found = [
        rollout_charts.health(_health(store, snapshot, lens, start_ms, to_ms), marks),
        rollout_charts.hours(_hours(store, snapshot, lens, start_ms, to_ms), marks),
    ]
    if to_ms > from_ms:
        rates = _usual(store, snapshot, lens, report)
        found.append(rollout_charts.usual(rates, to_ms - from_ms))
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


def _series(store: Store, snapshot: Snapshot, lens: Lens, clocks: series.Grid, policy: Policy) -> series.Series:
    return series.series(
        store,
        snapshot,
        clocks,
        policy=policy,
        filter_name=lens.how.filter,
        rules=lens.how.rules,
        internal=lens.how.lists,
        system_health=lens.system_health,
    )


def _health(store: Store, snapshot: Snapshot, lens: Lens, from_ms: int, to_ms: int) -> series.Series:
    clocks = series.grid(from_ms, to_ms, _step_ms(from_ms, to_ms, 5 * MINUTE_MS))
    return _series(store, snapshot, lens, clocks, lens.how.policy)


def _hours(store: Store, snapshot: Snapshot, lens: Lens, from_ms: int, to_ms: int) -> series.Series:
    """Count in windows that touch and do not overlap: a clock's window holds both of its ends."""
    step_ms = _step_ms(from_ms, to_ms, HOUR_MS)
    first_ms = from_ms // step_ms * step_ms + step_ms - 1
    clocks = series.grid(first_ms, max(first_ms, to_ms // step_ms * step_ms + step_ms - 1), step_ms)
    return _series(store, snapshot, lens, clocks, replace(lens.how.policy, window_ms=step_ms - 1))


def _usual(store: Store, snapshot: Snapshot, lens: Lens, report: RolloutReport) -> tuple[Usual, ...]:
    """Measure stretches of the baseline as long as the look, back from the change, and the look itself."""
    assert report.after.from_ms is not None and report.after.to_ms is not None
    change_ms, length_ms = report.after.from_ms, report.after.to_ms - report.after.from_ms
    covered_ms = 0 if report.baseline.from_ms is None else change_ms - report.baseline.from_ms
    stretches = min(MOST_STRETCHES, covered_ms // length_ms)
    clocks = series.Grid(change_ms - 1 - (stretches - 1) * length_ms, length_ms, stretches + 1)
    found = _series(store, snapshot, lens, clocks, replace(lens.how.policy, window_ms=length_ms - 1))
    sides = [_rates(tick.without_tests.counts) for tick in found.ticks]
    before, after = sides[:-1], sides[-1]
    return tuple(
        Usual(title, tuple(side[title] for side in before if title in side), after.get(title)) for title in _TITLES
    )


_TITLES = ("Messages complete", "Messages failed", "Workflows completed", "Workflows failed")


def _rates(counts: Counts) -> Mapping[str, float]:
    """Return the rates that have documents behind them."""
    return dict(_known_rates(counts))


def _known_rates(counts: Counts) -> Iterator[tuple[str, float]]:
    if counts.message_total:
        yield _TITLES[0], counts.message_completed / counts.message_total
        yield _TITLES[1], counts.message_failed / counts.message_total
    if counts.workflow_total:
        yield _TITLES[2], counts.workflow_completed / counts.workflow_total
        yield _TITLES[3], counts.workflow_failed / counts.workflow_total
