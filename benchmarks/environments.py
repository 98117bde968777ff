"""Environments of their own for the tools that are measured beside us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.context import LeftOutError


def installed(folder: Path, package: str) -> Path:
    """Install a package and what it needs into a new environment; returns the folder of its programs.

    raises  LeftOutError where it cannot be installed
    """
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", package]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LeftOutError(f"{package} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "bin"
