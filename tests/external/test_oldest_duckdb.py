"""The oldest DuckDB that is allowed reads, writes and judges as the newest does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHAT_USES_IT = ("tests/store", "tests/queries", "tests/analysis/test_health_golden.py")

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(900)]


def oldest() -> str:
    """Return the lower bound that pyproject.toml sets."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (version,) = (found[1] for text in dependencies if (found := re.match(r"duckdb>=([\d.]+)", text)))
    return str(version)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python of its own with the oldest DuckDB in it and nothing else."""
    folder = tmp_path_factory.mktemp("oldest")
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    install: list[str | Path] = [
        found,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-deps",
        f"duckdb=={oldest()}",
    ]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"duckdb {oldest()} cannot be installed: {(done.stderr.strip() or 'pip failed').splitlines()[-1]}")
    return found


def test_store_queries_and_recorded_health_cases_hold_with_the_oldest_duckdb(python: Path) -> None:
    # Everything else comes from this environment. Folders on PYTHONPATH go before those of the new one, so the
    # DuckDB in it is put first of all.
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    shared = [path for path in sys.path if path.endswith("site-packages")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([own, str(ROOT), *shared])}
    used = subprocess.run(
        [python, "-c", "import duckdb; print(duckdb.__version__)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert used.stdout.strip() == oldest()
    tests: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not external",
        *WHAT_USES_IT,
    ]
    done = subprocess.run(tests, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\d+ passed", done.stdout)
