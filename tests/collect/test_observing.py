"""What a deployment forgets: kept once, as it was, and what is lost is known to be lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer.store import Store
from analyzer.store.looks import Span
from tests.collect.test_live import gather
from tests.deployment import Deployment, Execution

FN = "chat:send"
KEYS = {
    "deployment_event": "at_ms, action, subject",
    "function_minute": "component, function_path, minute_ms",
    "scheduler_minute": "minute_ms",
    "function_call": "execution_id",
}
METRICS = "/api/app_metrics/*"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


def rows(store: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(store), read_only=True) as duck:
        return duck.execute(query).fetchall()


def spans(store: Path, stream: str) -> list[Span]:
    with Store.read(store) as opened:
        return [span for span in opened.observations.spans("happy-animal-123") if span.stream == stream]


def gaps(store: Path, stream: str) -> list[Span]:
    return [span for span in spans(store, stream) if span.is_gap]


def call(d: Deployment, count: int = 1, path: str = FN, **more: Any) -> None:
    how: dict[str, Any] = {"kind": "Mutation", "at_s": 0.0, "execution_s": 0.2} | more
    for _ in range(count):
        d.record(Execution(path, **how))


def test_the_same_minutes_events_and_calls_are_kept_once(store: Path) -> None:
    with Deployment() as d:
        d.set_env(ENABLE_WORKFLOW="true")
        d.push(added=["chat.js"])
        call(d, 3)
        d.clock.advance_s(61)
        gather(d, store)
        first = {table: rows(store, f"select * from {table}") for table in KEYS}
        gather(d, store)
    assert all(first.values())
    for table, found in first.items():
        assert set(rows(store, f"select * from {table}")) >= set(found)
        assert rows(store, f"select count(*) from {table} group by {KEYS[table]} having count(*) > 1") == []


def test_a_flag_flip_and_a_push_are_kept_with_names_and_without_values(store: Path) -> None:
    with Deployment() as d:
        d.set_env(ENABLE_WORKFLOW="flip-value-0001")
        d.push(added=["chat.js"])
        gather(d, store)
    kept = {row[0]: row[1:] for row in rows(store, "select action, subject, details_json from deployment_event")}
    assert kept["create_environment_variable"][0] == "ENABLE_WORKFLOW"
    assert "chat.js" in kept["push_config_with_components"][1]
    assert "flip-value-0001" not in str(kept)


def test_a_minute_without_a_measurement_stays_null_and_a_quiet_one_is_zero(store: Path) -> None:
    with Deployment() as d:
        call(d)
        d.clock.advance_s(120)
        gather(d, store)
    found = rows(
        store,
        f"""select call_count, cache_hit_count, latency_p95_ms from function_minute where function_path = '{FN}'
        order by minute_ms desc limit 2""",
    )
    assert found == [(0, 0, None), (1, 0, 200.0)]
    (missing,) = rows(store, "select count(*) from function_minute where latency_p95_ms is null and call_count = 0")
    assert missing[0] > 50


def test_of_a_call_neither_words_nor_arguments_are_kept(store: Path) -> None:
    with Deployment() as d:
        call(d, error="Uncaught TypeError: private-words-0001 of somebody", lines=(("LOG", "private-words-0002"),))
        gather(d, store)
    kept = rows(store, f"select error_class, took_ms, will_retry from function_call where function_path = '{FN}'")
    assert kept == [("TypeError", 200.0, False)]
    assert b"private-words" not in store.read_bytes()


@pytest.mark.parametrize(
    ("op", "words"),
    [("ViewMetrics", "function metrics"), ("ViewLogs", "function calls"), ("ViewAuditLog", "only the last push")],
)
def test_what_the_key_may_not_read_is_a_warning_on_the_snapshot(store: Path, op: str, words: str) -> None:
    with Deployment() as d:
        snapshot = gather(d, store, key=d.key_without(op)).snapshot
    assert [w for w in snapshot.warnings if words in w and op in w]


def test_a_variable_change_is_known_without_the_audit_log(store: Path) -> None:
    with Deployment() as d:
        d.set_env(ENABLE_WORKFLOW="true")
        gather(d, store, key=d.key_without("ViewAuditLog"))
    assert rows(store, "select action, subject from deployment_event") == [("variable_changed", "ENABLE_WORKFLOW")]


def test_calls_that_come_faster_than_the_log_remembers_are_a_gap(store: Path) -> None:
    with Deployment(logs_kept=12) as d:
        call(d, 2)
        gather(d, store)
        d.clock.advance_s(30)
        call(d, 40)
        snapshot = gather(d, store).snapshot
    (gap,) = gaps(store, "calls")
    assert gap.until_ms - gap.from_ms == pytest.approx(30_000, abs=50)
    assert "more calls ended than the platform remembers" in gap.reason
    assert [w for w in snapshot.warnings if "calls between" in w]


def test_calls_that_the_log_still_remembers_are_no_gap(store: Path) -> None:
    with Deployment(logs_kept=60) as d:
        call(d, 2)
        gather(d, store)
        d.clock.advance_s(30)
        call(d, 40)
        gather(d, store)
    assert gaps(store, "calls") == []
    assert rows(store, f"select count(*) from function_call where function_path = '{FN}'") == [(42,)]


def test_metrics_that_were_asked_for_too_late_are_a_gap(store: Path) -> None:
    with Deployment() as d:
        gather(d, store)
        d.clock.advance_s(3 * 3600)
        gather(d, store)
    (gap,) = gaps(store, "metrics")
    assert (gap.until_ms - gap.from_ms) == 2 * 3_600_000


def test_zeros_after_a_restart_are_unknown_and_what_was_stored_stays(store: Path) -> None:
    with Deployment() as d:
        d.clock.advance_s(-d.clock.now_ms / 1000 % 60)  # begin with a whole minute
        call(d, 5)
        d.clock.advance_s(180)
        gather(d, store)
        call(d, 4)
        d.clock.advance_s(120)
        call(d)  # keeps the ranking alive
        d.forget()
        d.clock.advance_s(60)
        call(d, 2)
        d.clock.advance_s(60)
        snapshot = gather(d, store).snapshot
        d.clock.advance_s(60)
        gather(d, store)
    (gap,) = gaps(store, "metrics")
    assert gap.until_ms - gap.from_ms == 180_000 and "restart" in gap.reason
    assert [w for w in snapshot.warnings if "metrics between" in w]
    counts = rows(
        store,
        f"""select (minute_ms - {gap.from_ms})::bigint // 60000, call_count from function_minute
        where function_path = '{FN}' and minute_ms >= {gap.from_ms} - 180000 order by 1""",
    )
    assert counts == [(-3, 5), (-2, 0), (-1, 0), (3, 2), (4, 0)]


@pytest.mark.parametrize("answer", [b"<html>", b"[]]", b"null"])
def test_measurements_that_make_no_sense_do_not_stop_the_collect(store: Path, answer: bytes) -> None:
    with Deployment() as d:
        d.faults.answer(200, answer, path=METRICS, times=None)
        snapshot = gather(d, store).snapshot
    assert [w for w in snapshot.warnings if "function metrics were not collected" in w]
    assert rows(store, "select * from function_minute") == []


def test_a_quiet_log_does_not_hold_the_collect_up(store: Path) -> None:
    with Deployment() as d:
        gather(d, store)
        d.restart()
        d.clock.advance_s(60)
        d.faults.refuse(500, path="/api/query*", times=None, function="monitoring/*")
        d.faults.refuse(500, path="/api/query*", times=None, function="api/testHelpers*")
        gather(d, store)  # the log is empty, and would be silent for a minute
    assert [gap.stream for gap in gaps(store, "calls")] == ["calls"]
