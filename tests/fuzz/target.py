"""What a target of fuzzing is, and the one promise that all of them keep."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analyzer.errors import AnalyzerError


class BrokenPromiseError(Exception):
    """An input was answered by something else than a sound value or one error with a hint."""


@dataclass(frozen=True)
class Target:
    """One reader of foreign bytes."""

    name: str
    reads: Callable[[bytes], None]  # raises AnalyzerError for what it does not take; asserts that the rest is sound
    seeds: Callable[[], Sequence[bytes]]  # good input to start from
    modules: tuple[str, ...]  # files under analyzer/ whose covered lines are counted

    def check(self, data: bytes) -> bool:
        """Feed one input; return whether it was taken.

        raises  BrokenPromiseError; and whatever else the reader lets through
        """
        try:
            self.reads(data)
        except AnalyzerError as error:
            fact, hint = str(error), error.hint
            if not fact or not hint or not _is_one_line(fact) or not _is_one_line(hint):
                raise BrokenPromiseError(f"{type(error).__name__}: {fact!r}, hint {hint!r}") from error
            return False
        return True


def _is_one_line(text: str) -> bool:
    """Tell whether a terminal shows text as it is: no line break, escape, change of direction or half a character."""
    return all(character.isprintable() or unicodedata.category(character) == "Zs" for character in text)


@cache
def scratch() -> Path:
    """Return the folder of this process for files that a reader opens by name; in memory where that is possible."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="analyzer-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def saved(name: str, data: bytes) -> Path:
    """Write an input where a reader that opens files finds it."""
    path = scratch() / name
    path.write_bytes(data)
    return path
