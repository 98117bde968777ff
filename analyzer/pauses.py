"""What long work asks of Python itself: which of its pauses to leave out, and how long its turns are."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycles_sought() -> Iterator[None]:
    """Keep Python from looking for cycles in what is kept anyway: a third of the time of millions of parsed values."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def quick_turns(turn_s: float = 0.0005) -> Iterator[None]:
    """Let a thread that reads from the network have its turn soon: each piece of an answer waits for one."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(turn_s)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
