"""Tells which stretches of a table are byte for byte what an earlier export held, so that only the others are read.

An export lists documents by id. A stretch is a run of whole lines up to one whose id ends as only one in 64 does, so
where stretches begin depends on ids alone: a document that changed, came or went touches its own stretch and no other.
Of each there is a SHA-256 over its lines and over all that decides what is kept of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
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


def ends(lines: Sequence[bytes]) -> list[int]:
    """Return where the stretches of a block end, in lines; the last one at its end."""
    first, last = len(_ID) + _TAIL.start, len(_ID) + _TAIL.stop
    found = [
        position
        for position, line in enumerate(lines, start=1)
        if line[(at := line.find(_ID)) + first : at + last] in _ENDS
    ]
    return found if found and found[-1] == len(lines) else [*found, len(lines)]


def last_end(block: bytes, start: int, end: int) -> int:
    """Return where the last stretch ends among some lines of a block; 0 where none does, so that it goes on.

    Together with `analyzer.convex.lines.blocks` it divides lines so that no stretch is cut.
    """
    stop = end
    while stop > start:
        begun = block.rfind(b"\n", start, stop - 1) + 1 or start
        line = block[begun:stop]
        at = line.find(_ID) + len(_ID)
        if line[at + _TAIL.start : at + _TAIL.stop] in _ENDS:
            return stop
        stop = begun
    return end if end > MAX_BYTES else 0


def digests(recipe: bytes, lines: Sequence[bytes], ends: Sequence[int]) -> list[str]:
    """Return what tells each stretch of a block from any other.

    recipe  all that decides what is kept of a document
    """
    begun = hashlib.sha256(recipe)
    found = []
    for start, end in pairwise([0, *ends]):
        stretch = begun.copy()
        stretch.update(b"\n".join(lines[start:end]))
        found.append(stretch.hexdigest())
    return found


class Register:
    """The stretches of one table, in order, as they are found. Use as a context manager.

    gaps      ranges of ids that earlier stretches do not answer for; None: there are no earlier ones
    is_whole  whether ids rise from the first to the last
    """

    def __init__(self, path: Path, known: Sequence[Stretch]) -> None:
        """Start without any.

        path   file that they are written to, NDJSON
        known  those of the earlier export, in its order
        """
        self.gaps: list[Gap] | None = [] if known else None
        self.is_whole = True
        self._file = create(path)
        self._known = {stretch.digest: (position, stretch) for position, stretch in enumerate(known)}
        self._next_position = 0  # of the earlier stretch that would follow without a gap
        self._known_until = ""
        self._last_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def digests(self) -> Collection[str]:
        """What tells the earlier stretches."""
        return self._known.keys()

    def known(self, digest: str) -> Stretch:
        """Return the earlier stretch with the very same lines."""
        return self._known[digest][1]

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


def _row(stretch: Stretch) -> dict[str, object]:
    return {
        "digest": stretch.digest,
        "first_id": stretch.first_id,
        "last_id": stretch.last_id,
        "document_count": stretch.documents,
        "newest_creation_ms": stretch.newest_creation_ms,
        "drift_json": orjson.dumps(stretch.drift).decode(),
    }
