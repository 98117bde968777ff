"""Makes collections for the store without a source: documents in, checked spool files out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.model import Deployment, SourceInfo, TableRef
from analyzer.store import Collection, IncomingTable
from analyzer.store.columns import KNOWN, REVISION_TABLES

Document = Mapping[str, Any]


def spool(folder: Path, table: TableRef, documents: Sequence[Document]) -> IncomingTable:
    """Write documents as a source would after checking them; unknown fields become leftovers."""
    folder.mkdir(parents=True, exist_ok=True)
    typed = table in KNOWN
    known = (
        {c.field for c in REVISION_TABLES[table.name].columns} | {"_id", "_creationTime", "content"} if typed else set()
    )
    lines = []
    for document in documents:
        own = known if typed else ("_id", "_creationTime", "taskId", "messageId", "userId")
        left = {k: v for k, v in document.items() if k not in own}
        row = {k: v for k, v in document.items() if k in own}
        lines.append(json.dumps(row | {"leftovers": json.dumps(left, sort_keys=True) if left else None}))
    path = folder / "documents.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    return IncomingTable(table, len(documents), path, f"export.zip: {table.name}/documents.jsonl")


def collection(
    folder: Path,
    tables: Mapping[str, Sequence[Document]],
    *,
    as_of_ns: int,
    deployment: str = "happy-animal-123",
    label: str | None = None,
    complete: bool = True,
) -> Collection:
    """Return a collection of root tables by name."""
    info = SourceInfo(
        kind="archive",
        label="export.zip",
        deployment=Deployment(deployment),
        source_time_ns=as_of_ns,
        time_basis="file-name",
    )
    return Collection(
        info=info,
        tables=[spool(folder / name, TableRef("", name), documents) for name, documents in tables.items()],
        as_of_ns=as_of_ns,
        taken_at_ms=as_of_ns // 1_000_000,
        label=label,
        tables_are_complete=complete,
    )
