"""Processes that do the work and may be killed at it: forked early, while the process is still without threads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from analyzer.errors import AnalyzerError

LIMIT_S = 180.0  # a piece of work that takes longer hangs


@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended."""

    kind: str  # "done", "refused" (an error of the tool: one line, an exit code), "killed", "fault"
    value: Any = None
    text: str = ""
    took_s: float = 0.0


class Hand:
    """A process that waits for work. Make all of a run's hands before anything starts a thread."""

    def __init__(self) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if not self.pid:
            _serve(theirs)
        theirs.close()

    def start(self, work: Callable[..., Any], *args: Any) -> None:
        """Give it work."""
        self._ours.send((work, args))

    def finish(self, kill_after_s: float | None = None) -> Outcome:
        """Wait for the work, or kill the process in the middle of it; it is gone afterwards either way."""
        started_s = time.monotonic()
        try:
            if not self._ours.poll(LIMIT_S if kill_after_s is None else kill_after_s):
                os.kill(self.pid, signal.SIGKILL)
                return Outcome("killed") if kill_after_s is not None else Outcome("fault", text="it hangs")
            kind, value, text = self._ours.recv()
            return Outcome(kind, value, text, time.monotonic() - started_s)
        except EOFError:
            return Outcome("fault", text="the process ended without a word")
        finally:
            self.close()

    def do(self, work: Callable[..., Any], *args: Any, kill_after_s: float | None = None) -> Outcome:
        """Give it work and wait."""
        self.start(work, *args)
        return self.finish(kill_after_s)

    def close(self) -> None:
        """End the process."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
            self._ours.close()


def _serve(pipe: Connection) -> None:
    try:
        work, args = pipe.recv()
        try:
            answer = ("done", work(*args), "")
        except AnalyzerError as refused:
            answer = ("refused", type(refused).__name__, str(refused))
        except BaseException:
            answer = ("fault", None, traceback.format_exc())
        pipe.send(answer)
    finally:
        os._exit(0)
