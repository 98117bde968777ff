"""The health of functions: what is unknown stays unknown, and what looks like harm and is none is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis.function_health import FunctionHealth, FunctionReport, Span, function_health, seen_ms
from analyzer.errors import NoData
from analyzer.model import Deployment
from analyzer.store import Store
from analyzer.store.looks import CallRow, CallsSeen, EventRow, EventsSeen, MetricsSeen, MinuteRow, Observed
from tests.storing import NOW_MS, put

MINUTE = 60_000
END = NOW_MS // MINUTE * MINUTE
START = END - 60 * MINUTE
SEND = "chat:send"


def minute(at: int, calls: int | None = 10, errors: int | None = 0, **more: Any) -> MinuteRow:
    """Return a minute of `chat:send`, counted from the start of the window."""
    values = {"cache_hits": 0, "cache_misses": 0, "latency_p50_ms": None, "latency_p95_ms": None} | more
    return MinuteRow("", SEND, START + at * MINUTE, calls, errors, latency_p99_ms=None, **values)


def called(number: int, *, at: float = 30.0, took_ms: float = 100.0, **more: Any) -> CallRow:
    values: dict[str, Any] = {"is_cached": False, "error_class": None, "will_retry": False} | more
    return CallRow(
        "", SEND, "Mutation", f"e{number}", START + at * MINUTE, took_ms, values["is_cached"], values["error_class"],
        values["will_retry"], "HttpApi", 0, 0, 0, None,
    )  # fmt: skip


def metrics(rows: Sequence[MinuteRow], lags: Sequence[tuple[int, float | None]] = (), start: int = START) -> Observed:
    return Observed(metrics=MetricsSeen(start, END, rows, lags, is_complete=True))


def log(rows: Sequence[CallRow], since: float = 0.0) -> Observed:
    return Observed(calls=CallsSeen(rows, float(END), START + since * MINUTE, float(END), has_lost=False))


def changed(at: float) -> Observed:
    row = EventRow(START + at * MINUTE, "update_environment_variable", "member", "ENABLE_WORKFLOW", {})
    return Observed(events=EventsSeen([row], float(START), float(END)))


def report(folder: Path, *seen: Observed, **more: Any) -> FunctionReport:
    path = put(folder, {})
    with Store.write(path) as store:
        for observed in seen:
            store.observe(Deployment("happy-animal-123"), observed)
    with Store.read(path) as store:
        return function_health(store.frame(store.snapshot()), **more)


def send(folder: Path, *seen: Observed, **more: Any) -> FunctionHealth:
    (found,) = report(folder, *seen, **more).functions
    return found


def test_an_attempt_that_runs_again_is_neither_call_nor_failure(tmp_path: Path) -> None:
    rows = [called(n) for n in range(4)] + [called(9, error_class="Error", will_retry=True)]
    found = send(tmp_path, log([*rows, called(10, error_class="TypeError")]))
    assert (found.calls, found.errors, found.retries, found.error_rate, found.source) == (5, 1, 1, 0.2, "log")


def test_answers_from_the_cache_say_nothing_about_latency(tmp_path: Path) -> None:
    rows = [called(n, took_ms=100.0 * (n + 1)) for n in range(20)]
    cached = [called(100 + n, took_ms=0.1, is_cached=True) for n in range(200)]
    found = send(tmp_path, log([*rows, *cached]))
    assert (found.latency_p50_ms, found.latency_p95_ms, found.latency_source) == (1000.0, 1900.0, "log")
    assert found.calls == 220


def test_minutes_that_are_missing_are_unknown_and_not_zero(tmp_path: Path) -> None:
    rows = [minute(0, 10, 2), minute(1, None, None), minute(2, 10, 0)]
    found = send(tmp_path, metrics(rows))
    assert (found.known_minutes, found.calls, found.errors, found.error_rate) == (2, 20, 2, 0.1)
    assert found.cache_hit_share is None and found.latency_p95_ms is None


def test_a_function_of_which_no_minute_is_known_has_no_rates(tmp_path: Path) -> None:
    found = send(tmp_path, metrics([minute(n, None, None, cache_hits=None, cache_misses=None) for n in range(5)]))
    assert (found.known_minutes, found.calls, found.error_rate, found.cache_hit_share) == (0, None, None, None)
    assert (found.source, found.signs, found.has_dip) == (None, (), False)


def test_a_function_that_was_not_called_has_no_rates_either(tmp_path: Path) -> None:
    found = send(tmp_path, metrics([minute(n, 0, 0) for n in range(60)]))
    assert (found.known_minutes, found.calls, found.error_rate, found.cache_hit_share) == (60, 0, None, None)


def test_the_log_counts_where_it_misses_nothing_and_the_metrics_where_it_does(tmp_path: Path) -> None:
    counted = metrics([minute(30, 50, 5)])
    (tmp_path / "whole").mkdir()
    (tmp_path / "part").mkdir()
    whole = send(tmp_path / "whole", counted, log([called(n) for n in range(50)]))
    part = send(tmp_path / "part", counted, log([called(n) for n in range(20)], since=25))
    assert (whole.source, whole.calls, whole.errors) == ("log", 50, 0)
    assert (part.source, part.calls, part.errors, part.retries) == ("metrics", 50, 5, None)


def test_the_cache_dip_after_a_variable_change_is_marked_and_no_regression(tmp_path: Path) -> None:
    before = [minute(n, cache_hits=9, cache_misses=1) for n in range(-60, 30)]
    dip = [minute(n, cache_hits=1, cache_misses=9) for n in range(30, 40)]
    after = [minute(n, cache_hits=9, cache_misses=1) for n in range(40, 60)]
    seen = metrics([*before, *dip, *after], start=START - 60 * MINUTE)
    found = send(tmp_path, seen, changed(30))
    assert (found.cache_hit_share, found.settling_hit_share) == (0.9, 0.1)
    assert (found.has_dip, found.signs) == (True, ())


def test_the_same_dip_without_a_change_is_a_regression(tmp_path: Path) -> None:
    before = [minute(n, cache_hits=9, cache_misses=1) for n in range(-60, 30)]
    dip = [minute(n, cache_hits=1, cache_misses=9) for n in range(30, 60)]
    found = send(tmp_path, metrics([*before, *dip], start=START - 60 * MINUTE))
    assert (found.has_dip, found.signs) == (False, ("cache-fell",))


def test_caches_that_stay_empty_after_a_change_are_a_regression(tmp_path: Path) -> None:
    before = [minute(n, cache_hits=9, cache_misses=1) for n in range(-60, 10)]
    never = [minute(n, cache_hits=1, cache_misses=9) for n in range(10, 60)]
    found = send(tmp_path, metrics([*before, *never], start=START - 60 * MINUTE), changed(10))
    assert "cache-fell" in found.signs


def test_a_window_that_is_all_settling_has_no_cache_rate(tmp_path: Path) -> None:
    rows = [minute(n, cache_hits=1, cache_misses=9) for n in range(56, 60)]
    found = send(tmp_path, metrics(rows), changed(55.5))
    assert (found.cache_hit_share, found.settling_hit_share, found.has_dip) == (None, 0.1, False)


def test_errors_that_rose_are_a_sign_and_few_more_are_not(tmp_path: Path) -> None:
    before = [minute(n, 10, 0) for n in range(-60, 0)]
    for name, errors, signs in (("many", 20, ("errors-rose",)), ("few", 1, ())):
        (tmp_path / name).mkdir()
        now = [minute(0, 10, min(errors, 10)), minute(1, 10, max(errors - 10, 0))]
        found = send(
            tmp_path / name, metrics([*before, *now, *(minute(n) for n in range(2, 60))], start=START - 60 * MINUTE)
        )
        assert found.signs == signs, name


def test_lag_of_the_scheduler_is_of_known_minutes_alone(tmp_path: Path) -> None:
    lags = [(START, 100.0), (START + MINUTE, None), (START + 2 * MINUTE, 900.0), (START + 3 * MINUTE, 200.0)]
    found = report(tmp_path, metrics([minute(0)], lags))
    assert (found.lag_minutes, found.lag_p50_ms, found.lag_max_ms) == (3, 200.0, 900.0)


def test_gaps_that_touch_the_window_are_listed_and_not_counted_as_seen(tmp_path: Path) -> None:
    early = Observed(metrics=MetricsSeen(START - 90 * MINUTE, START - 30 * MINUTE, [minute(-40)], [], is_complete=True))
    late = Observed(metrics=MetricsSeen(START + 20 * MINUTE, END, [minute(30)], [], is_complete=True))
    found = report(tmp_path, early, late)
    assert found.metric_minutes == 40
    assert [(gap.stream, gap.until_ms) for gap in found.gaps] == [("metrics", START + 20 * MINUTE)]


def test_a_part_that_is_lost_in_metrics_and_log_is_a_hole_and_one_that_the_log_saw_is_none(tmp_path: Path) -> None:
    early = Observed(metrics=MetricsSeen(START - 90 * MINUTE, START - 30 * MINUTE, [minute(-40)], [], is_complete=True))
    late = Observed(metrics=MetricsSeen(START + 20 * MINUTE, END, [minute(30)], [], is_complete=True))
    for name, more, has_hole in (("lost", (), True), ("logged", (log([called(1)]),), False)):
        (tmp_path / name).mkdir()
        assert report(tmp_path / name, early, late, *more).has_hole is has_hole, name


@pytest.mark.parametrize(
    ("changes", "hits", "calls", "settle"), [([7], 60, 5, 3), ([20, 23, 26, 29], 95, 20, 10), ([0, 59], 80, 200, 15)]
)
def test_whenever_variables_change_the_empty_caches_behind_it_are_no_regression(
    tmp_path: Path, changes: list[int], hits: int, calls: int, settle: int
) -> None:
    """Caches are empty from a change on for as long as they settle; else they answer as they always did."""
    rows = []
    for at in range(-60, 60):
        is_empty = any(change <= at < change + settle for change in changes)
        hit = 0 if is_empty else calls * hits // 100
        rows.append(minute(at, calls, cache_hits=hit, cache_misses=calls - hit))
    seen = metrics(rows, start=START - 60 * MINUTE)
    flips = [changed(change) for change in sorted(set(changes))]
    found = send(tmp_path, seen, *flips, settle_ms=settle * MINUTE)
    assert found.signs == ()
    assert found.settling_hit_share == 0.0
    assert found.cache_hit_share in (None, (calls * hits // 100) / calls)


def test_without_anything_collected_there_is_nothing_to_judge(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="neither metrics nor calls"):
        report(tmp_path)


spans = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10), st.booleans()), max_size=6)


@given(spans)
def test_what_was_seen_is_what_some_look_saw_and_no_gap_took(drawn: list[tuple[int, int, bool]]) -> None:
    listed = [Span("calls", float(at), float(at + length), is_gap, "") for at, length, is_gap in drawn]
    seen = {s for at, length, is_gap in drawn if not is_gap for s in range(at, at + length)}
    lost = {s for at, length, is_gap in drawn if is_gap for s in range(at, at + length)}
    assert seen_ms(listed, "calls", 5, 25) == len({s for s in seen - lost if 5 <= s < 25})
