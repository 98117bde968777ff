"""Raw health equals what the deployed functions answered, and health without tests what they would have answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analyzer.analysis import app_functions, artifacts, health
from analyzer.analysis.policy import DEPLOYED
from analyzer.model import FilterName
from analyzer.rules import load_all
from analyzer.store import Store
from tests.support import collected_case, golden_cases

CASES = golden_cases()
RULES = load_all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where one store holds every case as a deployment of its own: they must not mix."""
    return tmp_path_factory.mktemp("golden")


@pytest.mark.parametrize("name", CASES)
def test_health_of_a_recorded_case_is_what_the_functions_answered(name: str, folder: Path) -> None:
    _check(CASES[name], folder, plain_integers=False)


@pytest.mark.parametrize("name", ["random_seed_20251216_n150", "artifact_prompt_test_on_healthy_prod"])
def test_health_is_the_same_where_the_export_writes_whole_numbers_without_a_fraction(name: str, tmp_path: Path) -> None:
    _check(CASES[name], tmp_path, plain_integers=True)


def _check(case: dict[str, Any], folder: Path, *, plain_integers: bool) -> None:
    path = collected_case(case, folder, plain_integers=plain_integers, deployment=case["name"])
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(deployment=case["name"]), case["now_ms"])
        artifacts.prepare(frame, RULES)
        report = health.assess(frame, policy=DEPLOYED, filter_name=FilterName.EVIDENCE, now_ms=case["now_ms"])
    assert report.raw.system_health == case["expected"]["getSystemHealth"]
    assert report.raw.alerts == case["expected"]["checkAlerts"]
    without = case.get("expected_without_artifacts", case["expected"])
    assert report.without_tests.system_health == without["getSystemHealth"]
    assert report.without_tests.alerts == without["checkAlerts"]
    left_out = {table: len(found) for table, found in case.get("artifact_ids", {}).items() if found}
    assert report.excluded == left_out


@pytest.mark.parametrize("name", CASES)
def test_flags_of_a_recorded_case_are_what_the_functions_answered(name: str) -> None:
    case = CASES[name]
    assert app_functions.feature_flags(case["env"]) == case["expected"]["getFeatureFlags"]
    assert app_functions.workflow_mode(case["env"]) == case["expected"]["checkWorkflowMode"]
