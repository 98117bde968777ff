from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from analyzer.convex import values as codec
from analyzer.convex.answers import read_answer
from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames, file_name
from analyzer.convex.text import digest
from tests.convex.exports import values

CASES = json.loads((Path(__file__).parents[1] / "recorded/golden-health.json").read_text())
FLAGS = ("ENABLE_WORKFLOW", "ENABLE_RETRY_WITH_BACKOFF")
BY_LAST_WORD = {name.rpartition(":")[2]: name for name in DEFAULT_NAMES.all()}


def read(function: str, parsed: Any) -> tuple[Any, list[str]]:
    answer, warnings = read_answer(BY_LAST_WORD[function], parsed, flag_names=FLAGS)
    return (None if answer is None else answer.value), warnings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_recorded_answers_are_read_in_every_format_they_travel_in(case: dict[str, Any]) -> None:
    for function in ("getSystemHealth", "checkAlerts"):
        value = case["expected"][function]
        wire = codec.loads(json.dumps(value), "convex_encoded_json")  # all numbers as float64
        encoded = json.loads(codec.dumps(wire, "convex_encoded_json"))
        for form in (value, encoded, {"status": "success", "value": encoded, "logLines": []}):
            answer, warnings = read_answer(BY_LAST_WORD[function], form, flag_names=FLAGS)
            assert answer is not None
            assert json.dumps(answer.value, sort_keys=True) == json.dumps(value, sort_keys=True)
            assert answer.answered_at_ms == case["now_ms"]
            assert not warnings


@pytest.mark.parametrize(
    ("parsed", "said"),
    [
        (None, "null, not an object"),
        ([], "array, not an object"),
        ("text", "string, not an object"),
        ({"$bytes": "YWJj"}, "string, not an object"),
        ({"timestamp": "soon"}, "timestamp, workflows.total, workflows.completed"),
        ({"$other": 1}, "gave no answer"),
        ({"status": "error", "errorMessage": "[Request ID: a]\nServer Error"}, "it failed: [Request ID: a]\\nServer"),
    ],
)
def test_an_answer_of_another_shape_is_left_out_with_a_warning(parsed: Any, said: str) -> None:
    value, [warning] = read("getSystemHealth", parsed)
    assert value is None
    assert said in warning
    assert warning.isprintable()


@given(values)
def test_whatever_a_function_answers_becomes_an_answer_or_a_warning(value: Any) -> None:
    for format_ in ("json", "convex_encoded_json", "export_json"):
        parsed = json.loads(codec.dumps(value, format_))
        for function in DEFAULT_NAMES.all():
            answer, warnings = read_answer(function, parsed, flag_names=FLAGS)
            assert (answer is None) <= bool(warnings)
            if answer is not None:
                json.dumps(answer.value, allow_nan=False)


def test_absurd_nesting_is_a_warning() -> None:
    value, [warning] = read("getRecentTraces", json.loads("[" * 500 + "]" * 500))
    assert value is None
    assert "levels" in warning


def test_only_configured_flags_are_kept_of_answers_about_variables() -> None:
    value, [warning] = read("getFeatureFlags", {"ENABLE_WORKFLOW": True, "STRIPE_SECRET": "sk_live_1"})
    assert value == {"ENABLE_WORKFLOW": True}
    assert "sk_live_1" not in warning
    assert read("checkWorkflowMode", {"ENABLE_WORKFLOW": True, "mode": "workflow"}) == (
        {"ENABLE_WORKFLOW": True, "mode": "workflow"},
        [],
    )


def test_free_text_in_an_answer_is_reduced() -> None:
    value, warnings = read("getRecentTraces", [{"traceId": "t", "errorMessage": "secret text", "startedAt": 5.0}])
    assert value == [{"traceId": "t", "errorMessage": digest("secret text"), "startedAt": 5}]
    assert not warnings


def test_int64_and_numbers_that_are_not_finite_are_plain_in_the_end() -> None:
    value, _ = read("getRecentTraces", [{"n": {"$integer": "ewAAAAAAAAA="}, "x": {"$float": "AAAAAAAA+H8="}, "h": 0.5}])
    assert value == [{"n": 123, "x": "NaN", "h": 0.5}]


def test_functions_may_have_other_names() -> None:
    names = FunctionNames(system_health="ops:health")
    assert names.all()[0] == "ops:health"
    answer, warnings = read_answer("ops:health", CASES[0]["expected"]["getSystemHealth"], flag_names=(), names=names)
    assert answer is not None
    assert answer.function == "ops:health"
    assert not warnings


def test_the_file_of_an_answer_is_named_after_its_function() -> None:
    assert file_name("monitoring/dashboard:getSystemHealth") == "monitoring.dashboard.getSystemHealth.json"
    assert file_name("health") == "health.json"
