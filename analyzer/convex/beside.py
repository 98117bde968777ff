"""Something done beside something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

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
