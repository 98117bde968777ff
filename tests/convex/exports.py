"""Exports for tests: documents with valid ids, written exactly as the platform writes them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from analyzer.convex import ids
from analyzer.convex.archive_writer import TableKey, write_export
from analyzer.convex.values import MAX_INT64, MIN_INT64

NUMBERS: dict[TableKey, int] = {
    ("", "users"): 10001,
    ("", "tasks"): 10002,
    ("", "chatMessages"): 10003,
    ("", "workflowTraces"): 10004,
    ("", "toolCalls"): 10005,
    ("agent", "users"): 10001,  # numbers are unique within a component only
    ("agent/cache", "entries"): 10002,
}


def make_id(table: str, number: int, component: str = "") -> str:
    """Return the n-th id of a table."""
    return ids.encode(NUMBERS[component, table], number.to_bytes(16, "big"))


def message(number: int, **changes: Any) -> dict[str, Any]:
    """Return a chat message; a change to `...` leaves the field out."""
    fields: dict[str, Any] = {
        "_creationTime": 1765889000000.5 + number,
        "_id": make_id("chatMessages", number),
        "content": f"text of message {number}",
        "createdAt": 1765889000000.0 + number,
        "role": "ASSISTANT",
        "status": "complete",
        "taskId": make_id("tasks", 1),
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


def export(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any] | bytes]], **options: Any) -> Path:
    """Write an export of tables by name, "component:table" outside the root."""
    keyed = {_key(name): documents for name, documents in tables.items()}
    write_export(path, keyed, table_numbers={key: NUMBERS[key] for key in keyed}, **options)
    return path


def zip_of(path: Path, entries: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> Path:
    """Write a ZIP of any entries, in order."""
    pairs = list(entries.items()) if isinstance(entries, Mapping) else entries
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pairs:
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name  # as it is: the constructor would mend it
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.NameToInfo.pop(name, None)  # so that a second entry of one name is written without a warning
            archive.writestr(info, content)
    return path


def unpacked(path: Path, folder: Path) -> Path:
    """Unpack an export."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def _key(name: str) -> TableKey:
    component, _, table = name.rpartition(":")
    return component, table


_names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=12).filter(
    lambda name: not name.startswith("_")
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers(MIN_INT64, MAX_INT64)
    | st.binary(max_size=20)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Any documents in any tables."""
    found: dict[str, list[dict[str, Any]]] = {}
    for component, table in draw(st.sets(st.sampled_from(sorted(NUMBERS)), max_size=4)):
        numbers = draw(st.sets(st.integers(0, 2**64), max_size=4))
        found[f"{component}:{table}"] = [
            draw(st.dictionaries(_names, values, max_size=5))
            | {"_creationTime": float(number % 10**12), "_id": make_id(table, number, component)}
            for number in sorted(numbers)
        ]
    return found
