"""Reports of rollouts, of two snapshots and of logs: the comparison, and the page that shows it."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.analysis.changes import log_flips
from analyzer.analysis.checkpoints import Frames
from analyzer.analysis.rollout_log import RolloutLog
from analyzer.analysis.rollout_plan import make_plan
from analyzer.analysis.verdict import RolloutReport
from analyzer.flows import reporting_charts, reporting_log, rollouts
from analyzer.flows.comparing import compare_snapshots
from analyzer.flows.reporting_charts import Lens
from analyzer.flows.rollout_records import Opened, open_log
from analyzer.model import Snapshot
from analyzer.report import rollout_log_page, rollout_page
from analyzer.report.page import Page
from analyzer.report.rollout_page import Extras
from analyzer.store import Store


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
    frames = Frames(store, lens.how)
    found = rollouts.report(store, opened, lens.how, change_no=change_no, label=look, frames=frames)
    return _made(found, lens, frames, reproduce, opened.rollout.log)


def of_snapshots(store: Store, baseline: Snapshot, after: Snapshot, lens: Lens, reproduce: str) -> Made:
    """Report on the time up to one snapshot against the time from it to a later one."""
    frames = Frames(store, lens.how)
    found = compare_snapshots(store, baseline, after, lens.how, make_plan(), frames=frames)
    return _made(found, lens, frames, reproduce, None)


def of_log_alone(log: RolloutLog, reproduce: str) -> Made:
    """Report on what a person noted, where there are no documents."""
    found = reporting_log.of_log(log)
    chart = reporting_charts.flags_of_log(log_flips(log))
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


def _made(found: RolloutReport, lens: Lens, frames: Frames, reproduce: str, log: RolloutLog | None) -> Made:
    store = frames.store
    shown = {*found.baseline.snapshot_ids, *found.after.snapshot_ids}
    shown |= {look.snapshot_id for look in found.checkpoints if look.snapshot_id is not None}
    shown |= {e.snapshot.id for e in (found.explain, found.explain_before) if e is not None}
    snapshots = tuple(shot for shot in store.snapshots(found.deployment) if shot.id in shown)
    said = () if log is None else rollout_log_page.blocks(log)
    drawn = reporting_charts.charts(found, lens, frames) if lens.with_charts else ()
    extras = Extras(drawn, snapshots, said, reproduce)
    return Made(found, rollout_page.build(found, extras))
