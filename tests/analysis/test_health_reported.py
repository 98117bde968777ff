"""The deployment's own claim is checked against its documents at the claim's own time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.analysis.policy import DEPLOYED
from analyzer.analysis.reported import Reported, reported
from analyzer.analysis.series import grid, series
from analyzer.model import Answer, Deployment, FilterName, SourceInfo
from analyzer.rules import load_all
from analyzer.store import Collection, Store
from tests.support import as_floats, collected, export, golden_cases

CASE = golden_cases()["artifact_prompt_test_on_healthy_prod"]
NOW_MS = CASE["now_ms"]
HEALTH, ALERTS = CASE["expected"]["getSystemHealth"], CASE["expected"]["checkAlerts"]


def _recorded(folder: Path, *, at_ms: int = NOW_MS, **answers: Any) -> Path:
    """Collect a recording of a case with these answers; returns the store."""
    recording = folder / "recording"
    recording.mkdir()
    export(recording / "export.zip", CASE["documents"])
    for function, value in answers.items():
        (recording / f"monitoring.dashboard.{function}.json").write_text(json.dumps(value))
    collected(recording, folder / "store.duckdb", at_ms=at_ms)
    return folder / "store.duckdb"


def _reported(path: Path) -> Reported | None:
    with Store.read(path) as store:
        return reported(store, store.snapshot())


def test_a_claim_that_its_documents_bear_out_gives_no_finding(tmp_path: Path) -> None:
    path = _recorded(tmp_path, getSystemHealth=as_floats(HEALTH), checkAlerts=as_floats(ALERTS))
    found = _reported(path)
    assert found is not None and found.system_health is not None
    assert (found.system_health, found.alerts, found.findings, found.at_ms) == (HEALTH, ALERTS, (), NOW_MS)
    assert isinstance(found.system_health["messages"]["total"], int), "numbers as the app prints them"


def test_a_claim_that_differs_is_a_finding_that_names_every_field(tmp_path: Path) -> None:
    claim = json.loads(json.dumps(HEALTH))
    claim["messages"]["completed"] = 10
    claim["health"]["status"] = "healthy"
    found = _reported(_recorded(tmp_path, getSystemHealth=claim))
    assert found is not None
    assert [finding.id for finding in found.findings] == ["reported-differs"]
    assert found.findings[0].details["fields"] == {
        "messages.completed": {"reported": 10, "raw": 9},
        "health.status": {"reported": "healthy", "raw": "degraded"},
    }
    assert "messages.completed, health.status" in found.findings[0].text


def test_a_claim_is_compared_at_its_own_time_not_at_the_snapshots(tmp_path: Path) -> None:
    path = _recorded(tmp_path, at_ms=NOW_MS + 3_600_000, getSystemHealth=HEALTH, checkAlerts=ALERTS)
    found = _reported(path)
    assert found is not None
    assert found.findings == ()


def test_without_answers_nothing_was_reported(tmp_path: Path) -> None:
    collected(export(tmp_path / "e.zip", CASE["documents"]), tmp_path / "store.duckdb", at_ms=NOW_MS)
    assert _reported(tmp_path / "store.duckdb") is None


def _answered(folder: Path, function: str, value: Any) -> Reported | None:
    """Store a deployment without documents that gave one answer, whatever its form."""
    answer = Answer(f"monitoring/dashboard:{function}", value, None)
    info = SourceInfo("recording", "r", Deployment("d"), NOW_MS * 1_000_000, "taken-at", answers=(answer,))
    path = folder / "store.duckdb"
    with Store.write(path) as store:
        store.ingest(Collection(info, [], NOW_MS * 1_000_000, NOW_MS))
    return _reported(path)


@pytest.mark.parametrize("answer", [None, "error", [1], {"messages": {}}, {"timestamp": "soon"}, {"timestamp": True}])
def test_an_answer_of_another_form_is_a_finding_and_no_claim(answer: Any, tmp_path: Path) -> None:
    found = _answered(tmp_path, "getSystemHealth", answer)
    assert found is not None
    assert found.system_health is None
    assert [finding.id for finding in found.findings] == ["reported-unreadable"]


def test_fields_that_a_claim_lacks_or_mangles_differ_and_further_ones_do_not_matter(tmp_path: Path) -> None:
    claim = {**ALERTS, "alerts": "none", "more": 1}
    del claim["stuckMessages"]
    found = _answered(tmp_path, "checkAlerts", claim)
    assert found is not None
    assert found.findings[0].details["fields"] == {
        "alerts": {"reported": "none", "raw": []},
        "stuckMessages": {"reported": None, "raw": 0},
    }


def test_a_series_carries_what_was_reported_in_its_time(tmp_path: Path) -> None:
    path = _recorded(tmp_path, getSystemHealth=as_floats(HEALTH))
    with Store.read(path) as store:
        for first_ms, marks in ((NOW_MS - 1000, [(NOW_MS, 0.9, "degraded")]), (NOW_MS + 1, [])):
            found = series(
                store,
                store.snapshot(),
                grid(first_ms, NOW_MS + 1000, 500),
                policy=DEPLOYED,
                filter_name=FilterName.NONE,
                rules=load_all(),
            )
            assert [(mark.at_ms, mark.completion_rate, mark.status) for mark in found.reported] == marks
