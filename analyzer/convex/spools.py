"""Files that hold what is being collected, for their owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


def create(path: Path) -> IO[bytes]:
    """Make a file that does not exist yet."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
