"""The live demo: watches a deployment while something happens there, then explains what the watch kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analyzer.analysis import series
from analyzer.analysis.explain import Explanation
from analyzer.analysis.function_health import FunctionReport, function_health
from analyzer.analysis.policy import DEPLOYED
from analyzer.collect.live import LiveOptions
from analyzer.collect.watch import Pace, Rhythm, Watched, watch
from analyzer.flows.demo import FILTER, fresh
from analyzer.flows.explaining import explain_snapshot
from analyzer.rules import InternalLists, RuleSet, fingerprints
from analyzer.sources.live import LiveSource
from analyzer.store import Store

STORE_FILE = "demo-live.duckdb"  # a name that no store of a user's own has by default: it is replaced without asking
STEP_MS = 60_000  # of the series


@dataclass(frozen=True, slots=True)
class LiveDemo:
    """What the watch kept, and what it means at its end."""

    store: Path
    watched: Watched
    explained: Explanation
    functions: FunctionReport
    series: series.Series


def rehearse(
    open_source: Callable[[], LiveSource],
    out: Path,
    rhythm: Rhythm,
    *,
    pace: Pace,
    rules: RuleSet,
    now_ms: Callable[[], int],
    tell: Callable[[str], None],
) -> LiveDemo:
    """Watch into a new store in a folder, then judge the newest snapshot.

    pace    how time passes, and what happens meanwhile
    now_ms  the local clock; only compared with when the snapshot was taken
    raises  as `watch`
    """
    store_path = fresh(out / STORE_FILE)
    watched = watch(
        open_source, store_path, LiveOptions(fingerprints=fingerprints(rules)), rhythm, tell=tell, pace=pace
    )
    with Store.read(store_path) as store:
        snapshots = store.snapshots()
        newest = snapshots[-1]
        explained = explain_snapshot(
            store,
            newest,
            at_ms=None,
            policy=DEPLOYED,
            filter_name=FILTER,
            rules=rules,
            lists=InternalLists(),
            now_ms=now_ms(),
        )
        functions = function_health(store.frame(newest))
        clocks = series.grid(snapshots[0].as_of_ms, newest.as_of_ms, STEP_MS)
        over_time = series.series(store, newest, clocks, policy=DEPLOYED, filter_name=FILTER, rules=rules)
    return LiveDemo(store_path, watched, explained, functions, over_time)
