"""A deployment in memory that remembers every version of every document, so that any moment can be exported."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from analyzer.convex import ids
from analyzer.convex.archive_writer import StoredFile

TableKey = tuple[str, str]  # component path, table name
Document = dict[str, Any]
NAME = "curious-heron-412"
LOCAL = timezone(timedelta(hours=-6))  # the offset in which the log is written
NUMBERS: Mapping[TableKey, int] = {
    ("", "users"): 10001,
    ("", "presence"): 10004,
    ("", "todos"): 10006,
    ("", "memories"): 10007,
    ("", "tasks"): 10009,
    ("", "chatMessages"): 10011,
    ("", "toolCalls"): 10012,
    ("", "fileChanges"): 10013,
    ("", "workflowSteps"): 10014,
    ("", "workflowTraces"): 10017,
    ("", "virtualFiles"): 10018,
    ("", "pullRequestSnapshots"): 10020,
    ("", "commandLogs"): 10021,  # never written: an empty table
    ("rateLimiter", "rateLimits"): 10002,
    ("workflow", "workflows"): 10002,  # numbers are unique within a component only
    ("workflow", "steps"): 10003,
}
STORAGE_NUMBER = 9001  # of the system table behind _storage


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> int:
    """Return a local moment of December 2025 in milliseconds since the epoch."""
    return int(datetime(2025, 12, day, hour, minute, second, tzinfo=LOCAL).timestamp()) * 1000


@dataclass
class Deployment:
    """Tables of documents, each with its versions in order of time; None stands for deleted."""

    seed: int
    history: dict[TableKey, dict[str, list[tuple[int, Document | None]]]] = field(default_factory=dict)
    files: list[StoredFile] = field(default_factory=list)
    leftovers: set[str] = field(default_factory=set)  # ids of what was written while `is_testing`
    is_testing: bool = False

    def __post_init__(self) -> None:
        self.history = {key: {} for key in NUMBERS}
        self._ids = random.Random(f"{self.seed}/ids")

    def insert(self, table: str, at_ms: float, component: str = "", **fields: Any) -> str:
        """Add a document and return its id; numbers are floats, as every number of the app is."""
        _check(fields)
        id_ = ids.encode(NUMBERS[component, table], self._ids.randbytes(16))
        created_ms = int(at_ms) + round(self._ids.random(), 4)  # a fraction keeps creation times apart
        self.history[component, table][id_] = [(int(at_ms), {"_creationTime": created_ms, "_id": id_, **fields})]
        if self.is_testing and not component:  # components keep journals of their own, which no rule knows
            self.leftovers.add(id_)
        return id_

    def patch(self, table: str, id_: str, at_ms: float, **fields: Any) -> None:
        """Change fields of a document from a moment on; a field that is None is taken away."""
        versions = self.history["", table][id_]
        last_ms, last = versions[-1]
        assert last is not None and last_ms <= at_ms, "changes come in order of time, to what is there"
        changed = {name: value for name, value in (last | fields).items() if value is not None}
        _check({name: value for name, value in changed.items() if name[0] != "_"})
        versions.append((int(at_ms), changed))

    def delete(self, table: str, id_: str, at_ms: float) -> None:
        """Delete one document; whatever refers to it stays, as in the app."""
        self.history["", table][id_].append((int(at_ms), None))

    def store_file(self, at_ms: float, content: bytes, content_type: str, extension: str) -> str:
        """Add a file and return its id."""
        id_ = ids.encode(STORAGE_NUMBER, self._ids.randbytes(16))
        internal = str(uuid.UUID(bytes=self._ids.randbytes(16), version=4))
        created_ms = int(at_ms) + round(self._ids.random(), 4)
        self.files.append(StoredFile(id_, created_ms, content, internal, content_type, extension))
        return id_

    def as_of(self, at_ms: int) -> dict[TableKey, list[Document]]:
        """Return the documents of every table as they stood at a moment, that moment included."""
        return {
            key: [found for versions in documents.values() if (found := _version(versions, at_ms)) is not None]
            for key, documents in self.history.items()
        }

    def files_as_of(self, at_ms: int) -> list[StoredFile]:
        """Return the files that were there at a moment."""
        return [file for file in self.files if file.creation_time_ms <= at_ms]


def _version(versions: list[tuple[int, Document | None]], at_ms: int) -> Document | None:
    found = None
    for from_ms, document in versions:
        if from_ms <= at_ms:
            found = document
    return found


def _check(value: Any) -> None:
    """Fail on an int: it would be written as an int64, which no field of this app is."""
    assert isinstance(value, str | bool | float | list | dict), value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check(item)
