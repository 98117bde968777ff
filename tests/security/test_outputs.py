"""Whoever writes documents, names or logs controls neither the operator's terminal nor page, spreadsheet or store."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from tests.report.test_report_page import Elements
from tests.security import hostile
from tests.storing import NOW_MS, make_id

NAMED = ["--deployment", hostile.NASTY]
# Every command that prints what documents, servers and logs say, in every form it has.
READING: dict[str, Sequence[str]] = {
    "state": (),
    "snapshots": ("snapshots",),
    "snapshots show": ("snapshots", "show", "1"),
    "health": ("health",),
    "health brief": ("health", "--format", "brief"),
    "health json": ("health", "--format", "json"),
    "series": ("health", "--every", "10m", "--since", str(NOW_MS - 3_600_000)),
    "explain": ("explain", "--full"),
    "explain brief": ("explain", "--format", "brief"),
    "explain json": ("explain", "--format", "json"),
    "functions": ("functions", "--window", "60m"),
    "functions csv": ("functions", "--window", "60m", "--format", "csv"),
    "functions json": ("functions", "--window", "60m", "--format", "json"),
    "artifacts": ("artifacts", "list"),
    "artifacts csv": ("artifacts", "list", "--format", "csv"),
    "artifacts json": ("artifacts", "list", "--format", "json"),
    "why": ("artifacts", "why", make_id("tasks", 2)),
    "query": ("query", "staging/stg_tasks"),
    "query csv": ("query", "staging/stg_tasks", "--format", "csv"),
    "query json": ("query", "staging/stg_tasks", "--format", "json"),
    "sql": ("query", "--sql", "select * from stg_other"),
    "sql csv": ("query", "--sql", "select * from stg_other", "--format", "csv"),
    "sql error": ("query", "--sql", f'select "{hostile.NASTY}"'),
    "checkpoint": ("rollout", "checkpoint", "T+1h"),
    "show": ("rollout", "show"),
    "plan": ("purge", "plan", "-o", "plan.json"),
    "no such snapshot": ("health", "--snapshot", hostile.NASTY),
    "no such deployment": ("health", "--deployment", hostile.NASTY + "x"),
    "no such command": (hostile.NASTY,),
    "no such file": ("collect", hostile.TERMINAL.replace("\x00", "")),
}


pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hostile")
    return {"files": hostile.files(folder), "live": hostile.live(folder)}


def run(store: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["--db", str(store), *words])


FEW = {"state", "snapshots show", "explain", "artifacts json", "functions csv", "no such deployment"}


@pytest.mark.parametrize("kind", ["files", "live"])
@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.external) for n in READING])
def test_no_command_lets_foreign_text_steer_the_terminal(name: str, kind: str, stores: dict[str, Path]) -> None:
    result = run(stores[kind], *READING[name])
    assert "internal fault" not in result.stderr, result.stderr
    assert hostile.OBEYED.findall(result.stdout + result.stderr) == []


@pytest.mark.external
@pytest.mark.parametrize("kind", ["files", "live"])
@pytest.mark.parametrize("name", [name for name in READING if name.endswith(" csv")])
def test_no_cell_of_any_csv_is_a_formula(name: str, kind: str, stores: dict[str, Path]) -> None:
    rows = list(csv.reader(io.StringIO(run(stores[kind], *READING[name]).stdout)))
    assert rows or (kind, name) == ("files", "functions csv"), "files tell nothing of calls"
    for cell in (cell for row in rows for cell in row):
        assert not re.match(r"\s*[=+@]|\s*-(?![\d.])", cell), cell


@pytest.mark.external
@pytest.mark.parametrize("name", [name for name in READING if name.endswith(" json")])
def test_json_gives_back_foreign_text_as_it_was(name: str, stores: dict[str, Path]) -> None:
    shown = run(stores["live" if name == "functions json" else "files"], *READING[name]).stdout
    json.loads(shown)
    if name in ("query json", "health json"):
        assert json.dumps(hostile.NASTY)[1:-1] in json.dumps(json.loads(shown))


def test_names_that_are_sql_change_nothing(stores: dict[str, Path]) -> None:
    words = ("query", "--sql", "select component, table_name from stg_other", "--format", "json")
    told = json.loads(run(stores["live"], *words).stdout)
    assert hostile.SQL in {row["component"] for row in told["rows"]}
    assert any(hostile.SQL in row["table_name"] for row in told["rows"])
    assert len(json.loads(run(stores["live"], "snapshots", "--format", "json").stdout)["snapshots"]) == 2


@pytest.mark.external
def test_reports_about_hostile_documents_run_nothing_and_break_no_table(
    stores: dict[str, Path], tmp_path: Path
) -> None:
    log = hostile.log(tmp_path)
    out = ("-o", "r.html", "-o", "r.md", "-o", "r.json", "-o", "r.txt", "-o", "r.svg")
    result = run(stores["files"], "report", "--log", str(log), *out, *NAMED)
    assert "internal fault" not in result.stderr, result.stderr
    assert Path("r.html").is_file(), result.stderr
    page = Elements(Path("r.html").read_text(encoding="utf-8"))
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for _, value in page.attributes if value and "javascript:" in value.lower()]
    drawing = Path("r.svg").read_text(encoding="utf-8")
    tags = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawing).iter()]
    assert not {"script", "foreignObject", "image", "a"} & set(tags)
    markdown = Path("r.md").read_text(encoding="utf-8")
    prose = re.sub(r"^(`{3,})[^\n]*\n.*?^\1\n", "", markdown, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)\]\(", prose), "nothing outside of code becomes a link"
    assert "<script" not in prose and "<img" not in prose
    for name in ("r.html", "r.md", "r.json", "r.txt", "r.svg"):
        text = Path(name).read_text(encoding="utf-8")
        assert hostile.OBEYED.findall(text.replace("\t", "")) == [], name


@pytest.mark.external
def test_a_hostile_log_is_imported_shown_and_filled_without_harm(stores: dict[str, Path], tmp_path: Path) -> None:
    log = hostile.log(tmp_path)
    store = tmp_path / "own.duckdb"
    store.write_bytes(stores["files"].read_bytes())
    for words in (
        ("rollout", "import", str(log), *NAMED),
        ("rollout", "import", str(log), "--format", "json", *NAMED),
        ("rollout", "show", *NAMED),
        ("rollout", "show", "--rollback", *NAMED),
        ("rollout", "checkpoint", "T+1h", *NAMED),
    ):
        result = run(store, *words)
        assert "internal fault" not in result.stderr, result.stderr
        assert hostile.OBEYED.findall(result.stdout + result.stderr) == [], words


@pytest.mark.external
@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_charts_of_hostile_documents_are_drawn(suffix: str, stores: dict[str, Path]) -> None:
    words = [*READING["series"], "--chart", f"health.{suffix}"]
    result = run(stores["files"], *words)
    assert "internal fault" not in result.stderr, result.stderr
    assert Path(f"health.{suffix}").stat().st_size > 1000
