"""Filters of the dashboard, as paginatedTableDocuments takes them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import orjson

from tests.deployment import encoding
from tests.deployment.errors import FunctionError

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: have == want,
    "neq": lambda have, want: have != want,
    "gt": lambda have, want: have > want,
    "gte": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "lte": lambda have, want: have <= want,
}
TYPES = ("string", "boolean", "number", "bigint", "null", "id", "array", "object", "bytes", "unset")
MISSING = (0, 0)  # sorts before every value


def parse(filters: str | None) -> dict[str, Any]:
    """Return a filter expression.

    raises  FunctionError where it is none
    """
    if not filters:
        return {"clauses": []}
    try:
        parsed = orjson.loads(base64.b64decode(filters, validate=True))
    except (binascii.Error, ValueError) as error:
        raise FunctionError(f"SyntaxError: {error}") from error
    clauses = parsed.get("clauses") if isinstance(parsed, dict) else None
    known = {*COMPARISONS, "anyOf", "noneOf", "type", "notype"}
    if not isinstance(clauses, list) or any(not isinstance(c, dict) or c.get("op") not in known for c in clauses):
        raise FunctionError("ZodError: Invalid input")
    if any(c["op"] in ("type", "notype") and c.get("value") not in TYPES for c in clauses):
        raise FunctionError("ZodError: Invalid input")
    return dict(parsed)


def errors(clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a page of errors for values that are none."""
    found = []
    for place, clause in enumerate(clauses):
        try:
            encoding.decode(clause.get("value"))
        except (ValueError, AttributeError):
            text = orjson.dumps(clause.get("value")).decode()
            found.append({"filter": float(place), "error": f"Invalid value: {text}."})
    return found


def enabled(clauses: list[dict[str, Any]], *, types: bool) -> list[dict[str, Any]]:
    """Return the clauses in force: on types, or on values."""
    return [c for c in clauses if c.get("enabled", True) and "field" in c and (c["op"] in ("type", "notype")) is types]


def holds(document: dict[str, Any], clause: dict[str, Any]) -> bool:
    """Tell whether a document satisfies one clause."""
    field, op = clause["field"], clause["op"]
    if op in ("type", "notype"):
        return _is_type(document, field, clause["value"]) is (op == "type")
    have = encoding.sort_key(document[field]) if field in document else MISSING
    if op in ("anyOf", "noneOf"):
        wanted = [encoding.sort_key(encoding.decode(v)) for v in clause.get("value") or []]
        return not wanted or (have in wanted) is (op == "anyOf")
    want = encoding.sort_key(encoding.decode(clause["value"])) if "value" in clause else MISSING
    return COMPARISONS[op](have, want)


def _is_type(document: dict[str, Any], field: str, wanted: str) -> bool:
    from analyzer.convex import ids

    if field not in document or wanted == "unset":
        return (field not in document) is (wanted == "unset")
    if wanted == "id":
        return ids.is_valid(document[field])
    return encoding.type_of(document[field]) == wanted
