"""Health, series and explain in an open store, against a bare scan of three columns and against pandas.

Both sides run in turn in one warm process. Ours is the whole answer: artifacts are found, then everything is counted
and judged.
"""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd

from analyzer import rules
from analyzer.analysis import artifacts, health, policy, series
from analyzer.analysis.health import HealthReport
from analyzer.flows.explaining import explain_snapshot
from analyzer.model import FilterName, Snapshot
from analyzer.rules import InternalLists
from analyzer.store import Store
from benchmarks.context import Context, Row
from benchmarks.generate import HELPER_PROMPT, export
from benchmarks.measure import in_turn, run, seconds

MONTH_MS = 30 * 86_400_000
HOUR_MS = 3_600_000
SCAN = "a bare scan of three columns"
# Three columns that no count of messages can do without; every value is looked at, none comes from statistics.
THREE_COLUMNS = """
select count(*) filter (where status = 'complete'), sum(created_at_ms), sum(creation_time_ms) from revision_messages
"""
TIMES = ("2025-12-16T12:58:00Z", "2025-12-16T13:58:00Z", "2025-12-16T14:58:00Z")


def rows(context: Context) -> list[Row]:
    """Return what is measured in a warm process; many snapshots only where they fit on a disk and in the time."""
    with Store.read(context.store) as store:
        found = [*_against_scan(context, store), _against_pandas(context, store)]
    return found if context.size == "10m" else [*found, _as_of(context)]


def _against_scan(context: Context, store: Store) -> list[Row]:
    snapshot = store.snapshot()

    def scan() -> list[Any]:
        return store._duck.execute(THREE_COLUMNS).fetchall()  # the floor stands where the program does

    def explain() -> object:
        return explain_of(store, snapshot)

    strict = "analyzer explain --full --policy strict"
    since = "analyzer health --every 1h --since 2025-11-16T12:58:00Z"
    month = in_turn(lambda: health_of(store, snapshot), scan, context.calls)
    hours = in_turn(lambda: series_of(store, snapshot), scan, context.calls)
    judge = functools.partial(context.row, judged_at="10m")
    return [
        judge("health, 30 days, warm", month, floor=SCAN, command="analyzer health --window 30d", limit=3.0),
        judge("health series, hourly, 30 days", hours, floor=SCAN, command=since, limit=3.0),
        judge("explain --full", in_turn(explain, scan, context.calls), floor=SCAN, command=strict, limit=30.0),
        judge("explain --full: time", seconds(explain, context.calls), floor="", command=strict, limit=3.0, unit="s"),
    ]


def _against_pandas(context: Context, store: Store) -> Row:
    """Let pandas answer the same from frames that it holds already; both must say the same."""
    snapshot = store.snapshot()
    frames = load_pandas(store)
    report = health_of(store, snapshot)
    expected = counts_of(report)
    answer = pandas_health(frames, snapshot.as_of_ms)
    assert answer == expected, f"pandas says {answer}, we say {expected}"
    return context.row(
        "pandas against health, 30 days",
        in_turn(lambda: pandas_health(frames, snapshot.as_of_ms), lambda: health_of(store, snapshot), context.calls),
        floor="ours; pandas has loaded its frames already",
        command="analyzer health --window 30d",
        limit=2.0,
        judged_at="10m",
        limit_is_least=True,
    )


def _as_of(context: Context) -> Row:
    """Compare the first of three snapshots, each with half of the messages changed, with the newest."""
    path = context.folder / f"history-{context.size}.duckdb"
    half = export(context.folder / f"half-{context.size}.zip", context.documents, changed_share=0.5)
    for source, taken_at in zip((context.first, half, context.first), TIMES, strict=True):
        run(context.collect(source, path, taken_at=taken_at))
    with Store.read(path) as store:
        oldest, *_, newest = store.snapshots()
        figure = in_turn(lambda: health_of(store, oldest), lambda: health_of(store, newest), context.calls)
    path.unlink()
    half.unlink()
    return context.row(
        "health as of the first of 3 snapshots",
        figure,
        floor="the same as of the newest; half of the messages changed each time",
        command="analyzer health --window 30d --snapshot 1",
        limit=1.3,
        judged_at="1m",
    )


def health_of(store: Store, snapshot: Snapshot) -> HealthReport:
    """Return what `analyzer health --window 30d` finds."""
    frame, rule_set = store.frame(snapshot), rules.load_all()
    artifacts.find(frame, rule_set)
    judged = policy.find("deployed", {}, window_ms=MONTH_MS)
    return health.assess(
        frame,
        policy=judged,
        filter_name=FilterName.EVIDENCE,
        now_ms=snapshot.taken_at_ms,
        unjudged=artifacts.unjudged(frame, rule_set, orphans=False),
    )


def series_of(store: Store, snapshot: Snapshot) -> series.Series:
    """Return what `analyzer health --every 1h` over 30 days finds."""
    return series.series(
        store,
        snapshot,
        series.grid(snapshot.as_of_ms - MONTH_MS, snapshot.as_of_ms, HOUR_MS),
        policy=policy.find("deployed", {}),
        filter_name=FilterName.EVIDENCE,
        rules=rules.load_all(),
    )


def explain_of(store: Store, snapshot: Snapshot) -> Any:
    """Return what `analyzer explain --full --policy strict` finds; strict, because there is something to explain."""
    return explain_snapshot(
        store,
        snapshot,
        at_ms=None,
        policy=policy.find("strict", {}),
        filter_name=FilterName.EVIDENCE,
        rules=rules.load_all(),
        lists=InternalLists(),
        now_ms=snapshot.taken_at_ms,
        full=True,
    )


def counts_of(report: HealthReport) -> dict[str, tuple[int, ...]]:
    """Return the counts that pandas is asked for."""
    return {
        name: (c.message_total, c.message_completed, c.message_failed, c.workflow_total, c.workflow_completed)
        for name, c in (("raw", report.raw.counts), ("without_tests", report.without_tests.counts))
    }


def load_pandas(store: Store) -> dict[str, pd.DataFrame]:
    """Return the columns that health needs as frames, statuses and references as categories."""

    def frame(sql: str, *categories: str) -> pd.DataFrame:
        return store._duck.execute(sql).df().astype(dict.fromkeys(categories, "category"))

    prompt = f"coalesce(content_sha256 = unhex(sha256('{HELPER_PROMPT}')), false) as is_helper_prompt"
    message = "coalesce(created_at_ms, creation_time_ms) as judged_at_ms"
    return {
        "tasks": frame("select id, repo_full_name, workspace_path, is_scratchpad, title from revision_tasks"),
        "messages": frame(
            f"select task_id, status, {message}, llm_model, {prompt} from revision_messages",
            "task_id",
            "status",
            "llm_model",
        ),
        "traces": frame(f"select task_id, status, {message} from revision_traces", "task_id", "status"),
    }


def pandas_health(frames: dict[str, pd.DataFrame], at_ms: int) -> dict[str, tuple[int, ...]]:
    """Count the window with and without what the helpers' tasks left, as an analyst would write it."""
    tasks = frames["tasks"]
    of_helper = (tasks.repo_full_name == "test/test-repo") & (tasks.workspace_path == "/tmp/test")
    left = tasks[of_helper & tasks.is_scratchpad.astype(bool)].id
    found: dict[str, tuple[int, ...]] = {"raw": (), "without_tests": ()}
    for table, statuses in (("messages", ("complete", "failed")), ("traces", ("COMPLETED",))):
        documents = frames[table]
        window = documents[documents.judged_at_ms >= at_ms - MONTH_MS]
        is_left = window.task_id.isin(left)
        if table == "messages":
            is_left |= (window.llm_model == "test-model") & window.is_helper_prompt
        for name, side in (("raw", window), ("without_tests", window[~is_left])):
            by_status = side.status.value_counts()
            found[name] += (len(side), *(int(by_status.get(status, 0)) for status in statuses))
    return found
