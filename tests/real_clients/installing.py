"""Installs a client with its own package manager, or says why it cannot."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PATIENCE_S = 500


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, patience_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a program without a terminal and without the variables that would lead it to another deployment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONVEX")}
    return subprocess.run(
        list(command),
        cwd=cwd,
        env=clean | dict(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience_s,
        check=False,
    )


def install(command: Sequence[str], cwd: Path) -> None:
    """Run an installation; skip the test where the registry cannot serve it."""
    try:
        done = run(command, cwd=cwd, patience_s=PATIENCE_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{Path(command[0]).name} took more than {PATIENCE_S} s")
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        why = [line for line in said if "complete log" not in line] or said
        pytest.skip(f"{Path(command[0]).name} could not install {command[-1]}: {why[-1]}")
