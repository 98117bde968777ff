"""A second process that looks at a share of the blocks of large tables: Python checks in one core at a time.

Blocks lie in a window, a private file that both processes map; what is said about them goes through pipes, a line of
JSON each way. The process is started when the first large table is read, and ends when its pipe does: also when this
process is killed.
"""

from __future__ import annotations

import mmap
import os
import selectors
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from analyzer.convex.checking import Counted, Order
from analyzer.convex.looking import Looked
from analyzer.convex.spools import create
from analyzer.errors import SourceError, SourceInvalid

SLOTS = 3  # one that is looked at, one that comes next, one that is on its way back
SLOT_BYTES = 1 << 20  # a larger block stays here
# It gets no environment of Python's own, and what it imports from where this process does.
_START = """
import json, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from analyzer.convex.second import main
main()
"""
_ENDED_HINT = "nothing was stored; try again, and see that there is memory for two processes"


@dataclass(frozen=True, slots=True)
class Work:
    """One table, as the second process is to look at it."""

    order: Order  # its table has its number
    recipe: bytes
    known: Sequence[str]  # digests of stretches
    spool: Path  # what it writes


class Helper:
    """A second process. Use as a context manager; it is started when it is first needed."""

    def __init__(self, folder: Path) -> None:
        """Take a private folder for the window."""
        self._path = folder / "window"
        self._process: subprocess.Popen[bytes] | None = None
        self._said = selectors.PollSelector()  # of all selectors the one that takes no descriptor
        self._window: mmap.mmap | None = None
        self._free: deque[int] = deque(range(SLOTS))
        self._given: deque[int] = deque()
        self._rest = b""
        self._answers: deque[bytes] = deque()

    @staticmethod
    def is_of_use() -> bool:
        """Return whether there is a second core, and an interpreter to start."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cores > 1 and bool(sys.executable)

    @property
    def is_running(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._said.close()
        self._close_window()
        if self._process is not None:
            self._process.kill()  # whatever it still does, nobody waits for it
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process.wait()

    def begin(self, work: Work) -> bool:
        """Start on a table; returns whether there is a second process to do it: the system may have no room for one."""
        if self._process is None:
            try:
                self._start()
            except OSError:
                self._close_window()
                return False
        shape = work.order.shape
        self._say(
            {
                "table": work.order.table,
                "fields": dict(shape.fields),
                "text_field": shape.text_field,
                "required": sorted(shape.required),
                "typed": shape.typed,
                "where": work.order.where,
                "keep_text": work.order.keep_text,
                "recipe": work.recipe.hex(),
                "known": work.known,
                "spool": str(work.spool),
            }
        )
        return True

    def give(self, first_line: int, block: bytes) -> bool:
        """Give it a block to look at; returns whether it takes it."""
        if len(block) > SLOT_BYTES:
            return False
        self._listen(wait=False)
        if not self._free:
            return False
        slot = self._free.popleft()
        self._given.append(slot)
        assert self._window is not None
        self._window[slot * SLOT_BYTES : slot * SLOT_BYTES + len(block)] = block
        self._say([slot * SLOT_BYTES, len(block), first_line])
        return True

    def found(self, *, wait: bool) -> list[Looked] | SourceError | None:
        """Return what it found in the first block that nobody asked about yet; None where it is not done."""
        while not self._answers:
            if not self._listen(wait=wait):
                return None
        answer = orjson.loads(self._answers.popleft())
        if isinstance(answer, list):
            return [_looked(*stretch) for stretch in answer]
        if "invalid" in answer:
            fact, hint = answer["invalid"]
            return SourceInvalid(fact, hint=hint)
        if "refused" in answer:
            raise OSError(*answer["refused"])
        raise RuntimeError(f"in the second process: {answer['fault']}")

    def end(self) -> None:
        """End a table: what was spooled is in its file."""
        self._say(None)
        while not self._answers:
            self._listen(wait=True)
        answer = orjson.loads(self._answers.popleft())
        if "refused" in answer:
            raise OSError(*answer["refused"])

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.close()
        self._window = None
        self._path.unlink(missing_ok=True)

    def _start(self) -> None:
        with create(self._path) as file:
            file.truncate(SLOTS * SLOT_BYTES)
        with self._path.open("r+b") as window:
            self._window = mmap.mmap(window.fileno(), SLOTS * SLOT_BYTES)
        bytecode = ["-B"] if sys.dont_write_bytecode else []
        self._process = subprocess.Popen(
            [sys.executable, "-I", *bytecode, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for this process, which then ends that one
        )
        assert self._process.stdout is not None
        self._said.register(self._process.stdout, selectors.EVENT_READ)
        self._say(sys.path)
        self._say(str(self._path))

    def _say(self, command: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(orjson.dumps(command) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _listen(self, *, wait: bool) -> bool:
        """Take on what it says; returns whether it said anything."""
        if self._process is None:
            return False
        assert self._process.stdout is not None
        if not wait and not self._said.select(0):
            return False
        heard = os.read(self._process.stdout.fileno(), 1 << 16)
        if not heard:
            raise self._ended()
        *answers, self._rest = (self._rest + heard).split(b"\n")
        for answer in answers:
            self._answers.append(answer)
            if self._given:
                self._free.append(self._given.popleft())
        return True

    def _ended(self) -> SourceError:
        assert self._process is not None
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return SourceError(f"the process that checks a share of the documents ended {how}", hint=_ENDED_HINT)


def _looked(digest: str, counted: Sequence[Any] | None) -> Looked:
    if counted is None:
        return Looked(digest, None)
    first_id, last_id, documents, newest_ms, drift, is_rising, longest_bytes = counted
    found = Counter({(field, kind, said): count for field, kind, said, count in drift})
    return Looked(digest, Counted(first_id, last_id, documents, newest_ms, found, is_rising, longest_bytes))
