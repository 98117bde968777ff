"""What the second process does, see `analyzer.convex.sharing`: looks at the blocks that it is given, one by one."""

from __future__ import annotations

import gc
import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from analyzer.convex.checking import Checking, Order
from analyzer.convex.looking import Looked, look
from analyzer.errors import SourceInvalid
from analyzer.model import TableRef, TableShape


def main() -> None:
    """Answer the commands on standard input until it ends: whoever gave them is done, or dead."""
    gc.disable()  # parsed values have no cycles
    commands, answers = sys.stdin.buffer, sys.stdout.buffer
    with Path(orjson.loads(commands.readline())).open("rb") as file:
        window = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with suppress(BrokenPipeError):
        serve(commands, answers, window)
    os._exit(0)  # without a word about a pipe that nobody reads any more


def serve(commands: BinaryIO, answers: BinaryIO, window: mmap.mmap) -> None:
    """Answer each command by one line."""
    desk = Desk(window)
    for command in commands:
        try:
            answer = desk.obey(orjson.loads(command))
        except SourceInvalid as problem:
            answer = {"invalid": [str(problem), problem.hint]}
        except OSError as problem:
            answer = {"refused": [problem.errno, problem.strerror]}
        except Exception as problem:
            answer = {"fault": f"{type(problem).__name__}: {problem}"}
        if answer is not None:
            answers.write(orjson.dumps(answer) + b"\n")
            answers.flush()


class Desk:
    """One table after the other."""

    def __init__(self, window: mmap.mmap) -> None:
        self._window = window
        self._checking: Checking | None = None
        self._recipe, self._known = b"", frozenset[str]()

    def obey(self, command: Any) -> Any:
        """Begin a table (an object), look at a block (a list), or end the table (null); returns the answer, if any."""
        if isinstance(command, dict):
            self._begin(command)
            return None
        assert self._checking is not None
        if command is None:
            self._checking.__exit__()
            return {"ended": True}
        start, size, first_line = command
        found = look(self._checking, self._recipe, self._known, first_line, self._window[start : start + size])
        return [_told(looked) for looked in found]

    def _begin(self, command: dict[str, Any]) -> None:
        shape = TableShape(
            command["fields"], command["typed"], command["text_field"], required=frozenset(command["required"])
        )
        order = Order(TableRef(**command["table"]), shape, command["where"], command["keep_text"])
        self._recipe, self._known = bytes.fromhex(command["recipe"]), frozenset(command["known"])
        self._checking = Checking(order, Path(command["spool"]))


def _told(looked: Looked) -> tuple[str, tuple[object, ...] | None]:
    counted = looked.counted
    if counted is None:
        return looked.digest, None
    drift = [(*item, count) for item, count in counted.drift.items()]
    return looked.digest, (
        counted.first_id,
        counted.last_id,
        counted.documents,
        counted.newest_ms,
        drift,
        counted.is_rising,
        counted.longest_bytes,
    )
