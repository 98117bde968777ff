"""A policy turns counts into a status: limits, targets, what is unknown, and a user's own thresholds."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.analysis.metrics import Counts
from analyzer.analysis.policy import (
    BUILT_IN,
    DEPLOYED,
    HOUR_MS,
    NOTHING_TO_JUDGE,
    ROLLOUT,
    STRICT,
    Unknown,
    find,
    judge,
    judged_documents,
    percentile,
)
from analyzer.errors import ConfigError, UsageError
from analyzer.model import Status

FINE = Counts(message_total=10, message_completed=10, workflow_total=10, workflow_completed=10)
STALE = Unknown("stale", "how it is now", "too old", "collect again")


@st.composite
def _counts(draw: st.DrawFn) -> Counts:
    def parts() -> tuple[int, int, int]:
        completed, failed, other = (draw(st.integers(0, 40)) for _ in range(3))
        return completed + failed + other, completed, failed

    messages, workflows = parts(), parts()
    return Counts(
        message_total=messages[0],
        message_completed=messages[1],
        message_failed=messages[2],
        workflow_total=workflows[0],
        workflow_completed=workflows[1],
        workflow_failed=workflows[2],
        stuck_messages=draw(st.integers(0, 5)),
        stuck_workflows=draw(st.integers(0, 5)),
        response_count=3,
        response_p95_ms=draw(st.sampled_from([None, 4_000.0, 10_000.0, 10_001.0])),
    )


@settings(max_examples=60)
@given(_counts(), st.sampled_from(list(BUILT_IN.values())))
def test_a_status_can_be_recomputed_from_the_rules_shown(counts: Counts, policy: object) -> None:
    assert isinstance(policy, type(DEPLOYED))
    judgement = judge(counts, policy)
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
    kept = [rule.value is None or compare[rule.operator](rule.value, rule.limit) for rule in judgement.rules]
    assert [rule.ok for rule in judgement.rules] == kept
    assert [rule.slack is None or rule.slack >= 0 for rule in judgement.rules if rule.ok] == [True] * sum(kept)
    assert all(rule.slack is not None and rule.slack <= 0 for rule in judgement.failing)
    if judgement.status is not Status.UNKNOWN:
        assert (judgement.status is Status.HEALTHY) == all(kept)
    assert (judgement.status is Status.UNKNOWN) == (judged_documents(counts, policy) == 0) == bool(judgement.unknown)


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        (FINE, Status.HEALTHY),
        (FINE._replace(message_completed=9), Status.DEGRADED),  # 0.9 is not above 0.9
        (FINE._replace(message_total=101, message_completed=91), Status.HEALTHY),  # shown as 0.9, yet above it
        (FINE._replace(workflow_failed=1), Status.DEGRADED),  # 0.1 is not below 0.1
        (FINE._replace(workflow_total=91, workflow_failed=9), Status.HEALTHY),  # shown as 0.1, yet below it
        (FINE._replace(message_failed=1), Status.DEGRADED),
        (FINE._replace(workflow_completed=0, workflow_in_progress=10), Status.HEALTHY),
        (FINE._replace(stuck_messages=99, stuck_workflows=99), Status.HEALTHY),
    ],
)
def test_the_deployed_policy_decides_on_unrounded_rates(counts: Counts, status: Status) -> None:
    assert judge(counts, DEPLOYED).status is status


def test_the_strict_policy_is_degraded_by_a_single_document_that_did_not_complete() -> None:
    assert judge(FINE, STRICT).status is Status.HEALTHY
    assert judge(FINE._replace(message_total=1_000_000, message_completed=999_999), STRICT).status is Status.DEGRADED
    assert judge(FINE._replace(workflow_completed=9), STRICT).status is Status.DEGRADED


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"message_total": 100, "message_completed": 95, "message_failed": 5}, Status.HEALTHY),
        ({"message_total": 100, "message_completed": 94}, Status.DEGRADED),
        ({"workflow_total": 100, "workflow_completed": 95, "workflow_failed": 5}, Status.HEALTHY),
        ({"workflow_total": 1000, "workflow_completed": 949, "workflow_failed": 51}, Status.DEGRADED),
        ({"stuck_messages": 3, "stuck_workflows": 3}, Status.HEALTHY),
        ({"stuck_messages": 4}, Status.DEGRADED),
        ({"stuck_workflows": 4}, Status.DEGRADED),
        ({"response_count": 1, "response_p95_ms": 10_000.0}, Status.HEALTHY),
        ({"response_count": 1, "response_p95_ms": 10_000.5}, Status.DEGRADED),
    ],
)
def test_the_rollout_policy_is_degraded_only_past_an_alert_limit(change: dict[str, float], status: Status) -> None:
    assert judge(FINE._replace(**change), ROLLOUT).status is status  # type: ignore[arg-type]


def test_targets_are_met_or_missed_without_changing_the_status() -> None:
    judgement = judge(FINE._replace(message_total=100, message_completed=99, stuck_messages=1), ROLLOUT)
    met = {rule.id: rule.target_met for rule in judgement.rules}
    assert judgement.status is Status.HEALTHY
    assert met == {
        "workflow_error_rate": True,
        "message_error_rate": True,
        "workflow_completion_rate": True,
        "message_completion_rate": False,  # 99 % is not above 99 %
        "stuck_workflows": True,
        "stuck_messages": False,
        "response_p95_ms": None,  # no trace completed
    }


def test_nothing_to_judge_is_unknown_and_never_healthy() -> None:
    for policy in BUILT_IN.values():
        judgement = judge(Counts(), policy)
        assert judgement.status is Status.UNKNOWN
        assert judgement.unknown == (NOTHING_TO_JUDGE,)
        assert all(rule.ok for rule in judgement.rules)


def test_a_stuck_document_of_any_age_is_something_to_judge_where_a_rule_limits_stuck_ones() -> None:
    for counts in (Counts(stuck_messages=1), Counts(stuck_workflows=1)):
        assert judge(counts, ROLLOUT).status is Status.HEALTHY
        assert judge(counts, DEPLOYED).status is Status.UNKNOWN


def test_a_doubt_makes_the_status_unknown_and_keeps_the_rules() -> None:
    judgement = judge(FINE._replace(message_failed=5), DEPLOYED, [STALE])
    assert judgement.status is Status.UNKNOWN
    assert judgement.unknown == (STALE,)
    assert [rule.id for rule in judgement.failing] == ["message_error_rate"]


def test_a_policy_of_the_users_own_has_the_limits_of_its_table() -> None:
    own = {"lenient": {"window": 7_200_000, "max_error_rate": 0.2, "min_completion_rate": 0.5, "max_stuck": 1}}
    policy = find("lenient", own)
    assert policy.window_ms == 7_200_000
    assert (
        judge(FINE._replace(message_completed=5, message_failed=2, stuck_messages=1), policy).status is Status.HEALTHY
    )
    assert judge(FINE._replace(message_completed=4), policy).status is Status.DEGRADED
    assert judge(FINE._replace(message_failed=3), policy).status is Status.DEGRADED
    assert judge(FINE._replace(stuck_workflows=2), policy).status is Status.DEGRADED
    slow = find("quick", {"quick": {"max_response": 1_000}})
    assert slow.needs_response
    assert slow.window_ms == HOUR_MS
    assert judge(FINE._replace(response_count=1, response_p95_ms=1_001.0), slow).status is Status.DEGRADED


def test_a_policy_without_limits_is_refused_because_everything_would_be_healthy() -> None:
    with pytest.raises(ConfigError, match="no limit"):
        find("empty", {"empty": {"window": 1_000}})


def test_an_unknown_policy_is_refused_with_the_valid_names() -> None:
    with pytest.raises(UsageError) as refused:
        find("deploied", {"mine": {"max_stuck": 1}})
    assert "deployed, strict, rollout, mine" in refused.value.hint


def test_a_window_replaces_only_the_window() -> None:
    policy = find("deployed", window_ms=60_000)
    assert (policy.window_ms, policy.rules, policy.name) == (60_000, DEPLOYED.rules, "deployed")


@given(st.lists(st.floats(0, 1e9), max_size=60).map(sorted), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    if not values:
        assert found is None
        return
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert all(sum(v <= smaller for v in values) * 100 < percent * len(values) for smaller in values if smaller < found)


def test_counts_without_others_are_differences_and_lose_the_response() -> None:
    all_of_them = Counts(message_total=10, message_completed=7, response_count=2, response_p95_ms=5.0)
    assert all_of_them.minus(Counts(message_total=4, message_completed=1)) == Counts(
        message_total=6, message_completed=6
    )
