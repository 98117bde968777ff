"""What tests of health share: the recorded cases as exports, collected into real stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyzer.collect import collect
from analyzer.convex import ids
from analyzer.convex.archive_writer import write_export
from analyzer.model import CollectResult
from analyzer.rules import fingerprints, load_all
from analyzer.sources import open_source

RECORDED = Path(__file__).parent / "recorded" / "golden-health.json"
NUMBERS = {"users": 10_001, "tasks": 10_002, "chatMessages": 10_003, "workflowTraces": 10_004}
DEPLOYMENT = "happy-animal-123"

Tables = Mapping[str, list[dict[str, Any]]]


def golden_cases() -> dict[str, dict[str, Any]]:
    """Return the recorded cases by name: documents in, the deployed functions' exact answers out."""
    return {case["name"]: case for case in json.loads(RECORDED.read_text(encoding="utf-8"))}


def as_floats(value: Any) -> Any:
    """Return a document with every number as a float64, as the platform exports numbers of an app."""
    if isinstance(value, dict):
        return {key: as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def export(path: Path, tables: Tables, *, plain_integers: bool = False) -> Path:
    """Write documents as an export ZIP of the platform's own form; returns its path.

    plain_integers  write whole numbers as `10` instead of `10.0`, as a careless exporter would
    """
    lines = {
        ("", name): [json.dumps(d).encode() if plain_integers else as_floats(d) for d in documents]
        for name, documents in tables.items()
    }
    numbers = {("", name): _table_number(name, documents) for name, documents in tables.items()}
    write_export(path, lines, table_numbers=numbers)
    return path


def collected(
    path: Path,
    store: Path,
    *,
    at_ms: int | None = None,
    deployment: str | None = DEPLOYMENT,
    label: str | None = None,
) -> CollectResult:
    """Collect an export or a recording into a store, with the default rules' fingerprints."""
    source = open_source(
        path,
        deployment=deployment,
        taken_at_ns=None if at_ms is None else at_ms * 1_000_000,
        flag_names=["ENABLE_WORKFLOW", "ENABLE_RETRY_WITH_BACKOFF", "ENABLE_PROMPT_MESSAGE_ID"],
    )
    try:
        return collect(source, store, label=label, fingerprints=fingerprints(load_all()))
    finally:
        source.close()


def collected_case(
    case: Mapping[str, Any], folder: Path, *, plain_integers: bool = False, deployment: str = DEPLOYMENT
) -> Path:
    """Collect a recorded case; returns the store. Nothing but the newest document tells when it was taken."""
    store = folder / "store.duckdb"
    path = export(folder / "export.zip", case["documents"], plain_integers=plain_integers)
    collected(path, store, deployment=deployment)
    return store


def _table_number(name: str, documents: list[dict[str, Any]]) -> int:
    return ids.decode(documents[0]["_id"]).table_number if documents else NUMBERS.get(name, 10_100)
