"""Tells which stretches of a table are byte for byte what an earlier export held, so that only the others are read.

An export lists documents by id. A stretch is a run of whole lines up to one whose id ends as only one in 64 does, so
where stretches begin depends on ids alone: a document that changed, came or went touches its own stretch and no other.
Of each there is a SHA-256 over its lines and over all that decides what is kept of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

import orjson

from analyzer.convex import ids
from analyzer.convex.spools import create
from analyzer.model import Gap, Stretch

MAX_BYTES = 8 << 20  # of a stretch, where ids are no ids and end nowhere
_ID = b'"_id":"'
_TAIL = slice(ids.USUAL_LENGTH - 2, ids.USUAL_LENGTH)  # of an id, the end of its checksum
_ENDS = frozenset(f"{first}0".encode() for first in ids.ALPHABET[:16])


class OutOfOrderError(Exception):
    """Documents do not rise by id where an earlier export's did: what it says about them cannot be used."""


def whole(blocks: Iterator[tuple[int, list[bytes]]]) -> Iterator[tuple[int, list[bytes], list[int]]]:
    """Group lines anew so that no stretch is cut; yields the number of the first, lines, and where stretches end."""
    waiting: list[bytes] = []
    number, size = 1, 0
    for first_line, lines in blocks:
        if not waiting:
            number = first_line
        at = len(waiting)
        ends = [at + end for end in _ends(lines)]
        waiting = waiting + lines
        size += sum(map(len, lines))
        if not ends and size > MAX_BYTES:
            ends = [len(waiting)]
        if ends:
            yield number, waiting[: ends[-1]], ends
            number += ends[-1]
            waiting = waiting[ends[-1] :]
            size = sum(map(len, waiting))
    if waiting:
        yield number, waiting, [len(waiting)]


def _ends(lines: Sequence[bytes]) -> list[int]:
    first, last = len(_ID) + _TAIL.start, len(_ID) + _TAIL.stop
    return [
        position
        for position, line in enumerate(lines, start=1)
        if line[(at := line.find(_ID)) + first : at + last] in _ENDS
    ]


class Register:
    """The stretches of one table, in order, as they are found. Use as a context manager.

    gaps      ranges of ids that earlier stretches do not answer for; None: there are no earlier ones
    is_whole  whether ids rise from the first to the last
    """

    def __init__(self, path: Path, known: Sequence[Stretch], recipe: bytes) -> None:
        """Start without any.

        path    file that they are written to, NDJSON
        known   those of the earlier export, in its order
        recipe  all that decides what is kept of a document
        """
        self.gaps: list[Gap] | None = [] if known else None
        self.is_whole = True
        self._file = create(path)
        self._known = {stretch.digest: (position, stretch) for position, stretch in enumerate(known)}
        self._recipe = recipe
        self._next_position = 0  # of the earlier stretch that would follow without a gap
        self._known_until = ""
        self._last_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def digest(self, lines: Sequence[bytes]) -> str:
        """Return what tells the stretch of these lines from any other."""
        return hashlib.sha256(self._recipe + b"\n".join(lines)).hexdigest()

    def known(self, digest: str) -> Stretch | None:
        """Return the earlier stretch with the very same lines."""
        found = self._known.get(digest)
        return None if found is None else found[1]

    def add(self, stretch: Stretch) -> None:
        """Take the next one on, an earlier one or a new one.

        raises  OutOfOrderError where earlier ones are in use and ids do not rise
        """
        found = self._known.get(stretch.digest)
        if stretch.first_id <= self._last_id or not self.is_whole:
            self.is_whole = False
            if self._known:
                raise OutOfOrderError
            return
        if self.gaps is not None and found is not None:
            if found[0] != self._next_position:
                self.gaps.append(Gap(self._known_until, stretch.first_id))
            self._next_position, self._known_until = found[0] + 1, stretch.last_id
        elif found is None:
            self._next_position = -1
        self._last_id = stretch.last_id
        self._file.write(orjson.dumps(_row(stretch)) + b"\n")

    def finish(self) -> None:
        """Close the last gap."""
        if self.gaps is not None and self._next_position != len(self._known):
            self.gaps.append(Gap(self._known_until, None))


def spans(ends: Sequence[int]) -> list[tuple[int, int]]:
    """Return where each stretch begins and ends."""
    return list(pairwise([0, *ends]))


def _row(stretch: Stretch) -> dict[str, object]:
    return {
        "digest": stretch.digest,
        "first_id": stretch.first_id,
        "last_id": stretch.last_id,
        "document_count": stretch.documents,
        "newest_creation_ms": stretch.newest_creation_ms,
        "drift_json": orjson.dumps(stretch.drift).decode(),
    }
