"""A live source against a deployment that keeps its whole history: what is read is what was there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.convex import functions
from analyzer.convex.connection import connect
from analyzer.errors import AccessDenied, CursorExpired
from analyzer.model import DeploymentType
from analyzer.sources.live import LiveSource
from analyzer.sources.live_events import RESYNC_ACTIONS, read_events
from analyzer.sources.live_logs import read_logs
from analyzer.sources.live_metrics import read_metrics
from analyzer.sources.live_pages import Change, Page, Wanted
from tests.deployment import OTHER_503, RETRIABLE_503, UNSET, Deployment, Execution
from tests.deployment.faults import Fault
from tests.sources.live_truth import Folded, options, reading, restrict, target_of, truth

WAYS = ("data sync", "deltas", "paged")
INCREMENTAL = WAYS[:2]
ODD = {
    "whole": 5.0,
    "int": 2**62 + 1,
    "negative": -(2**63),
    "nan": math.nan,
    "infinite": -math.inf,
    "zero": -0.0,
    "bytes": b"\x00\xff",
    "text": "naïve \u2028 \U0001f600",
    "nested": {"a": [1, 2.0, {"b": None}], "empty": {}},
    "none": None,
    "true": True,
}


def filled(deployment: Deployment, users: int = 5, tasks: int = 7) -> list[str]:
    """Give a deployment documents in two tables and a component; return the ids of the users."""
    ids = deployment.insert_many("users", [{"name": f"user {n}", "n": float(n), "i": n} for n in range(users)])
    deployment.insert_many("tasks", [{"title": f"task {n}", "userId": ids[n % users]} for n in range(tasks)])
    deployment.insert_many("entries", [{"n": float(n)} for n in range(3)], component="waitlist")
    return ids


def small_pages(deployment: Deployment, size: int = 2) -> None:
    s = deployment.settings
    s.snapshot_rows = s.delta_rows = s.sync_rows = s.table_rows = size


def read_all(source: LiveSource, cursor: str | None = None) -> tuple[Folded, list[Page]]:
    folded, pages = Folded(), []
    for page in source.changes(cursor):
        folded.apply(page)
        pages.append(page)
    return folded, pages


def same(found: Any, expected: Any) -> bool:
    """Compare by value and type: 5 is not 5.0, and NaN is itself."""
    return repr(found) == repr(expected)


# ---- whole reads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_read_as_of_one_moment_and_value_by_value(way: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        small_pages(d)
        filled(d)
        d.insert("odd", ODD)
        with reading(d) as source:
            folded, pages = read_all(source)
            assert source.way == way
        assert pages[-1].is_last
        assert folded.snapshot_ts_ns is not None
        found, expected = folded.documents, truth(d, folded.snapshot_ts_ns)
    assert found.keys() == expected.keys() == {("", "users"), ("", "tasks"), ("", "odd"), ("waitlist", "entries")}
    for place, documents in expected.items():
        assert same(dict(sorted(found[place].items())), dict(sorted(documents.items())))


@pytest.mark.parametrize("way", WAYS)
def test_a_deployment_without_documents_is_read_as_such(way: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        d.create_table("users")
        with reading(d) as source:
            folded, pages = read_all(source)
            assert [table.name for table in source.tables()] == ["users"]
    assert folded.documents == {}
    assert pages[-1].consistent


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_misreads_the_filter_gets_nothing_past_the_door(way: str) -> None:
    wanted = Wanted(frozenset({("", "users"), ("waitlist", "entries")}), {("", "users"): frozenset({"name"})})
    for ignores in (False, True):
        with Deployment(ignores_selection=ignores) as d:
            restrict(d, way)
            filled(d)
            with reading(d, wanted=wanted) as source:
                folded, _ = read_all(source)
            expected = truth(d)
        assert folded.documents.keys() == {("", "users"), ("waitlist", "entries")}
        kept = {field for document in folded.documents["", "users"].values() for field in document}
        assert kept == {"_id", "_creationTime", "n", "i"}
        assert folded.documents["waitlist", "entries"] == expected["waitlist", "entries"]


def test_at_most_four_requests_are_under_way_at_once() -> None:
    with Deployment() as d:
        restrict(d, "paged")
        for n in range(12):
            d.insert_many(f"table{n}", [{"n": float(n)}] * 3)
        small_pages(d, 1)
        d.faults.latency(0.002)
        with reading(d) as source:
            folded, _ = read_all(source)
    assert len(folded.documents) == 12
    assert 2 <= d.most_at_once <= 4


# ---- increments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", INCREMENTAL)
def test_a_second_read_moves_what_changed_since_the_first(way: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        ids = filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
        d.patch("users", ids[0], {"name": "changed", "i": UNSET})
        d.delete("users", ids[1])
        new = d.insert("tasks", {"title": "new"})
        with reading(d) as source:
            changes: list[Change] = []
            for page in source.changes(folded.cursor):
                folded.apply(page)
                changes += page.values
        assert folded.documents == truth(d, folded.snapshot_ts_ns)
    assert sorted((change.id, change.deleted) for change in changes) == sorted(
        [(ids[0], False), (ids[1], True), (new, False)]
    )
    assert all(change.ts_ns > 2**53 for change in changes)


def test_page_by_page_everything_moves_every_time() -> None:
    with Deployment() as d:
        restrict(d, "paged")
        filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
            assert folded.cursor is None
        d.delete("tasks")
        with reading(d) as source:
            again, _ = read_all(source)
        assert again.documents == truth(d)


Move = tuple[str, int, int]  # what, which document, which table or value
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["insert", "insert", "patch", "delete", "replace", "drop"]),
        st.integers(0, 99),
        st.integers(0, 2),
    ),
    max_size=4,
)
TABLES = ("users", "tasks", "notes")


def move(d: Deployment, moves: list[Move], allowed: set[str]) -> None:
    for what, which, where in moves:
        table = TABLES[where]
        existing = sorted(d.documents(table))
        if what not in allowed:
            continue
        if what == "insert":
            d.insert_many(table, [{"n": float(which)}] * (which % 3 + 1))
        elif what == "replace" and existing:
            d.replace_table(table, [{"n": -1.0}] * (which % 3))
        elif what == "drop" and existing:
            d.drop_table(table)
        elif existing and what == "patch":
            d.patch(table, existing[which % len(existing)], {"n": float(which)})
        elif existing and what == "delete":
            d.delete(table, existing[which % len(existing)])


@dataclass(frozen=True)
class Story:
    """What happens to a deployment and to those who read it."""

    first: list[Move]  # before anybody reads
    between: list[list[Move]]  # after each page that arrives
    stops: list[int]  # at which page each reader dies
    page_size: int
    seed: int


STORIES = st.builds(
    Story,
    first=MOVES,
    between=st.lists(MOVES, min_size=1, max_size=5),
    stops=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    page_size=st.integers(1, 4),
    seed=st.integers(0, 9),
)


@pytest.mark.parametrize("way", INCREMENTAL)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(story=STORIES)
def test_any_writes_page_sizes_faults_and_stops_end_in_the_history_of_the_server(way: str, story: Story) -> None:
    """Writes happen between pages, requests fail, readers die at any page and others go on from its cursor."""
    allowed = {"insert", "patch", "delete"} | ({"replace"} if way == "data sync" else set())
    with Deployment(seed=story.seed) as d:
        restrict(d, way)
        small_pages(d, story.page_size)
        move(d, story.first, allowed)
        d.faults.refuse(503, "ExpiredInQueue", path="/api/*", times=None, probability=0.1)
        d.faults.drop(path="/api/*", times=None, probability=0.1)
        d.faults.truncate(path="/api/*", times=None, probability=0.1)
        folded, moves = Folded(), iter(story.between)
        for stop in [*story.stops, None]:
            with reading(d) as source:
                for position, page in enumerate(source.changes(folded.cursor)):
                    folded.apply(page)
                    if page.snapshot_ts_ns is not None:
                        assert folded.documents == truth(d, page.snapshot_ts_ns)
                    move(d, next(moves, []), allowed)
                    if position == stop:
                        break
        assert folded.snapshot_ts_ns is not None


@pytest.mark.parametrize("way", INCREMENTAL)
def test_an_old_cursor_expires_and_a_new_start_gives_everything(way: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
        d.clock.advance_s(40 * 86_400)
        d.insert("users", {"name": "late"})
        with reading(d) as source:
            with pytest.raises(CursorExpired):
                read_all(source, folded.cursor)
            again, _ = read_all(source)
        assert again.documents == truth(d, again.snapshot_ts_ns)


@pytest.mark.parametrize("way", INCREMENTAL)
def test_a_table_idle_for_weeks_keeps_its_documents_through_many_small_reads(way: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        filled(d)
        folded = Folded()
        for _ in range(6):
            with reading(d) as source:
                for page in source.changes(folded.cursor):
                    folded.apply(page)
            d.clock.advance_s(2 * 86_400)
            d.insert("tasks", {"title": "busy"})
        with reading(d) as source:
            for page in source.changes(folded.cursor):
                folded.apply(page)
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


def test_data_sync_notices_a_replaced_table_by_itself() -> None:
    with Deployment() as d:
        filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
        d.replace_table("users", [{"name": "imported"}])
        with reading(d) as source:
            pages = list(source.changes(folded.cursor))
        for page in pages:
            folded.apply(page)
        assert ("", "users") in {place for page in pages for place in page.truncates}
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


def test_a_table_that_was_dropped_is_missing_from_the_table_list_whether_or_not_data_sync_tells() -> None:
    for tells in (False, True):
        with Deployment(tells_drops=tells) as d:
            filled(d)
            with reading(d) as source:
                folded, _ = read_all(source)
            d.drop_table("users")
            with reading(d) as source:
                pages = list(source.changes(folded.cursor))
                assert [table.name for table in source.tables()] == ["tasks", "entries"]
            assert (("", "users") in {place for page in pages for place in page.truncates}) == tells


@pytest.mark.parametrize("change", ["replace_table", "drop_table"])
def test_deltas_are_blind_to_it_and_counts_and_the_table_list_tell(change: str) -> None:
    with Deployment() as d:
        restrict(d, "deltas")
        filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
        d.replace_table("users", [{"name": "imported"}]) if change == "replace_table" else d.drop_table("users")
        with reading(d) as source:
            for page in source.changes(folded.cursor):
                folded.apply(page)
            assert folded.snapshot_ts_ns is not None
            counts = source.counts(folded.snapshot_ts_ns)
            again, _ = read_all(source)
        kept = {place: len(documents) for place, documents in folded.documents.items()}
        assert kept != {place: count for place, count in counts.items() if count}
        assert again.documents == truth(d, again.snapshot_ts_ns)


@pytest.mark.parametrize("way", WAYS)
def test_counts_agree_with_what_was_read(way: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
            d.insert("users", {"name": "after"})
            assert folded.snapshot_ts_ns is not None
            counts = source.counts(folded.snapshot_ts_ns)
    assert counts["", "users"] == len(folded.documents["", "users"]) == 5


# ---- faults ----------------------------------------------------------------------------------------------------

PATHS = {"data sync": "/api/v1/data/sync", "deltas": "/api/*_*", "paged": "/api/query_at_ts"}


def refused(code: str, d: Deployment, path: str) -> Fault:
    return d.faults.refuse(503, code, path=path)


FAULTS: dict[str, Callable[[Deployment, str], Fault]] = {
    **{f"503 {code}": partial(refused, code) for code in RETRIABLE_503 + OTHER_503},
    "429": lambda d, path: d.faults.refuse(429, "TooManyConcurrentRequests", path=path),
    "500": lambda d, path: d.faults.refuse(500, "InternalServerError", path=path),
    "408": lambda d, path: d.faults.answer(408, b"", path=path),
    "web page": lambda d, path: d.faults.page(520, path=path),
    "dropped before": lambda d, path: d.faults.drop(path=path),
    "dropped after": lambda d, path: d.faults.drop(path=path, after_commit=True),
    "truncated": lambda d, path: d.faults.truncate(path=path),
    "slow": lambda d, path: d.faults.slow(chunk_bytes=2048, pause_s=0.001, path=path),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", list(FAULTS))
def test_what_goes_wrong_once_changes_nothing(way: str, fault: str) -> None:
    with Deployment() as d:
        restrict(d, way)
        filled(d)
        set_fault = FAULTS[fault](d, PATHS[way])
        with reading(d) as source:
            folded, _ = read_all(source)
        assert set_fault.hits == 1
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


def test_a_restart_of_the_server_in_the_middle_changes_nothing() -> None:
    with Deployment() as d:
        small_pages(d)
        filled(d)
        folded = Folded()
        with reading(d) as source:
            for position, page in enumerate(source.changes()):
                folded.apply(page)
                if position == 1:
                    d.restart()
        assert folded.documents == truth(d, folded.snapshot_ts_ns)


# ---- who it is and what it says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("prod", DeploymentType.PROD),
        ("dev", DeploymentType.DEV),
        ("preview", DeploymentType.PREVIEW),
        ("custom", DeploymentType.CUSTOM),
        ("selfHosted", DeploymentType.SELF_HOSTED),
    ],
)
def test_a_deployment_is_what_it_says_it_is(kind: Any, expected: DeploymentType) -> None:
    with Deployment(kind=kind) as d, reading(d) as source:
        assert (source.connection.deployment.name, source.connection.deployment.type) == ("happy-animal-123", expected)
        powers = source.connection.powers
    assert powers is not None
    assert powers.is_read_only
    assert powers.may("ViewData")
    assert not powers.may("WriteData")


def test_each_missing_permission_is_named() -> None:
    asks: dict[str, Callable[[LiveSource], Any]] = {
        "ViewData": lambda source: list(source.changes()),
        "ViewMetrics": lambda source: read_metrics(source.connection.client, 10**18),
        "ViewLogs": lambda source: read_logs(source.connection.client),
    }
    for in_function in (False, True):
        with Deployment(denies_in_function=in_function) as d:
            for op, ask in asks.items():
                denied = pytest.raises(AccessDenied, match=f"it lacks {op}")
                with denied as caught, connect(target_of(d, d.key_without(op)), options()) as connection:
                    ask(LiveSource(connection))
                assert caught.value.permission == op


def test_functions_answer_for_exactly_the_documents_that_were_read() -> None:
    with Deployment() as d:
        task = d.insert("tasks", {"title": "Fix it", "createdAt": float(d.clock.now_ms)})
        message = {"taskId": task, "role": "USER", "content": "?", "status": "complete"}
        d.insert("chatMessages", message | {"createdAt": float(d.clock.now_ms)})
        d.set_env(ENABLE_WORKFLOW="true", STRIPE_SECRET="sk_live_0123456789")
        with reading(d, flag_names=("ENABLE_WORKFLOW", "LOG_PROVIDER_ENABLED")) as source:
            read_all(source)
            d.insert("chatMessages", message | {"createdAt": float(d.clock.now_ms), "status": "failed"})
            info = source.info
            flags = source.flags()
    answers = {answer.function: answer for answer in info.answers}
    assert len(answers) == 5
    health = answers["monitoring/dashboard:getSystemHealth"]
    assert health.value["messages"]["total"] == 1.0
    assert health.answered_at_ms == d.clock.now_ms
    assert [(flag.name, flag.value) for flag in info.flags] == [
        ("ENABLE_WORKFLOW", "true"),
        ("LOG_PROVIDER_ENABLED", None),
    ]
    assert info.flags[0].changed_at_ms == pytest.approx(d.clock.now_ms, abs=5)
    assert [other.name for other in flags.others] == ["STRIPE_SECRET"]
    assert "sk_live_0123456789" not in repr(info) + repr(flags)


def test_a_paused_deployment_is_read_without_its_functions() -> None:
    with Deployment(state="paused") as d:
        filled(d)
        with reading(d) as source:
            folded, _ = read_all(source)
            info = source.info
            assert source.connection.who.state == "paused"
        assert folded.documents == truth(d)
    assert info.answers == ()
    assert all("is paused" in warning for warning in info.warnings if "did not answer" in warning)


# ---- events, metrics, logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prod", "selfHosted"])
def test_flips_pushes_and_imports_are_found(kind: Any) -> None:
    with Deployment(kind=kind) as d, reading(d) as source:
        since_ms = d.clock.now_ms - 3_600_000
        d.set_env(ENABLE_WORKFLOW="true")
        d.push(added=["chat.js"])
        d.clock.advance_s(1)
        found = read_events(source.connection.client, since_ms, d.clock.now_ms)
    actions = [event.action for event in found.events]
    assert "create_environment_variable" in actions
    assert "push_config_with_components" in actions
    assert found.complete_since_ms == since_ms
    assert not RESYNC_ACTIONS.intersection(actions)
    pushed = found.events[actions.index("push_config_with_components")]
    assert pushed.details == {"modules_added": ["chat.js"]}


def test_metrics_and_logs_tell_of_the_same_calls() -> None:
    with Deployment() as d, reading(d) as source:
        client = source.connection.client
        at_s = d.clock.now_ms / 1000
        for n in range(10):
            error = "Uncaught ConvexError: private words" if n < 3 else None
            d.record(Execution("chat:send", "Mutation", at_s, 0.25, error=error))
        d.clock.advance_s(90)
        metrics = read_metrics(client, functions.now_ns(client) + 90 * 10**9)
        page = read_logs(client)
        assert read_logs(client, page.next_cursor - 1).calls
    totals = {
        series.metric: sum(value or 0 for _, value in series.points)
        for series in metrics.series
        if series.function == "chat.js:send" and not series.metric.startswith("latency")
    }
    assert (totals["calls"], totals["errors"]) == (10.0, 3.0)
    latency = next(series for series in metrics.series if series.metric == "latency_p50_s")
    assert any(value == pytest.approx(0.25, rel=0.1) for _, value in latency.points if value is not None)
    assert any(value is None for _, value in latency.points)
    assert [call.error for call in page.calls] == ["ConvexError"] * 3 + [None] * 7
    assert "private words" not in repr(page)


def test_more_calls_than_the_platform_remembers_are_noticed() -> None:
    with Deployment() as d, reading(d) as source:
        client = source.connection.client
        d.record(Execution("chat:send", "Query", d.clock.now_ms / 1000, 0.01))
        cursor = read_logs(client).next_cursor
        d.clock.advance_s(10)
        for _ in range(1500):
            d.record(Execution("chat:send", "Query", d.clock.now_ms / 1000, 0.01))
        page = read_logs(client, cursor)
    assert page.may_have_lost
