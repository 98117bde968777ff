"""Pages that say what the code is: errors, layers and doors."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from analyzer import errors
from analyzer.cli import failure
from tests.test_architecture import DOORS

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    section = text.split(f"## {heading}\n")[1].partition("\n## ")[0]
    found = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found[2:]]


def classes() -> dict[str, type[errors.AnalyzerError]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.AnalyzerError)
    }


def test_every_error_class_has_a_row_with_its_code_a_cause_and_a_cure() -> None:
    told = {cells[0].strip("`"): cells[1:] for cells in rows(page("errors.md"), "Classes")}
    assert {name: found[0] for name, found in told.items()} == {
        name: str(found.exit_code) for name, found in classes().items()
    }
    assert all(cause and cure for _, cause, cure in told.values())


def test_the_tree_of_errors_in_their_own_module_is_complete() -> None:
    drawn = re.findall(r"(\w+) {2,}exit (\d)", errors.__doc__ or "")
    assert dict(drawn) == {name: str(found.exit_code) for name, found in classes().items()}


def test_every_exit_code_has_a_row_with_a_cause_and_a_cure_there_and_in_readme() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")} | {failure.EXIT_BROKEN_PIPE}
    told = rows(page("errors.md"), "Exit codes")
    assert [int(cells[0]) for cells in told] == sorted(codes)
    assert all(cause and cure for _, cause, cure in told)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [int(cells[0]) for cells in rows(readme, "Exit codes")] == sorted(codes)


def test_the_layers_of_the_page_are_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    drawn = page("architecture.md").split("```text\n")[2].split("```")[0]
    layers = [re.split(r"\s{2,}", line)[0].split(" | ") for line in drawn.splitlines()]
    wanted = [[name.strip().removeprefix("analyzer.") for name in row.split("|")] for row in contracts[0]["layers"]]
    assert layers == wanted
    assert [cells[0] for cells in rows(page("architecture.md"), "Layers")] == [c["name"] for c in contracts[1:]]


def test_the_doors_of_the_page_are_those_that_are_tested() -> None:
    told = {cells[0]: cells[1].strip("`") for cells in rows(page("architecture.md"), "Doors")}
    assert [f"analyzer/{told['DuckDB']}"] == list(DOORS["duckdb"])
    assert [f"analyzer/{told['matplotlib']}"] == list(DOORS["matplotlib"])
    assert [f"analyzer/{file}" for file in told["the network"].split("`, `")] == list(DOORS["httpx"])
    assert [f"analyzer/{told['the clock']}"] == list(DOORS["time"])


def test_every_variable_that_is_read_stands_in_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "analyzer").rglob("*.py"))
    names = set(re.findall(r'"((?:ANALYZER|CONVEX)_[A-Z_]*[A-Z]|NO_COLOR)"', code))
    assert names and all(f"`{name}`" in readme for name in names), sorted(n for n in names if f"`{n}`" not in readme)


def test_every_link_between_pages_leads_somewhere() -> None:
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
