"""Results into files that the user named: whole or not at all, and never through a link that somebody else laid."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from analyzer.errors import AnalyzerError, UsageError
from analyzer.units import visible


def save(path: Path, content: bytes) -> None:
    """Write a result: whoever reads the file, or a crash, meets the old one or the new one whole.

    A symbolic link is not followed. Devices and pipes are written to as they are.

    raises  UsageError for a link; AnalyzerError when it cannot be written
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        if path.is_symlink():
            raise UsageError(
                f"{visible(str(path))} is a symbolic link", hint="name the file itself: links are not written through"
            )
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(content)
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    except OSError as problem:
        said = problem.strerror or str(problem)
        raise AnalyzerError(f"cannot write {visible(str(path))}: {said}", hint="name another file") from None
