"""Verdicts from counts: harm, enough data, what is running, what is missing, and the order of the gates."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from analyzer import stats
from analyzer.analysis import gates, judging, judging_shares
from analyzer.analysis.compare import Outcomes, Tally, TaskOutcomes
from analyzer.analysis.rollout_plan import KINDS, differences, make_plan, plan_from_json, plan_json
from analyzer.analysis.verdict import MetricResult, Verdict
from analyzer.analysis.windows import Value, Windows
from analyzer.stats import Interval

PLAN = make_plan()
ALPHA = 0.025
HOUR_MS = 3_600_000
WINDOWS = Windows(0, 24 * HOUR_MS, 24 * HOUR_MS, 48 * HOUR_MS)
GOOD_BASE = Outcomes(settled=1000, completed=995, failed=3, counted=1000)
GOOD_AFTER = Outcomes(settled=400, completed=398, failed=1, counted=400)
NOTHING = Outcomes()


def tally(
    workflows: tuple[Outcomes, Outcomes] = (GOOD_BASE, GOOD_AFTER),
    messages: tuple[Outcomes, Outcomes] = (GOOD_BASE, GOOD_AFTER),
    **changed: object,
) -> Tally:
    found = Tally(
        WINDOWS,
        {
            ("baseline", "workflowTraces"): workflows[0],
            ("after", "workflowTraces"): workflows[1],
            ("baseline", "chatMessages"): messages[0],
            ("after", "chatMessages"): messages[1],
        },
        {"baseline": TaskOutcomes(settled=100, incomplete=5), "after": TaskOutcomes(settled=90, incomplete=2)},
        {},
    )
    return replace(found, **changed)  # type: ignore[arg-type]


def of(metrics: tuple[MetricResult, ...], metric_id: str) -> MetricResult:
    return next(metric for metric in metrics if metric.id == metric_id)


def decided(found: Tally) -> gates.Decision:
    return gates.decide(judging.judge(found, PLAN, ALPHA))


def test_enough_good_documents_pass() -> None:
    decision = decided(tally())
    assert (decision.verdict, decision.reason_code) == (Verdict.PASS, "no_harm_seen")
    assert [gate.id for gate in decision.gates if gate.applies] == ["person"]


def test_a_rise_of_errors_fails_and_names_the_metric() -> None:
    decision = decided(tally(messages=(GOOD_BASE, replace(GOOD_AFTER, failed=20, completed=378))))
    assert (decision.verdict, decision.reason_code) == (Verdict.FAIL, "guardrail_regression")
    assert "Message error rate got worse" in decision.reason


def test_a_baseline_without_a_single_error_still_finds_new_ones() -> None:
    clean = Outcomes(settled=1000, completed=1000)
    decision = decided(tally(messages=(clean, Outcomes(settled=100, completed=92, failed=8))))
    assert decision.verdict is Verdict.FAIL


def test_a_regression_in_few_documents_fails_although_the_sample_is_too_small_to_pass() -> None:
    after = Outcomes(settled=10, completed=2, failed=8)
    metric = of(judging.judge(tally(messages=(GOOD_BASE, after)), PLAN, ALPHA), "message_error_rate")
    assert metric.after.n < metric.min_n
    assert metric.verdict is Verdict.FAIL


def test_no_document_after_the_change_is_no_data_and_never_pass() -> None:
    decision = decided(tally((GOOD_BASE, NOTHING), (GOOD_BASE, NOTHING), tasks={}))
    assert (decision.verdict, decision.reason_code) == (Verdict.NO_DATA, "no_traffic")
    assert gates.ACTIONS[decision.verdict] == "hold"


def test_an_empty_store_is_no_data() -> None:
    assert decided(Tally(WINDOWS, {}, {}, {})).verdict is Verdict.NO_DATA


def test_measurements_that_all_failed_are_an_error_and_never_pass() -> None:
    missing = {"chatMessages": "not readable", "workflowTraces": "not readable"}
    decision = decided(tally(missing_tables=missing))
    assert (decision.verdict, decision.reason_code) == (Verdict.ERROR, "nothing_measured")


def test_a_metric_that_could_not_be_measured_does_not_hide_a_regression_of_another() -> None:
    bad = replace(GOOD_AFTER, failed=40, completed=358)
    decision = decided(tally(messages=(GOOD_BASE, bad), missing_tables={"workflowTraces": "gone"}))
    assert decision.verdict is Verdict.FAIL


def test_a_metric_that_could_not_be_measured_keeps_the_rest_from_passing() -> None:
    decision = decided(tally(missing_tables={"workflowTraces": "gone"}))
    assert (decision.verdict, decision.reason_code) == (Verdict.INCONCLUSIVE, "not_collected")


def test_a_table_that_was_always_empty_scores_nothing() -> None:
    found = tally(workflows=(NOTHING, NOTHING))
    metric = of(judging.judge(found, PLAN, ALPHA), "workflow_error_rate")
    assert (metric.verdict, metric.after.rate, metric.test) == (Verdict.NO_DATA, None, None)
    assert decided(found).verdict is Verdict.PASS


def test_a_table_that_fell_silent_after_the_change_keeps_the_rest_from_passing() -> None:
    decision = decided(tally(workflows=(GOOD_BASE, NOTHING)))
    assert (decision.verdict, decision.reason_code) == (Verdict.INCONCLUSIVE, "no_documents")


def test_without_any_baseline_errors_beyond_the_margin_fail_and_fewer_pass() -> None:
    bad = of(
        judging.judge(tally(workflows=(NOTHING, Outcomes(settled=100, failed=30))), PLAN, ALPHA), "workflow_error_rate"
    )
    assert bad.test is not None
    assert (bad.verdict, bad.test.name) == (Verdict.FAIL, "binomial")
    good = of(judging.judge(tally(workflows=(NOTHING, GOOD_AFTER)), PLAN, ALPHA), "workflow_error_rate")
    assert good.verdict is Verdict.PASS
    few = of(
        judging.judge(tally(workflows=(NOTHING, Outcomes(settled=40, completed=40))), PLAN, ALPHA), "stuck_workflows"
    )
    assert (few.verdict, few.reason_code) == (Verdict.INCONCLUSIVE, "no_baseline")


def test_inconclusive_says_what_is_not_excluded_how_many_decide_and_when() -> None:
    after = Outcomes(settled=40, completed=40)
    metric = of(judging.judge(tally(messages=(GOOD_BASE, after)), PLAN, ALPHA), "message_error_rate")
    assert (metric.verdict, metric.reason_code) == (Verdict.INCONCLUSIVE, "not_excluded")
    upper = stats.newcombe_interval(0, 40, 3, 1000).high
    assert f"up to {upper * 100:.1f} points worse is not excluded" in metric.reason
    assert metric.n_needed == stats.clean_n_to_pass(3, 1000, 0.05)
    assert metric.n_needed is not None
    exactly_ms = 24 * HOUR_MS + 24 * HOUR_MS * metric.n_needed / 40
    assert metric.decides_at_ms is not None
    assert 0 <= metric.decides_at_ms - exactly_ms < 60_000


def test_the_number_that_decides_really_decides_with_events_already_seen() -> None:
    needed = judging_shares.n_to_pass(4, 9, 1000, 0.05)
    assert needed is not None
    assert stats.newcombe_interval(4, needed, 9, 1000).high <= 0.05
    assert stats.newcombe_interval(4, needed - 1, 9, 1000).high > 0.05


def test_documents_still_running_are_no_failures_but_keep_a_bound_open() -> None:
    running = Outcomes(settled=200, completed=200, running=30)
    metric = of(judging.judge(tally(messages=(GOOD_BASE, running)), PLAN, ALPHA), "message_error_rate")
    assert (metric.after.k, metric.after.n, metric.after.running) == (0, 200, 30)
    assert (metric.verdict, metric.reason_code) == (Verdict.INCONCLUSIVE, "running")


def test_harm_that_running_documents_could_still_undo_is_not_called_yet() -> None:
    few = Outcomes(settled=12, completed=7, failed=3, running=400)
    metric = of(judging.judge(tally(messages=(GOOD_BASE, few)), PLAN, ALPHA), "message_error_rate")
    assert (metric.verdict, metric.reason_code) == (Verdict.INCONCLUSIVE, "running")
    certain = replace(few, running=5)
    metric = of(judging.judge(tally(messages=(GOOD_BASE, certain)), PLAN, ALPHA), "message_error_rate")
    assert metric.verdict is Verdict.FAIL


def test_completion_is_shown_as_completion_and_judged_as_its_loss() -> None:
    after = Outcomes(settled=400, completed=300, failed=0)
    metric = of(judging.judge(tally(messages=(GOOD_BASE, after)), PLAN, ALPHA), "message_completion_rate")
    assert metric.after.rate == 0.75
    assert metric.difference.value == pytest.approx(0.75 - 0.995)
    assert metric.verdict is Verdict.FAIL
    assert metric.test is not None
    counts = np.array([[100, 300], [5, 995]])
    assert metric.test.p == pytest.approx(fisher_exact(counts, alternative="greater").pvalue, abs=1e-12)


def test_completion_is_judged_per_task_where_documents_of_a_task_move_together() -> None:
    apart = judging.judge(tally(), PLAN, ALPHA)
    assert of(apart, "message_completion_rate").role == "guardrail"
    assert of(apart, "task_completion_rate").role == "dry-run"
    tasks = {
        "baseline": TaskOutcomes(100, 0, 5, design_effect=3.0),
        "after": TaskOutcomes(90, 0, 2, design_effect=1.0),
    }
    together = judging.judge(tally(tasks=tasks), PLAN, ALPHA)
    assert of(together, "message_completion_rate").role == "dry-run"
    assert of(together, "message_completion_rate").reason_code == "judged_per_task"
    assert of(together, "task_completion_rate").role == "guardrail"


def test_holm_covers_the_guardrails_and_nothing_else() -> None:
    metrics = judging.judge(tally(), PLAN, ALPHA)
    guardrails = [m for m in metrics if m.role == "guardrail"]
    expected = stats.holm([m.test.p for m in guardrails if m.test])
    assert [m.test.p_adjusted for m in guardrails if m.test] == expected
    assert all(m.test is None or m.test.p_adjusted is None for m in metrics if m.role != "guardrail")


def test_a_signal_that_got_worse_holds_but_does_not_fail() -> None:
    values = {
        ("baseline", "duration_median_ms"): Value(100, 1000.0, Interval(950, 1050), Interval(940, 1060)),
        ("after", "duration_median_ms"): Value(100, 3000.0, Interval(2900, 3100), Interval(2800, 3200)),
    }
    decision = decided(tally(values=values))
    assert (decision.verdict, decision.reason_code) == (Verdict.INCONCLUSIVE, "signal_moved")


def test_a_failed_look_stays_failed() -> None:
    metrics = judging.judge(tally(), PLAN, ALPHA)
    decision = gates.decide(metrics, failed_before=["T+1h"])
    assert (decision.verdict, decision.reason_code) == (Verdict.FAIL, "failed_earlier_look")


def test_the_first_gate_that_applies_wins_and_all_are_listed() -> None:
    bad = judging.judge(tally(messages=(GOOD_BASE, replace(GOOD_AFTER, failed=90))), PLAN, ALPHA)
    decision = gates.decide(bad, invalid=["The flag is still off."], stale="No snapshot reaches it.")
    assert decision.verdict is Verdict.INVALID
    applying = [gate.id for gate in decision.gates if gate.applies]
    assert applying[:3] == ["valid-run", "fresh-data", "guardrails"]
    order = ["valid-run", "fresh-data", "measured", "traffic", "guardrails", "sample", "signals", "person"]
    assert [gate.id for gate in decision.gates] == order


def test_a_plan_without_guardrails_cannot_pass() -> None:
    silent = make_plan(roles=dict.fromkeys(KINDS, "dry-run"))
    assert gates.decide(judging.judge(tally(), silent, ALPHA)).verdict is Verdict.ERROR


def test_a_plan_survives_its_json_and_its_hash_tells_every_change() -> None:
    plan = make_plan(flags=["A"], checkpoints_ms=[HOUR_MS], smoke_tests=["x"], rollback=["y"])
    assert plan_from_json(plan_json(plan)) == plan
    assert plan.shares == (0.05,)
    stricter = make_plan(flags=["A"], checkpoints_ms=[HOUR_MS], smoke_tests=["x"], rollback=["y"], margin=0.01)
    assert stricter.hash != plan.hash
    assert differences(plan, stricter) == ("metrics",)


@pytest.mark.slow
def test_four_looks_raise_a_false_alarm_in_at_most_five_percent_of_harmless_rollouts() -> None:
    chance = random.Random(7)
    alarms, runs = 0, 400
    for _ in range(runs):
        base = [_drawn(chance, 1500) for _ in range(2)]
        alarmed = False
        seen = [NOTHING, NOTHING]
        for share, new in zip(PLAN.shares, (40, 160, 200, 400), strict=True):
            seen = [_sum(total, _drawn(chance, new)) for total in seen]
            found = tally((base[0], seen[0]), (base[1], seen[1]), tasks={})
            alarmed |= gates.decide(judging.judge(found, PLAN, share)).verdict is Verdict.FAIL
        alarms += alarmed
    assert alarms / runs <= 0.05


def _drawn(chance: random.Random, n: int, error_rate: float = 0.04) -> Outcomes:
    failed = sum(chance.random() < error_rate for _ in range(n))
    return Outcomes(settled=n, failed=failed, completed=n - failed)


def _sum(one: Outcomes, other: Outcomes) -> Outcomes:
    return Outcomes(one.settled + other.settled, 0, 0, one.failed + other.failed, one.completed + other.completed)


@settings(max_examples=60)
@given(
    n_base=st.integers(0, 400),
    n_after=st.integers(0, 400),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    running=st.integers(0, 20),
)
def test_whatever_the_counts_no_verdict_is_pass_without_enough_documents(
    n_base: int, n_after: int, shares: tuple[float, float], running: int
) -> None:
    base, after = (
        Outcomes(settled=n, failed=int(n * share), completed=n - int(n * share), running=running if side else 0)
        for side, (n, share) in enumerate(((n_base, shares[0]), (n_after, shares[1])))
    )
    for metric in judging.judge(tally((base, after), (base, after), tasks={}), PLAN, ALPHA):
        if metric.unit != "share":
            continue
        if metric.verdict is Verdict.PASS:
            assert metric.after.n >= metric.min_n
        if metric.after.n == 0:
            assert metric.verdict is Verdict.NO_DATA
