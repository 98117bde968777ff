"""The words of the project as types: what the layers hand to each other.

All times are UTC; `_ms` is milliseconds and `_ns` nanoseconds since the epoch. All rates and shares are 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # each class takes Python longer to make than a command should wait for what it does not use
    from analyzer.model.results import CollectResult as CollectResult
    from analyzer.model.results import Table as Table
    from analyzer.model.sources import Gap as Gap
    from analyzer.model.sources import SourceInfo as SourceInfo
    from analyzer.model.sources import Stretch as Stretch
    from analyzer.model.sources import TableShape as TableShape

ROOT = ""  # path of the root component

_ROOMS = {  # of what few commands use
    "CollectResult": "results",
    "Gap": "sources",
    "SourceInfo": "sources",
    "Stretch": "sources",
    "Table": "results",
    "TableShape": "sources",
}


def __getattr__(name: str) -> Any:
    """Load the room of a word when it is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'analyzer.model' has no attribute {name!r}")
    return getattr(import_module(f"analyzer.model.{_ROOMS[name]}"), name)


class DeploymentType(StrEnum):
    """What a deployment is. Everything but a server-confirmed dev or preview counts as production."""

    PROD = "prod"
    DEV = "dev"
    PREVIEW = "preview"
    CUSTOM = "custom"
    SELF_HOSTED = "selfHosted"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Tier(StrEnum):
    """How sure it is that a test left a document behind, strongest first."""

    CERTAIN = "certain"
    LIKELY = "likely"
    SUSPECT = "suspect"
    ORPHAN = "orphan"


class FilterName(StrEnum):
    """Which documents are left out of health."""

    NONE = "none"
    NAME = "name"
    EVIDENCE = "evidence"
    WIDE = "wide"


FILTER_TIERS: Mapping[FilterName, tuple[Tier, ...]] = {
    FilterName.NONE: (),
    FilterName.NAME: (),
    FilterName.EVIDENCE: (Tier.CERTAIN, Tier.LIKELY),
    FilterName.WIDE: (Tier.CERTAIN, Tier.LIKELY, Tier.SUSPECT, Tier.ORPHAN),
}


class Status(StrEnum):
    """A verdict on health. Missing data is never healthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"


TimeBasis = Literal["server", "taken-at", "file-name", "answer-timestamp", "newest-creation-time", "local-clock"]
SourceKind = Literal["live", "archive", "recording"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """One Convex backend, as far as a source can tell."""

    name: str  # the server's name, --deployment, the ZIP name's, or "unknown:<16 hex of _tables>"
    origin: str | None = None  # "https://happy-animal-123.convex.cloud"; None for files
    type: DeploymentType = DeploymentType.UNKNOWN
    type_reason: str = "nothing says which type it is"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one function of the deployment said."""

    function: str  # "monitoring/dashboard:getSystemHealth"
    value: Any  # parsed JSON
    answered_at_ms: int | None  # the answer's own `timestamp`, else None


@dataclass(frozen=True, slots=True)
class Flag:
    """One configured environment-variable flag."""

    name: str
    value: str | None  # text of the variable; None when it is not set
    changed_at_ms: float | None = None  # when it was last set, if known


@dataclass(frozen=True, slots=True)
class TableRef:
    """One table of one component."""

    component: str  # "" is the root
    name: str
    number: int | None = None  # table number, encoded in every id; None when the source does not list it


@dataclass(frozen=True, slots=True)
class TextFingerprint:
    """A pattern that a rule looks for in text, judged on arrival because text is not stored."""

    id: str  # stable: derived from table, field and pattern
    table: str
    field: str
    pattern: str  # RE2 syntax; must match the whole text


@dataclass(frozen=True, slots=True)
class DriftCount:
    """Documents of one table that differ from the preset in one way."""

    component: str
    table: str
    field: str
    kind: Literal["unknown_field", "missing_field", "mistyped", "unknown_status", "reduced_text"]
    found: str  # the type or value that was found; "" where the kind says it all
    count: int  # documents


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """What a snapshot holds of one table."""

    table: TableRef
    status: Literal["collected", "not_collected"]
    documents: int | None  # documents in the snapshot; None when not collected
    added: int = 0
    changed: int = 0
    removed: int = 0
    reason: str = ""
    forgotten: int = 0  # documents that it held and that were forgotten since: `documents` is without them


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One complete, consistent collection."""

    id: int  # 1, 2, ... in order of collection
    label: str
    deployment: Deployment
    source_kind: SourceKind
    source_label: str
    as_of_ns: int  # source time, unique within the deployment; picks the documents
    time_basis: TimeBasis
    taken_at_ms: int  # local clock
    coverage: tuple[TableCoverage, ...] = ()
    drift: tuple[DriftCount, ...] = ()
    flags: tuple[Flag, ...] = ()
    warnings: tuple[str, ...] = ()
    text_fingerprints: tuple[str, ...] = ()  # ids of the fingerprints that text was checked for on arrival

    @property
    def as_of_ms(self) -> int:
        """Source time in whole milliseconds."""
        return self.as_of_ns // 1_000_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A person's word on one document. "real" beats "test", and both beat rules."""

    id: str
    verdict: Literal["test", "real", "clear"]  # "clear" takes back what was said before
    because: str
    actor: str
    marked_at_ms: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know that is not a cause of the status."""

    id: str  # stable, e.g. "reported-differs"
    text: str  # one sentence
    details: Mapping[str, Any] = field(default_factory=dict)
