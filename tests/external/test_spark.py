"""Spark gives the same rows as DuckDB, query by query; and the command line reaches it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer import exported, sql

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.external("java", "make"), pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def python() -> Path:
    """Return the Python of an environment with the extra `spark`, made once and kept in the checkout."""
    make = ["make", "--no-print-directory", f"PYTHON={sys.executable}", ".venv-spark/.locked"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pyspark cannot be installed: {(done.stderr.strip() or 'make failed').splitlines()[-1]}")
    return ROOT / ".venv-spark" / "bin" / "python"


def test_every_query_gives_the_same_rows_on_both_engines(python: Path) -> None:
    done = subprocess.run([python, "-m", "tests.spark.compare"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    for name in sql.names():
        why = exported.why_not(sql.load(name))
        assert (f"refused: {why}" if why else " same, ") in lines[name]


def test_the_command_prints_the_same_with_either_engine(python: Path, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "ANALYZER_DB"}
    environment["PYTHONPATH"] = str(ROOT)

    def analyzer(*words: str) -> str:
        command: list[str | Path] = [python, "-m", "analyzer", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    analyzer("collect", str(next((ROOT / "data" / "demo").glob("06-*"))))
    analyzer("export", "--parquet", "export")
    query = ("query", "health/counts", "--format", "csv")
    on_spark = analyzer(*query, "--engine", "spark", "--parquet", (tmp_path / "export").as_uri())
    assert on_spark == analyzer(*query)
