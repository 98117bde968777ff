"""Metrics that need more than documents: what workflows cost, and how functions did where that was collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer import rules
from analyzer.analysis import artifacts, compare, decompose, gates, judging
from analyzer.analysis.prices import Price
from analyzer.analysis.rollout_plan import make_plan
from analyzer.analysis.verdict import MetricResult, Verdict
from analyzer.analysis.windows import Windows
from analyzer.model import Deployment, FilterName
from analyzer.store import Store
from analyzer.store.looks import CallRow, CallsSeen, MetricsSeen, MinuteRow, Observed
from tests import storing
from tests.analysis.test_compare import message, task, trace
from tests.storing import NOW_MS, make_id

MINUTE, HOUR = 60_000, 3_600_000
END = NOW_MS // MINUTE * MINUTE
T0 = END - HOUR
WINDOWS = Windows(T0 - 4 * HOUR, T0, T0, END)
COST, ERRORS, LATENCY = "cost_per_workflow", "function_error_rate", "function_latency_p95_ms"
GPT = {"gpt-4o": Price(2.5, 10.0)}


def billed(count: int, *, start: int, at_ms: int, model: str | None = "gpt-4o", tokens: float = 1000.0) -> Any:
    """Return traces and the messages that they wrote: as many tokens read as written."""
    numbers = range(start, start + count)
    written = {"llmModel": model, "inputTokens": tokens, "outputTokens": tokens, "totalTokens": 2 * tokens}
    fields: dict[str, Any] = {name: value for name, value in written.items() if value is not None}
    messages = [message(n, at_ms, **fields) for n in numbers]
    return messages, [trace(n, at_ms, messageId=make_id("chatMessages", n)) for n in numbers]


def judged(
    folder: Path,
    metric: str,
    *,
    parts: Sequence[Any] = (),
    seen: Sequence[Observed] = (),
    prices: Mapping[str, Price] = GPT,
) -> MetricResult:
    tables = {
        "tasks": [task(1)],
        "chatMessages": [m for messages, _ in parts for m in messages],
        "workflowTraces": [t for _, traces in parts for t in traces],
    }
    folder.mkdir(exist_ok=True)
    path = storing.put(folder, tables)
    with Store.write(path) as store:
        for observed in seen:
            store.observe(Deployment("happy-animal-123"), observed)
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        artifacts.prepare(frame, rules.load_all(), orphans=True)
        tally = compare.tally(frame, WINDOWS, FilterName.EVIDENCE, prices=prices)
    return next(m for m in judging.judge(tally, make_plan(), 0.01) if m.id == metric)


def minutes(errors: Sequence[int | None], start: int, path: str = "chat:send", latency: float = 80.0) -> Observed:
    """Return metrics of one function by the minute: ten calls each, None for a minute that is not known."""
    rows = [
        MinuteRow("", path, start + i * MINUTE, None if e is None else 10, e, 0, 0, latency, latency, latency)
        for i, e in enumerate(errors)
    ]
    return Observed(metrics=MetricsSeen(start, start + len(errors) * MINUTE, rows, [], is_complete=True))


def calls(count: int, start: int, *, failed: int = 0, took_ms: float = 100.0, first: int = 0) -> Observed:
    """Return a log of one hour that misses nothing."""
    step = HOUR / count
    rows = [
        CallRow("", "chat:send", "Mutation", f"e{first + n}", start + n * step, took_ms, False,
                "Error" if n < failed else None, False, "HttpApi", 0, 0, 0, None)
        for n in range(count)
    ]  # fmt: skip
    return Observed(calls=CallsSeen(rows, float(start + HOUR), float(start), float(start + HOUR), has_lost=False))


# ---- cost --------------------------------------------------------------------------------------------------------


def test_a_workflow_costs_the_tokens_of_its_message_at_the_price_of_their_model(tmp_path: Path) -> None:
    cheap, dear = billed(40, start=0, at_ms=T0 - HOUR), billed(40, start=100, at_ms=T0, tokens=3000.0)
    found = judged(tmp_path, COST, parts=[cheap, dear])
    assert (found.unit, found.baseline.rate) == ("usd", 0.0125)
    assert found.after.rate == pytest.approx(0.0375)
    assert (found.baseline.n, found.after.n, found.verdict) == (40, 40, Verdict.FAIL)
    assert found.role == "signal"
    assert "$0.0125 before (n 40), $0.0375 after" in found.reason


def test_without_any_price_a_cost_is_no_data_with_the_reason_and_never_zero(tmp_path: Path) -> None:
    found = judged(tmp_path, COST, parts=[billed(40, start=0, at_ms=T0)], prices={})
    assert (found.verdict, found.reason_code, found.after.rate, found.after.n) == (
        Verdict.NO_DATA, "not_measured", None, 0,
    )  # fmt: skip
    assert '[prices."MODEL"]' in found.reason


def test_a_model_whose_price_is_missing_is_named_and_nothing_is_guessed_for_it(tmp_path: Path) -> None:
    found = judged(tmp_path, COST, parts=[billed(40, start=0, at_ms=T0, model="gpt-6")])
    assert (found.verdict, found.after.rate) == (Verdict.NO_DATA, None)
    assert found.reason == "No price is known for gpt-6 (40 workflows)."


def test_a_cost_that_leaves_out_a_model_does_not_pass(tmp_path: Path) -> None:
    same = [billed(60, start=0, at_ms=T0 - HOUR), billed(60, start=100, at_ms=T0)]
    assert judged(tmp_path / "whole", COST, parts=same).verdict is Verdict.PASS
    found = judged(tmp_path / "part", COST, parts=[*same, billed(3, start=300, at_ms=T0, model=None)])
    assert (found.verdict, found.reason_code, found.after.n) == (Verdict.INCONCLUSIVE, "partly_measured", 60)
    assert "no price is known for (no model) (3 workflows)" in found.reason


# ---- functions ---------------------------------------------------------------------------------------------------


def test_functions_of_which_nothing_was_collected_are_no_data(tmp_path: Path) -> None:
    for metric in (ERRORS, LATENCY):
        found = judged(tmp_path / metric, metric)
        assert (found.verdict, found.reason_code, found.after.rate) == (Verdict.NO_DATA, "not_measured", None)
        assert "neither metrics nor calls" in found.reason.lower()


def test_function_errors_are_compared_minute_by_minute_and_an_unknown_minute_counts_nowhere(tmp_path: Path) -> None:
    before, after = minutes([0] * 60, T0 - HOUR), minutes([2, None] * 30, T0)
    found = judged(tmp_path, ERRORS, seen=[before, after])
    assert (found.baseline.k, found.baseline.n) == (0, 600)
    assert (found.after.k, found.after.n) == (60, 300)
    assert found.verdict is Verdict.FAIL


def test_a_look_of_which_minutes_were_not_seen_does_not_pass(tmp_path: Path) -> None:
    before = minutes([0] * 60, T0 - HOUR)
    assert judged(tmp_path / "whole", ERRORS, seen=[before, minutes([0] * 60, T0)]).verdict is Verdict.PASS
    found = judged(tmp_path / "part", ERRORS, seen=[before, minutes([0] * 45, T0 + 15 * MINUTE)])
    assert (found.verdict, found.reason_code) == (Verdict.INCONCLUSIVE, "partly_measured")
    assert "only 75.0% of the time after the change was seen" in found.reason


def test_the_log_counts_where_both_sides_have_one_and_metrics_where_only_they_do(tmp_path: Path) -> None:
    metrics = [minutes([5] * 60, T0 - HOUR), minutes([5] * 60, T0)]
    log = [calls(120, T0 - HOUR), calls(120, T0, failed=3, first=500)]
    both = judged(tmp_path / "both", ERRORS, seen=[*metrics, *log])
    assert (both.after.k, both.after.n) == (3, 120)
    half = judged(tmp_path / "half", ERRORS, seen=[*metrics, log[1]])
    assert (half.baseline.n, half.after.n) == (600, 600)


def test_latency_right_after_the_change_is_that_of_empty_caches_and_is_left_out(tmp_path: Path) -> None:
    slow, settled = calls(60, T0, took_ms=9000.0, first=900), calls(600, T0, took_ms=110.0, first=2000)
    assert slow.calls is not None and settled.calls is not None
    rows = [row for row in slow.calls.rows if row.started_ms < T0 + 9 * MINUTE]
    rows += [row for row in settled.calls.rows if row.started_ms >= T0 + 11 * MINUTE]
    after = Observed(calls=CallsSeen(rows, float(END), float(T0), float(END), has_lost=False))
    found = judged(tmp_path, LATENCY, seen=[calls(600, T0 - HOUR), after])
    assert (found.baseline.rate, found.after.rate) == (100.0, 110.0)
    assert found.verdict is Verdict.PASS


def test_the_function_that_broke_is_the_first_suspect(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"tasks": [task(1)]})
    with Store.write(path) as store:
        for observed in (
            minutes([0] * 60, T0 - HOUR),
            minutes([0] * 60, T0),
            minutes([0] * 60, T0 - HOUR, "tasks:list"),
            minutes([4] * 60, T0, "tasks:list"),
        ):
            store.observe(Deployment("happy-animal-123"), observed)
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        artifacts.prepare(frame, rules.load_all(), orphans=True)
        tally = compare.tally(frame, WINDOWS, FilterName.EVIDENCE)
        parts = decompose.decompose(frame, calls=tally.functions.calls)
    assert (parts[0].metric, parts[0].dimension, parts[0].group) == (ERRORS, "function", "tasks:list")
    assert sum(part.mix + part.rate for part in parts) == pytest.approx(0.2, abs=1e-9)


def test_a_guardrail_that_could_not_be_measured_keeps_the_rest_from_passing(tmp_path: Path) -> None:
    good = [billed(200, start=0, at_ms=T0 - HOUR), billed(200, start=300, at_ms=T0)]
    path = storing.put(tmp_path, {
        "tasks": [task(1)],
        "chatMessages": [m for messages, _ in good for m in messages],
        "workflowTraces": [t for _, traces in good for t in traces],
    })  # fmt: skip
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        artifacts.prepare(frame, rules.load_all(), orphans=True)
        tally = compare.tally(frame, WINDOWS, FilterName.EVIDENCE)
    assert gates.decide(judging.judge(tally, make_plan(), 0.01)).verdict is Verdict.PASS
    strict = make_plan(roles={ERRORS: "guardrail"})
    decided = gates.decide(judging.judge(tally, strict, 0.01))
    assert (decided.verdict, decided.reason_code) == (Verdict.INCONCLUSIVE, "not_measured")
