"""What all tests share: repeatable property tests, and external parts that may be missing."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: a busy machine is no failure. The same examples every time: a failure is one for everybody.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell: processes would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test marked `external("chromium", ...)` where one of its programs is missing."""
    for marker in item.iter_markers("external"):
        for program in marker.args:
            if shutil.which(program) is None:
                pytest.skip(f"needs {program}, which is not installed")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, so that no configuration is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANALYZER_DB", raising=False)
