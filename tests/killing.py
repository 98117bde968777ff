"""Killing a real process somewhere in its work."""

from __future__ import annotations

import subprocess
import threading
from typing import Any


def end_of(process: subprocess.Popen[Any], *, killed_after_s: float) -> int:
    """Return how a process ended, which is killed after a while unless it ends by itself before."""
    # Not os.kill: the process may end, and its number be another's, in the moment before it is killed.
    killer = threading.Timer(killed_after_s, process.kill)
    killer.start()
    ended = process.wait()
    killer.cancel()
    killer.join()
    if process.stdout is not None:
        process.stdout.close()
    return ended
