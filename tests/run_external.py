"""Run the tests that need more than Python: install what can be installed, and say what was left out and why.

Never fails for what cannot be installed; fails where a test fails.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys

import pytest

PACKAGES = {  # program -> Debian package
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "java": "default-jre-headless",
    "node": "nodejs",
    "npm": "npm",
}
PATIENCE_S = 900  # for one package, its downloads included


class Needs:
    """Notes which programs the collected tests need."""

    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = {}  # program -> tests; "" for tests that name none

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the markers of what is left after deselection."""
        for item in session.items:
            for marker in item.iter_markers("external"):
                for program in marker.args or ("",):
                    self.tests.setdefault(program, []).append(item.nodeid)


def collected() -> Needs:
    needs = Needs()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(["-m", "external", "--collect-only", "-q"], plugins=[needs])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(said.getvalue())
    return needs


def installed(program: str) -> str:
    """Install a program if it is missing. Returns "" or why it cannot be had."""
    if shutil.which(program):
        return ""
    if program not in PACKAGES or not shutil.which("apt-get") or os.geteuid() != 0:
        return "it is not installed; as root on Debian it would be"
    print(f"installing {program} (apt-get install {PACKAGES[program]})", flush=True)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", PACKAGES[program]]):
        try:
            done = subprocess.run(
                ["apt-get", "--quiet", *command],
                env=os.environ | quiet,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"apt-get {command[0]} took more than {PATIENCE_S} s"
        if done.returncode != 0:
            return f"apt-get {command[0]}: {(done.stderr.strip() or 'failed').splitlines()[-1]}"
    return "" if shutil.which(program) else "its package does not bring it"


def main() -> int:
    needs = collected()
    if not needs.tests:
        print("no test is marked external: nothing to run")
        return 0
    missing = {program: why for program in needs.tests if program and (why := installed(program))}
    jobs = ["-n", os.environ.get("JOBS", "2"), "--dist", "worksteal", "--durations", "15"]
    code = subprocess.run([sys.executable, "-m", "pytest", "-m", "external", *jobs], check=False).returncode
    for program, why in missing.items():
        print(f"not run for want of {program}: {why}")
        print("".join(f"    {test}\n" for test in needs.tests[program]), end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
