"""What is read from a source, before it is in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analyzer.model import Answer, Deployment, Flag, SourceKind, TimeBasis


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself before any document is read."""

    kind: SourceKind
    label: str  # file or folder name without its path, or the deployment's URL origin
    deployment: Deployment
    source_time_ns: int | None  # None: take the newest creation time, a lower bound
    time_basis: TimeBasis
    flags: tuple[Flag, ...] = ()
    answers: tuple[Answer, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableShape:
    """Which fields of a table have typed columns, decided by collect and passed to the source."""

    fields: Mapping[str, Literal["double", "varchar", "boolean"]]  # document field -> column type
    typed: bool  # False: everything but ids and references goes to leftovers
    text_field: str | None = None  # reduced while loading, e.g. "content"; never part of leftovers
    required: frozenset[str] = frozenset()  # fields whose absence is drift


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some documents of an exported table, one behind the other, and all that collecting must know of them."""

    digest: str  # hex SHA-256 over their lines and over what decides how they are kept
    first_id: str
    last_id: str
    documents: int
    newest_creation_ms: float | None
    drift: tuple[tuple[str, str, str, int], ...]  # field, kind, found, documents


@dataclass(frozen=True, slots=True)
class Gap:
    """The ids between two others, both left out."""

    after: str  # "" from the first on
    before: str | None  # None: to the last
