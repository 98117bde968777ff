"""The shape of the code: arrows of import, one door per dependency, and what a command loads."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer import cli
from tests.support import collected_case, golden_cases

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "analyzer"
HEAVY = (
    "pandas",
    "matplotlib",
    "scipy",
    "httpx",
    "duckdb",
    "numpy",
    "orjson",
    "rich",
    "jinja2",
    "stamina",
    "pyspark",
    "sqlglot",
)
NETWORK = ("httpx", "socket", "http.client", "requests")

# What a command may load to do its work; asking for its help may load none of it.
DOORS = {
    "duckdb": ("analyzer/store/",),
    "matplotlib": ("analyzer/report/",),
    **dict.fromkeys(NETWORK, ("analyzer/convex/wire.py", "analyzer/convex/lanes.py")),
    "urllib.request": ("analyzer/convex/urls.py",),  # knows which hosts the user's no_proxy means; opens nothing
    "filelock": ("analyzer/store/",),
    "pyspark": ("analyzer/spark/session.py",),
    "py4j": ("analyzer/spark/session.py",),
    "sqlglot": ("analyzer/spark/dialect.py", "analyzer/spark/mending.py"),
    "time": ("analyzer/clock.py",),
}
READS_OF_THE_CLOCK = {"now", "utcnow", "today"}


@functools.cache
def modules() -> list[tuple[str, ast.Module]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("dependency", list(DOORS))
def test_each_dependency_has_one_door(dependency: str) -> None:
    strays = [
        path
        for path, tree in modules()
        if any(is_within(name, dependency) for name in imported(tree)) and not path.startswith(DOORS[dependency])
    ]
    assert not strays


def test_only_the_clock_module_reads_the_clock() -> None:
    strays = [
        f"{path}:{node.lineno}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in READS_OF_THE_CLOCK
        and isinstance(node.value, ast.Name | ast.Attribute)
        and ast.unparse(node.value).split(".")[-1] in ("datetime", "date")
    ]
    assert not strays


def test_only_the_configuration_reads_the_environment() -> None:
    strays = [
        f"{path}:{node.lineno}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "expandvars"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and node.names[0].name in ("environ", "getenv"))
        if path != "analyzer/config/__init__.py"
    ]
    assert not strays


def test_arrows_of_import_only_go_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_every_module_lies_in_a_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layered = {name.strip() for layer in contracts[0]["layers"] for name in layer.split("|")}
    tops = {f"analyzer.{path.stem}" for path in PACKAGE.glob("*.py")}
    tops |= {f"analyzer.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert tops - {"analyzer.__init__", "analyzer.__main__"} == layered


def test_no_file_and_no_function_grows_past_reading() -> None:
    long = [path for path, tree in modules() if tree.body and (tree.body[-1].end_lineno or 0) > 400]
    long += [
        f"{path}:{node.name}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.body[0].lineno > 60
    ]
    assert not long


def loaded_by(*words: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after a command line."""
    code = (
        "import sys\nfrom analyzer import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return set(done.stderr.split())


def test_help_loads_click_and_nothing_of_ours_but_the_list_of_commands() -> None:
    loaded = loaded_by("--help")
    assert "click" in loaded
    assert {name for name in loaded if is_within(name, "analyzer")} == {"analyzer", "analyzer.cli", "analyzer.errors"}
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_help_of_a_command_loads_that_command_and_nothing_heavy(name: str) -> None:
    loaded = loaded_by(name, "--help")
    assert cli.COMMANDS[name].split(":")[0] in loaded
    assert not loaded & set(HEAVY)


def test_who_reads_a_store_loads_nothing_of_what_it_is_written_with(tmp_path: Path) -> None:
    loaded = loaded_by("health", "--db", str(tmp_path / "none.duckdb"))
    assert "analyzer.store" in loaded
    rooms = {"incoming", "ingest", "promoting", "snapshotting", "staged", "stretches"}
    assert not loaded & {f"analyzer.store.{room}" for room in rooms}
    assert not loaded & {"analyzer.model.sources", "analyzer.model.results"}


def test_who_talks_to_a_deployment_loads_no_library_for_terminals(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    key = tmp_path / "key"
    key.write_text("prod:happy-animal-123|eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w")
    key.chmod(0o600)
    loaded = loaded_by("collect", "--url", "http://127.0.0.1:9", "--key-file", str(key), "--max-time", "1s")
    assert "httpx" in loaded
    assert not loaded & {"rich", "pygments"}


def test_an_answer_about_health_loads_nothing_that_it_has_no_use_for(tmp_path: Path) -> None:
    store = collected_case(next(iter(golden_cases().values())), tmp_path)
    loaded = loaded_by("health", "--db", str(store))
    assert "analyzer.report.health_text" in loaded  # it got to the end
    assert not loaded & (set(HEAVY) - {"duckdb"})
    assert not loaded & {"analyzer.analysis.prices", "analyzer.report.health_json"}
    assert "importlib.readers" not in loaded  # what importlib.resources needs to find a folder that lies beside us
