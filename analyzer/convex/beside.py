"""Something done beside something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """Runs a call in a thread at once; whoever needs its outcome waits for it, and whoever leaves does not."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._found: list[T] = []
        self._error: BaseException | None = None
        # An event: a thread that somebody was interrupted at waiting for cannot be joined again.
        self._is_over = threading.Event()
        # A daemon: an interrupt is not held up by an answer that is still under way.
        threading.Thread(target=self._run, daemon=True).start()

    def result(self) -> T:
        """Return what the call returned, or raise what it raised."""
        self._is_over.wait()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def is_over(self) -> bool:
        """Tell whether there is an outcome."""
        return self._is_over.is_set()

    def wait(self) -> None:
        """Wait until the call is over, whatever came of it."""
        self._is_over.wait()

    def _run(self) -> None:
        try:
            self._found.append(self._call())
        except BaseException as error:  # raised again where it is asked for
            self._error = error
        finally:
            self._is_over.set()


class Hand:
    """One thread that does one thing after the other, each to its end: an interrupt breaks off only who waits for it.

    A thread for each would not do: interrupted while it starts one, nobody knows whether it runs.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Any, BaseException | None] | None] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def do(self, call: Callable[[], T]) -> T:
        """Return what the call returned, or raise what it raised."""
        self._asked.put(call)
        outcome = self._done.get()
        assert outcome is not None
        found: T
        found, error = outcome
        if error is not None:
            raise error
        return found

    def end(self) -> None:
        """Wait until everything is done that was asked for, whatever came of it."""
        self._asked.put(None)
        while self._done.get() is not None:
            pass

    def _run(self) -> None:
        while (call := self._asked.get()) is not None:
            try:
                self._done.put((call(), None))
            except BaseException as error:  # raised again by `do`
                self._done.put((None, error))
        self._done.put(None)
