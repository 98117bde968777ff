"""What an exported folder says of itself: one manifest beside the Parquet files.

    DIR/manifest.json
    DIR/revision_messages/is_in_force=true/day=2025-12-16/*.parquet
    DIR/revision_other/table_name=todos/is_in_force=true/day=2025-12-16/*.parquet
    DIR/revision_end/*.parquet
    DIR/counted_minute/*.parquet
    DIR/rule_evidence/*.parquet

`is_in_force=true` holds the documents of the snapshot as they stood at its clock; `false` what they were before, and
what was deleted. `day` is the day of creation in UTC; a document without a creation time that a calendar knows lies
under Hive's name for NULL. A table without rows has no folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analyzer import __version__
from analyzer.errors import StoreError
from analyzer.sql import Derived, Query
from analyzer.units import visible

FORMAT = "parquet-export/1"
MANIFEST = "manifest.json"
EVIDENCE = "rule_evidence"  # what rules and marks select; rules are applied where a store is exported
HELD = frozenset(
    {
        "stg_users", "stg_tasks", "stg_messages", "stg_traces", "stg_other",
        "revision_users", "revision_tasks", "revision_messages", "revision_traces", "revision_other", "revision_end",
        "counted_minute",
        "gone_users", "gone_tasks", EVIDENCE, "task_evidence", "owned_evidence", "orphan_evidence", "message_evidence",
        "artifact", "internal_document", "left_out", "every_artifact", "compare_document",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """One table of an export."""

    row_count: int
    columns: Mapping[str, str]  # column -> DuckDB's name of its type, in the table's order
    partitions: tuple[str, ...] = ()  # columns that are folders, outermost first


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which documents an export holds, and all that is needed to ask the named queries of them."""

    deployment: str
    snapshot: int
    label: str
    variables: Mapping[str, int]  # of the frame: deployment_no, as_of_ns, at_ms, valid_at_ns
    rules_hash: str  # of rules, lists and marks
    derived: tuple[Derived, ...]  # tables to fill, in this order, before the first query
    tables: Mapping[str, ExportedTable]
    store_schema: int
    version: str = __version__

    def to_json(self) -> str:
        """Return the manifest as it is written."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_manifest(text: str, where: str) -> Manifest:
    """Read a manifest.

    where   the folder, for the error
    raises  StoreError when it is none, or was written by another version
    """
    again = "export again with this version"
    try:
        data = json.loads(text)
        found = data.pop("format"), data["version"]
        if found == (FORMAT, __version__):
            return _manifest(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fact = f"{type(error).__name__}: {error}"
        raise StoreError(f"{where}: {MANIFEST} is none of an export ({visible(fact)})", hint=again) from None
    raise StoreError(
        f"{where} was exported by analyzer {visible(str(found[1]))} as {visible(str(found[0]))}; "
        f"this is analyzer {__version__}, which reads {FORMAT}",
        hint=again,
    )


def _manifest(data: dict[str, Any]) -> Manifest:
    tables = {
        name: ExportedTable(int(table["row_count"]), dict(table["columns"]), tuple(table["partitions"]))
        for name, table in data["tables"].items()
    }
    derived = tuple(Derived(step["table"], step["query"], dict(step["params"])) for step in data["derived"])
    variables = {name: int(value) for name, value in data["variables"].items()}
    return Manifest(**data | {"tables": tables, "derived": derived, "variables": variables})


def why_not(query: Query) -> str | None:
    """Return why no export can answer a query, or None where one can."""
    if query.name.startswith("purge/"):
        return "a purge is planned on the store itself"
    missing = [word for word in query.reads if word.isidentifier() and word not in HELD | _VARIABLES]
    if missing:
        return f"an export does not hold {', '.join(missing)}"
    return None


_VARIABLES = frozenset({"deployment_no", "as_of_ns", "at_ms", "valid_at_ns"})
