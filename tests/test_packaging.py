"""What ships: the sdist, the wheel built from it, and that wheel at work in an environment and folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from analyzer import __version__, sql

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ANALYZER_"))}
    done = subprocess.run(command, cwd=cwd, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from the sdist, without asking any registry."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel beside the dependencies of this environment; returns the script."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    (wheel,) = dist.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=home)
    (packages,) = home.glob("lib/python*/site-packages")
    # a plain path: the .pth files over there, an editable install of this project among them, are not read
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin" / "analyzer"


def shipped_files() -> set[str]:
    queries = {f"analyzer/{path.relative_to(ROOT)}" for path in (ROOT / "queries").rglob("*.sql")}
    presets = {str(path.relative_to(ROOT)) for path in (ROOT / "analyzer" / "presets").rglob("*.toml")}
    demo_folder = ROOT / "data" / "demo"
    demo_files = [path for path in demo_folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    demo = {f"analyzer/demo/{path.relative_to(demo_folder)}" for path in demo_files}
    assert queries and presets and demo
    return queries | presets | demo


def test_the_wheel_holds_every_query_every_preset_and_the_demo(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert shipped_files() <= names
    assert not [name for name in names if name.startswith(("tests/", "queries/", "data/")) or "__pycache__" in name]


def test_the_sdist_holds_what_it_takes_to_test_it(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in ("Makefile", "README.md", "requirements/dev.txt", "tests/test_packaging.py", "pyproject.toml"):
        assert wanted in names
    assert "queries/staging/stg_messages.sql" in names
    assert not [name for name in names if name.endswith((".duckdb", ".pyc"))]


def test_the_installed_script_answers_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed, "--version", cwd=tmp_path) == f"analyzer {__version__}\n"
    assert "explain" in run(installed, "--help", cwd=tmp_path)


def test_the_installed_package_lists_the_same_queries(installed: Path, tmp_path: Path) -> None:
    code = "import json, analyzer, analyzer.sql as s; print(json.dumps([analyzer.__file__, s.names()]))"
    file, names = json.loads(run(installed.with_name("python"), "-c", code, cwd=tmp_path))
    assert Path(file).is_relative_to(installed.parents[1])
    assert names == sql.names()
    shown = run(installed, "query", cwd=tmp_path)
    assert all(name in shown for name in names)


def test_the_installed_package_explains_a_recording_of_its_own_demo(installed: Path, tmp_path: Path) -> None:
    code = "from analyzer.flows import demo; print(demo.folder())"
    demo = Path(run(installed.with_name("python"), "-c", code, cwd=tmp_path).strip())
    assert demo.is_relative_to(installed.parents[1])
    (recording,) = demo.glob("*-after-tests-*")
    run(installed, "collect", recording, cwd=tmp_path)
    shown = run(installed, "explain", "--exit-zero", cwd=tmp_path)
    assert "raw DEGRADED, reported degraded, without tests HEALTHY" in shown
