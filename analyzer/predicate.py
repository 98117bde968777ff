"""Predicates over the fields of one document: the trees that rules are made of, as plain data.

A leaf looks at one top-level field. It compares strictly by type: "true" is not true and 5 is not "5", so a mistyped
value never fulfils a leaf that was written for the right type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Scalar = str | float | bool
Operator = Literal["equals", "in", "matches", "empty", "refers_to"]


class Leaf(NamedTuple):
    """One test of one field.

    equals, in   the value is one of `values`, of the same type
    matches      the value is text and the regular expression `values[0]` matches all of it
    empty        the field is missing, null or ""
    refers_to    the value is the id of a document that one of the rules `values` selects
    """

    field: str
    operator: Operator
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class All:
    """Fulfilled when every part is. Has at least one part."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Fulfilled when at least one part is. Has at least one part."""

    parts: tuple[Predicate, ...]


Predicate = Leaf | All | AnyOf


def leaves(predicate: Predicate) -> Iterator[Leaf]:
    """Yield the leaves of a tree from left to right."""
    if isinstance(predicate, Leaf):
        yield predicate
        return
    for part in predicate.parts:
        yield from leaves(part)


def as_data(predicate: Predicate) -> dict[str, object]:
    """Return a tree as JSON data, the same for equal trees."""
    if isinstance(predicate, Leaf):
        return {"field": predicate.field, predicate.operator: list(predicate.values)}
    key = "all" if isinstance(predicate, All) else "any"
    return {key: [as_data(part) for part in predicate.parts]}


def fingerprint_id(table: str, field: str, pattern: str) -> str:
    """Return the stable id of a pattern that text is checked for on arrival (16 hex digits)."""
    return hashlib.sha256("\0".join((table, field, pattern)).encode()).hexdigest()[:16]
