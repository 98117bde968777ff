"""The demo's deployment answers as the recorded one did."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

GOLDEN = json.loads((Path(__file__).parent / "recorded" / "golden-health.json").read_text(encoding="utf-8"))
sys.path.insert(0, str(Path(__file__).parents[1] / "data" / "demo"))

from demo_rollout import functions  # noqa: E402


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["name"]))
def test_the_functions_answer_as_the_recorded_deployment_did(case: dict[str, Any]) -> None:
    messages, traces = case["documents"]["chatMessages"], case["documents"]["workflowTraces"]
    now_ms, expected = case["now_ms"], case["expected"]
    assert functions.get_system_health(messages, traces, now_ms) == expected["getSystemHealth"]
    assert functions.check_alerts(messages, traces, now_ms) == expected["checkAlerts"]
    assert functions.get_feature_flags(case["env"]) == expected["getFeatureFlags"]
    assert functions.check_workflow_mode(case["env"]) == expected["checkWorkflowMode"]
    assert functions.get_recent_traces(traces) == expected["getRecentTraces"]
    if "artifact_ids" in case:
        left_out = {id_ for found in case["artifact_ids"].values() for id_ in found}
        messages, traces = ([d for d in documents if d["_id"] not in left_out] for documents in (messages, traces))
        without = case["expected_without_artifacts"]
        assert functions.get_system_health(messages, traces, now_ms) == without["getSystemHealth"]
        assert functions.check_alerts(messages, traces, now_ms) == without["checkAlerts"]


@pytest.mark.parametrize(
    ("failed", "total", "shown", "alert"),
    [(1, 8, 0.13, "12.5"), (23, 40, 0.57, "57.5"), (1, 200, 0.01, "0.5"), (5, 16, 0.31, "31.3"), (1, 1, 1, "100.0")],
)
def test_rates_are_rounded_as_javascript_does(failed: int, total: int, shown: float, alert: str) -> None:
    assert functions.round_2(failed / total) == shown
    assert functions.to_fixed_1(failed / total * 100) == alert
