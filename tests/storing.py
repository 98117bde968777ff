"""Puts documents into a real store as a collect does: screened line by line, then ingested."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.convex import ids
from analyzer.convex.documents import screen
from analyzer.model import Deployment, DriftCount, Snapshot, SourceInfo, TableCoverage, TableRef, TextFingerprint
from analyzer.store import Collection, IncomingTable, Store
from analyzer.store.columns import KNOWN, shape

Document = Mapping[str, Any]
Documents = Mapping[str, Sequence[Document]]  # by table; "component/table" outside the root

NOW_MS = 1_765_889_880_000
NUMBERS = {"users": 10_001, "tasks": 10_002, "chatMessages": 10_003, "workflowTraces": 10_004}
_folders = itertools.count()


def make_id(table: str, number: int) -> str:
    """Return the n-th id of a table, the same in every test."""
    table_number = NUMBERS.get(table, 10_100 + sum(table.encode()) % 5_000)
    return ids.encode(table_number, number.to_bytes(16, "big"))


def document(table: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return a document with an id and times; fields given as None are left out."""
    found = {
        "_id": make_id(table, number),
        "_creationTime": float(NOW_MS - 60_000),
        "createdAt": float(NOW_MS - 60_000),
    }
    return {name: value for name, value in (found | fields).items() if value is not ...}


def put(
    folder: Path,
    documents: Documents,
    *,
    at_ms: int = NOW_MS,
    fingerprints: Sequence[TextFingerprint] = (),
    keep_text: bool = False,
    complete: bool = True,
    absent: Sequence[str] = (),
    deployment: str | Deployment = "happy-animal-123",
) -> Path:
    """Add one collection to the store of a test's folder; returns the store's path."""
    path = folder / "store.duckdb"
    tables: dict[str, Sequence[Document]] = {"users": [], "tasks": [], "chatMessages": [], "workflowTraces": []} | dict(
        documents
    )
    incoming: list[IncomingTable] = []
    drift: list[DriftCount] = []
    for name, found in tables.items():
        if name in absent:
            continue
        component, _, table = name.rpartition("/")
        ref = TableRef(component, table)
        spool_dir = folder / f"spool{next(_folders)}"
        spool_dir.mkdir()
        lines = "".join(json.dumps(item) + "\n" for item in found).encode()
        screened = screen(
            io.BytesIO(lines), ref, shape(component, table), where=name, spool_dir=spool_dir, keep_text=keep_text
        )
        incoming.append(IncomingTable(screened.table, screened.documents, screened.spool, name))
        drift += screened.drift
    info = SourceInfo("archive", "export.zip", _named(deployment), at_ms * 1_000_000, "file-name")
    with Store.write(path) as store:
        store.ingest(
            Collection(
                info=info,
                tables=incoming,
                as_of_ns=at_ms * 1_000_000,
                taken_at_ms=at_ms,
                drift=drift,
                absent=[TableCoverage(t, "not_collected", None) for t in KNOWN if t.name in absent],
                tables_are_complete=complete,
                fingerprints=fingerprints,
                keep_text=keep_text,
            )
        )
    return path


def newest(store: Store) -> Snapshot:
    """Return the newest snapshot."""
    return store.snapshot()


def _named(deployment: str | Deployment) -> Deployment:
    return deployment if isinstance(deployment, Deployment) else Deployment(deployment)
