"""What is asked at the end of a long read, asked while its last pages come.

A snapshot read by the older endpoints becomes one of a moment by the deltas behind it, and everything else is asked
about that moment. The deltas are complete up to their cursor whenever they are asked for, so they need not wait for the
last page: asked for shortly before it, they say which moment it will be, and all else is asked for while the rest of
the snapshot is read. That proves the same: all of it is of the very same moment. Where the deltas do not end there, it
is asked again about the moment at which they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from analyzer.convex.beside import Beside
from analyzer.model import TableRef

AT_ONCE = 3  # of the four requests; the pages' is the fourth, and waits for none of these
NEAR_DOCUMENTS = 12 * 1024  # still to come: as many pages as there are rounds of requests for some dozen tables
Said = TypeVar("Said")
Room = AbstractContextManager[object]


class Foresight(Protocol):
    """Whoever wants to know of the moment before the last page."""

    def documents(self) -> int | None:
        """Return about how many documents a snapshot has; None while that is not known."""

    def ends_at(self, moment_ns: int) -> None:
        """Take note of the moment of which the documents will be."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Said]):
    """What is asked about a moment."""

    moment_ns: int
    tables: Beside[tuple[TableRef, ...]]
    counts: Beside[Mapping[tuple[str, str], int]]
    said: Beside[Said]


class Early(Generic[Said]):
    """Asks about a moment as soon as it is known. See `Foresight`."""

    def __init__(
        self,
        total: Callable[[], int | None],
        tables: Callable[[Room], tuple[TableRef, ...]],
        counts: Callable[[tuple[TableRef, ...], int, Room], Mapping[tuple[str, str], int]],
        said: Callable[[int, Room], Said],
    ) -> None:
        """Prepare; nothing is asked yet. Each is told the room in which it has to make its requests."""
        self._total, self._tables, self._counts, self._said = total, tables, counts, said
        self._documents: Beside[int | None] | None = None
        self._asked: Asked[Said] | None = None

    def documents(self) -> int | None:
        """Return about how many documents there are, once that was answered; the first call asks for it."""
        if self._documents is None:
            self._documents = Beside(self._total)
        return self._documents.result() if self._documents.is_over() else None

    def ends_at(self, moment_ns: int) -> None:
        """Ask everything about a moment."""
        room = threading.BoundedSemaphore(AT_ONCE)
        tables = Beside(lambda: self._tables(room))
        counts = Beside(lambda: self._counts(tables.result(), moment_ns, room))
        self._asked = Asked(moment_ns, tables, counts, Beside(lambda: self._said(moment_ns, room)))

    def about(self, moment_ns: int | None) -> Asked[Said] | None:
        """Return what was asked about a moment; None where that was not foreseen."""
        return self._asked if self._asked is not None and self._asked.moment_ns == moment_ns else None
