"""What the store answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from analyzer.model import Snapshot


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What one collect did to the store."""

    snapshot: Snapshot
    already_present: bool  # the same documents at the same time were in the store; nothing was added
    findings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a query with the names of their columns, in the query's own order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
