"""`make demo-live`: a rollout played to a stand-in, watched over a real socket, and explained at its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.external
def test_the_watch_sees_the_rollout_and_explains_what_the_tests_left(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.deployment.rehearsal", "--out", str(tmp_path), "--minutes", "51"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "Ours, not the product's: only leftovers of our own tests make it degraded." in done.stdout
    assert "16 left by a test helper" in done.stdout
    assert "of setting 4 variables: caches were emptied, no regression" in done.stdout
    failed = [line for line in done.stderr.splitlines() if " failed: " in line]
    assert len(failed) == 1 and "tick 16" in failed[0]
    assert "tick 18: snapshot 17" in done.stderr
    assert (tmp_path / "health-live.png").read_bytes().startswith(b"\x89PNG")
