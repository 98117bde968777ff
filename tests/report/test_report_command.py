"""`analyzer report`: from a log alone, from documents alone, from both; the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.collect import collect
from analyzer.config import DEFAULT_FLAGS
from analyzer.rules import fingerprints, load_all
from analyzer.sources import open_source

DEMO = Path(__file__).parents[2] / "data" / "demo"
LOG = DEMO / "rollout-log.md"
RECORDINGS = ("01-baseline-0653", "11-t-plus-24h-0659")
FIELDS = [
    "schema",
    "deployment",
    "rollout",
    "baseline",
    "after",
    "verdict",
    "action",
    "reason_code",
    "alpha",
    "metrics",
    "checkpoints",
    "filter",
    "explain",
    "smoke_tests",
    "rollback",
    "findings",
    "warnings",
]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("alone")]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "store.duckdb"
    for name in RECORDINGS:
        source = open_source(DEMO / name, deployment=None, taken_at_ns=None, flag_names=DEFAULT_FLAGS)
        collect(source, path, label=name, fingerprints=fingerprints(load_all()))
        source.close()
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, ["report", *map(str, words)])


@pytest.mark.external
def test_a_log_and_one_snapshot_a_day_later_fill_every_format_with_the_same_bytes_twice(
    store: Path, tmp_path: Path
) -> None:
    names = ("report.html", "report.md", "report.json", "report.txt", "chart.png", "chart.svg")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        outputs = [word for name in names for word in ("-o", tmp_path / folder / name)]
        done = run("--db", store, "--log", LOG, *outputs)
        assert done.exit_code in (0, 1, 4), done.output
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    document = json.loads((tmp_path / "one" / "report.json").read_text(encoding="utf-8"))
    assert list(document) == FIELDS and document["schema"] == "report/1"
    assert [look["label"] for look in document["checkpoints"]] == ["T+1h", "T+6h", "T+12h", "T+24h"]
    assert len((tmp_path / "one" / "report.md").read_text(encoding="utf-8")) < 60_000
    html = (tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 6 and "<script" not in html
    assert document["verdict"] in html.partition("</h1>")[2][:800]
    assert len(done.stdout.splitlines()) <= 12


def test_markdown_is_the_same_whether_a_page_is_written_beside_it_or_not(store: Path, tmp_path: Path) -> None:
    sides = ("--db", store, "--baseline", RECORDINGS[0], "--after", RECORDINGS[1])
    run(*sides, "-o", tmp_path / "beside.md", "-o", tmp_path / "report.html")
    run(*sides, "-o", tmp_path / "alone.md")
    assert (tmp_path / "beside.md").read_bytes() == (tmp_path / "alone.md").read_bytes()


def test_documents_alone_are_enough(store: Path) -> None:
    done = run("--db", store, "--baseline", RECORDINGS[0], "--after", RECORDINGS[1], "--format", "json")
    document = json.loads(done.stdout)
    assert document["rollout"] is None and document["metrics"]
    assert document["baseline"]["label"] == RECORDINGS[0] and document["after"]["label"] == RECORDINGS[1]
    expected = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 4, "NO_DATA": 5}
    assert done.exit_code == expected[document["verdict"]]


def test_a_log_alone_shows_its_tables_side_by_side_and_gives_no_verdict(tmp_path: Path) -> None:
    done = run("--db", tmp_path / "none.duckdb", "--log", LOG)
    assert done.exit_code == 5
    assert "NO_DATA: Nothing to look at" in done.stdout
    assert "Completion Rate  100%" in done.stdout and "give no verdict" in " ".join(done.stdout.split())
    assert "npx convex env set ENABLE_WORKFLOW false" in done.stdout
    assert "analyzer collect EXPORT.zip" in done.stdout
    assert run("--db", tmp_path / "none.duckdb", "--log", LOG, "--exit-zero").exit_code == 0


def test_the_page_of_a_log_alone_stands_too(tmp_path: Path) -> None:
    assert run("--db", tmp_path / "none.duckdb", "--log", LOG, "-o", tmp_path / "r.html").exit_code == 5
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 1 and "Known issues" in html


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--baseline", "1"), "belong together"),
        (("--rollout", "1", "--log", LOG), "both name a rollout"),
        (("--baseline", "1", "--after", "2", "--rollout", "1"), "without a rollout"),
        (("-o", "report.pdf"), "cannot tell what to write"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(words: tuple[str | Path, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2 and said in done.output


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = run("--db", tmp_path / "none.duckdb", "--log", LOG, "-o", tmp_path / "no" / "report.md")
    assert done.exit_code == 3 and "cannot write " in done.output


def test_the_command_that_makes_a_report_again_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEX_DEPLOY_KEY", "prod:happy-animal-123|secret-value-of-a-key")
    done = run("--db", tmp_path / "none.duckdb", "--log", LOG)
    assert "analyzer report --db" in done.stdout and "secret-value" not in done.stdout
