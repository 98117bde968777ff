"""The notebooks: short, without code of their own, and their committed outputs are what the code gives today."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

import analyzer
from analyzer import api

FOLDER = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(FOLDER))

import build  # noqa: E402

NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> Any:
    return nbformat.read(FOLDER / name, as_version=4)


def code(book: Any) -> str:
    return "\n".join(cell["source"] for cell in book["cells"] if cell["cell_type"] == "code")


def shown(book: Any) -> list[list[str]]:
    """Return the text of every output, by cell; drawings are compared by their being there."""
    found = []
    for cell in book["cells"]:
        outputs = cell.get("outputs", [])
        assert not [output for output in outputs if output["output_type"] in ("error", "stream")], outputs
        texts = [re.sub(r" at 0x[0-9a-f]+", "", str(o["data"].get("text/plain", ""))) for o in outputs]
        found.append([f"{text} {sorted(o['data'])}" for text, o in zip(texts, outputs, strict=True)])
    return found


def test_every_notebook_that_is_written_is_committed_and_the_other_way_round() -> None:
    assert sorted(build.NOTEBOOKS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_short_and_holds_no_function_and_no_sql(name: str) -> None:
    book = read(name)
    assert len(book["cells"]) <= 15
    assert not re.search(r"\bdef\b|\blambda\b|\bselect\b|\bfrom stg_", code(book), re.IGNORECASE)
    assert not re.search(r"\banalyzer\.(?!ipynb)[a-z]+\.|from analyzer", code(book))


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_names_the_snapshot_and_the_last_states_the_finding(name: str) -> None:
    cells = read(name)["cells"]
    label = re.search(r'SNAPSHOT = "([^"]+)"', cells[1]["source"])
    assert label and label[1] in cells[0]["source"]
    assert cells[-1]["cell_type"] == "markdown" and cells[-1]["source"].startswith("## Finding")


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_cells_are_those_that_are_written(name: str) -> None:
    written = build.notebook(build.NOTEBOOKS[name])
    assert [cell["source"] for cell in read(name)["cells"]] == [cell["source"] for cell in written["cells"]]
    assert [cell["id"] for cell in read(name)["cells"]] == [cell["id"] for cell in written["cells"]]


@pytest.mark.external
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:zmq")
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom_and_shows_what_was_committed(name: str) -> None:
    book = build.run(build.notebook(build.NOTEBOOKS[name]), FOLDER)
    assert shown(book) == shown(read(name))


def test_the_public_names_are_the_same_in_both_places_and_each_is_explained() -> None:
    assert sorted(analyzer._PUBLIC) == sorted(api.__all__)
    for name in api.__all__:
        assert getattr(analyzer, name) is getattr(api, name)
        assert getattr(api, name).__doc__


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'purge_everything'"):
        analyzer.purge_everything  # noqa: B018
