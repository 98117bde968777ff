"""What could not be told between two snapshots is recorded, and health within it is unknown, with its numbers shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.errors import EXIT_OK, EXIT_UNKNOWN
from analyzer.store import Store
from analyzer.units import instant
from tests.collect.test_live import WAYS, gather, held, message, truth
from tests.deployment import Deployment

DAY_MS = 86_400_000
SIXTH_MS = 10 * 60_000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


def collect_with(d: Deployment, store: Path, between: Callable[[Deployment], Any]) -> tuple[int, int]:
    """Collect, let something happen, and collect again; returns the times of both snapshots in milliseconds."""
    d.create_table("workflowTraces")
    d.insert_many("chatMessages", [message(d, "complete")] * 5)
    first = gather(d, store).snapshot.as_of_ms
    d.clock.advance_ms(SIXTH_MS)
    between(d)
    d.clock.advance_ms(SIXTH_MS)
    second = gather(d, store).snapshot.as_of_ms
    assert held(store, 2) == truth(d)
    return first, second


def gaps(store: Path) -> list[tuple[str, float, float]]:
    with Store.read(store) as opened:
        spans = opened.observations.spans("happy-animal-123")
    return [(s.stream, s.from_ms, s.until_ms) for s in spans if s.is_gap and s.stream.startswith("documents")]


def expire(d: Deployment) -> None:
    d.clock.advance_ms(20 * DAY_MS)
    d.expire_cursors()


def replace_table(d: Deployment) -> None:
    """Import with --replace: as many documents as before, and none of them the same."""
    d.replace_table("chatMessages", [message(d, "failed")] * 5)
    d.backend.audit.write("snapshot_import", {"import_mode": "replace"})


def drop_table(d: Deployment) -> None:
    d.drop_table("chatMessages")


def ordinary_use(d: Deployment) -> None:
    d.insert("chatMessages", message(d, "failed"))
    d.delete("chatMessages", sorted(d.documents("chatMessages"))[0])


def idle(d: Deployment) -> None:
    """Let a table be idle for weeks while another is in use, collected often enough."""
    d.insert("notes", {"n": 1.0})


@pytest.mark.parametrize(
    ("way", "between", "stream"),
    [
        ("data sync", expire, "documents"),
        ("data sync", replace_table, "documents chatMessages"),
        ("data sync", drop_table, "documents chatMessages"),
        ("deltas", expire, "documents"),
        ("deltas", replace_table, "documents"),  # counts agree: only the event tells
        ("deltas", drop_table, "documents chatMessages"),
    ],
)
def test_what_cannot_be_told_is_a_gap_between_the_two_snapshots(
    store: Path, way: str, between: Callable[[Deployment], Any], stream: str
) -> None:
    with Deployment(**WAYS[way]) as d:
        first, second = collect_with(d, store, between)
    assert gaps(store) == [(stream, first, second)]


@pytest.mark.parametrize("way", ["data sync", "deltas"])
@pytest.mark.parametrize("between", [ordinary_use, idle])
def test_what_was_told_is_no_gap(store: Path, way: str, between: Callable[[Deployment], Any]) -> None:
    with Deployment(**WAYS[way]) as d:
        collect_with(d, store, between)
    assert gaps(store) == []


def test_an_import_is_read_again_once_and_not_at_every_collect(store: Path) -> None:
    with Deployment(**WAYS["deltas"]) as d:
        collect_with(d, store, replace_table)
        d.clock.advance_ms(1_000)
        d.requests.clear()
        gather(d, store)
        assert d.called("/api/list_snapshot") == []
        assert len(d.called("/api/document_deltas")) == 1
    assert len(gaps(store)) == 1


@pytest.fixture
def broken(store: Path) -> tuple[Path, int, int]:
    """A store with a gap in its history, and the gap's ends."""
    with Deployment() as d:
        return store, *collect_with(d, store, replace_table)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words), env={"ANALYZER_DB": None})


def health(store: Path, *words: str) -> tuple[int, Any]:
    result = run("health", "--db", str(store), "--format", "json", *words)
    return result.exit_code, json.loads(result.stdout)


def test_health_within_a_gap_is_unknown_with_its_numbers_shown(broken: tuple[Path, int, int]) -> None:
    store, first, _ = broken
    at = instant(first + SIXTH_MS)
    code, found = health(store, "--at", at)
    assert code == EXIT_UNKNOWN
    assert (found["status"], found["raw_status"]) == ("unknown", "unknown")
    assert found["raw"]["systemHealth"]["messages"]["total"] == 10  # those of before and of after: nobody can tell
    said = run("health", "--db", str(store), "--at", at).stdout
    assert "changes are not known: the table was emptied or replaced as a whole" in said


def test_health_at_either_end_of_a_gap_is_known(broken: tuple[Path, int, int]) -> None:
    store, first, second = broken
    assert health(store, "--at", instant(first))[1]["status"] == "healthy"
    code, found = health(store)
    assert (code, found["status"]) == (1, "degraded")
    assert found["raw"]["systemHealth"]["messages"]["failed"] == 5
    (noted,) = [finding for finding in found["findings"] if finding["id"] == "gap-in-window"]
    assert noted["details"] == {"table": "chatMessages", "from_ms": first, "until_ms": second}


def test_a_series_is_unknown_within_a_gap_and_nowhere_else(broken: tuple[Path, int, int]) -> None:
    store, first, second = broken
    code, found = health(store, "--every", "5m", "--since", instant(first), "--until", instant(second))
    assert code == EXIT_OK
    statuses = [tick["raw_status"] for tick in found["ticks"]]
    assert statuses == ["healthy", "unknown", "unknown", "unknown", "degraded"]


def test_explain_says_what_cannot_be_told_and_what_to_do(broken: tuple[Path, int, int]) -> None:
    store, first, second = broken
    result = run("explain", "--db", str(store), "--at", instant(first + SIXTH_MS))
    assert result.exit_code == EXIT_UNKNOWN
    assert "raw UNKNOWN" in result.stdout
    assert "Cannot tell: between" in result.stdout
    assert f"> take --at {instant(second)}" in result.stdout
