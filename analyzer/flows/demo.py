"""The demo: collects the recordings of a rollout one after the other and judges each at its own time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from analyzer.analysis import artifacts, health, reported, series
from analyzer.analysis.explain import Explanation
from analyzer.analysis.policy import DEPLOYED
from analyzer.collect import collect
from analyzer.errors import SourceError
from analyzer.flows.explaining import explain_snapshot
from analyzer.model import FilterName, Snapshot, Status
from analyzer.rules import InternalLists, RuleSet, fingerprints
from analyzer.sources import open_source
from analyzer.store import Store

RECORDINGS = "[0-9][0-9]-*"  # numbered in order of time
STORE_FILE = "demo.duckdb"  # a name that no store of a user's own has by default: it is replaced without asking
FILTER = FilterName.EVIDENCE
LEAD_MS, STEP_MS = 3 * 3_600_000, 15 * 60_000  # of the series: how long before the first recording, and how fine


@dataclass(frozen=True, slots=True)
class Demo:
    """The rollout, judged by the default policy and filter."""

    store: Path
    reports: tuple[health.HealthReport, ...]  # one a recording, oldest first
    explained: Explanation  # of the first one that only leftovers of tests degrade
    series: series.Series


def folder() -> Path:
    """Return where the recordings lie: inside the installed package, else in the data of a checkout."""
    installed = Path(str(files("analyzer"))) / "demo"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "data" / "demo"


def replay(
    recordings: Path,
    out: Path,
    *,
    flag_names: Sequence[str],
    rules: RuleSet,
    now_ms: int,
    tell: Callable[[str], None],
) -> Demo:
    """Collect every recording into a new store in a folder, then judge them all.

    flag_names  of the deployment's variables only these are kept
    now_ms      the local clock; only compared with when a snapshot was taken
    tell        is told what is going on
    raises      SourceError when there are no recordings
    """
    store_path = gather(recordings, out, flag_names=flag_names, rules=rules, tell=tell)
    with Store.read(store_path) as store:
        snapshots = store.snapshots()
        tell(f"judging {len(snapshots)} snapshots")
        reports = tuple(_judged(store, snapshot, rules, now_ms) for snapshot in snapshots)
        ours = next(report for report in reports if is_ours(report))
        explained = explain_snapshot(
            store,
            ours.snapshot,
            at_ms=None,
            policy=DEPLOYED,
            filter_name=FILTER,
            rules=rules,
            lists=InternalLists(),
            now_ms=now_ms,
        )
        clocks = series.grid(snapshots[0].as_of_ms - LEAD_MS, snapshots[-1].as_of_ms, STEP_MS)
        over_time = series.series(store, snapshots[-1], clocks, policy=DEPLOYED, filter_name=FILTER, rules=rules)
    return Demo(store_path, reports, explained, over_time)


def gather(
    recordings: Path, out: Path, *, flag_names: Sequence[str], rules: RuleSet, tell: Callable[[str], None]
) -> Path:
    """Collect every recording into a new store in a folder; returns its path.

    raises  SourceError when there are no recordings
    """
    found = sorted(path for path in recordings.glob(RECORDINGS) if path.is_dir())
    if not found:
        raise SourceError(f"{recordings} holds no recordings", hint="install the package again, whole")
    store_path = fresh(out / STORE_FILE)
    for path in found:
        tell(f"collecting {path.name}")
        source = open_source(path, deployment=None, taken_at_ns=None, flag_names=flag_names)
        with contextlib.closing(source):
            collect(source, store_path, label=path.name, fingerprints=fingerprints(rules))
    return store_path


def is_ours(report: health.HealthReport) -> bool:
    """Tell whether leaving out what tests left turns degraded into healthy."""
    return report.raw_status is Status.DEGRADED and report.status is Status.HEALTHY


def fresh(store_path: Path) -> Path:
    """Take away the store that an earlier demo left, with what belongs to it; return its path."""
    for suffix in ("", ".wal", ".lock"):
        store_path.with_name(store_path.name + suffix).unlink(missing_ok=True)
    return store_path


def _judged(store: Store, snapshot: Snapshot, rules: RuleSet, now_ms: int) -> health.HealthReport:
    said = reported.reported(store, snapshot)
    frame = store.frame(snapshot)
    artifacts.prepare(frame, rules)
    return health.assess(frame, policy=DEPLOYED, filter_name=FILTER, now_ms=now_ms, reported=said)
