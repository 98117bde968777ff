"""What follows from a document's field names and JSON types alone: what its columns take, and what is unusual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analyzer.convex import values
from analyzer.model import TableShape

_PYTHON_TYPES = {"double": float, "varchar": str, "boolean": bool}
# Free text of the app's own tables: it has no column because text is not stored, so finding it is no surprise.
_APP_TEXT_FIELDS = frozenset({"errorMessage", "metadataJson"})

Drift = tuple[str, str, str]  # field, kind, found


@dataclass(frozen=True, slots=True, eq=False)  # there is one of each, and millions of documents have it
class Shape:
    """What follows from a document's field names and JSON types alone."""

    has_id: bool
    has_time: bool
    columns: tuple[str, ...]  # fields whose column takes them; with `_id` and the table's own text
    fits: bool  # whether every column takes what stands there: a null as nothing, an int64 as the nearest number
    leftovers: tuple[str, ...]  # fields that go to leftovers, whole
    has_string_left: bool  # whether one of them is a string
    drift: tuple[Drift, ...]
    wrapped: tuple[str, ...]  # mistyped fields whose type only the value tells: {"$bytes": …}


def work_out(key: tuple[Any, ...], table: TableShape) -> Shape:
    """Derive what a shape means for a table; `key` is all field names, then all their types."""
    half = len(key) // 2
    types = dict(zip(key[:half], key[half:], strict=True))
    columns, leftovers, drift, wrapped, fits = ["_id"], [], [], [], True
    for field, found in types.items():
        wanted = table.fields.get(field)
        if field == "_id":
            continue
        if field == table.text_field and found is str:
            columns.append(field)
            continue
        if wanted is not None and found is _PYTHON_TYPES[wanted]:
            columns.append(field)
            continue
        leftovers.append(field)
        if wanted is None and field != table.text_field:
            if table.typed and field not in _APP_TEXT_FIELDS:
                drift.append((field, "unknown_field", values.TYPE_NAMES[found]))
            continue
        if wanted == "double" and found is int:
            columns.append(field)  # its column holds the number; the leftovers hold it exactly
        elif found is not type(None):
            fits = False
        if found is dict:
            wrapped.append(field)
        else:
            drift.append((field, "mistyped", values.TYPE_NAMES[found]))
    drift += [(field, "missing_field", "") for field in table.required if field not in types]
    return Shape(
        has_id=types.get("_id") is str,
        has_time=types.get("_creationTime") in (float, int),
        columns=tuple(columns),
        fits=fits,
        leftovers=tuple(leftovers),
        has_string_left=any(types[field] is str for field in leftovers),
        drift=tuple(drift),
        wrapped=tuple(wrapped),
    )
