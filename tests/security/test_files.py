"""What is written is the user's alone, and goes where the user said and nowhere else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.errors import AnalyzerError, GuardRefused, UsageError
from analyzer.purge import backup, files, ledger, plan_file
from analyzer.purge.live import Found
from analyzer.report.saving import save
from tests.fuzz.purging import HASH, LINE, PLAN, TASK
from tests.purge.leftovers import world
from tests.support import collected_case, golden_cases

CASE = golden_cases()["artifact_prompt_test_on_healthy_prod"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collected_case(CASE, tmp_path_factory.mktemp("store"))


pytestmark = pytest.mark.usefixtures("alone")


def run(store: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["--db", str(store), *words])


def shared(folder: Path) -> list[str]:
    """Return what others may read or write."""
    return [
        f"{path.relative_to(folder)} {stat.S_IMODE(path.stat().st_mode):o}"
        for path in folder.rglob("*")
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


@pytest.mark.external
def test_whatever_a_command_writes_is_its_users_alone_whatever_the_umask(store: Path, tmp_path: Path) -> None:
    export = store.with_name("export.zip")
    script = (
        f"umask 000; {sys.executable} -m analyzer collect {export} --deployment d --db out/s.duckdb;"
        f"{sys.executable} -m analyzer query staging/stg_tasks --db out/s.duckdb -o out/tasks.csv;"
        f"{sys.executable} -m analyzer purge plan --db out/s.duckdb -o out/plan.json;"
        f"{sys.executable} -m analyzer export --parquet out/parquet --db out/s.duckdb"
    )
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False, capture_output=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"s.duckdb", "tasks.csv", "plan.json", "parquet"}
    assert shared(tmp_path) == []


def test_plan_ledger_receipt_and_backup_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with world(tmp_path, kind="dev") as here:
            plan, path = here.plan()
            here.apply(plan, path)
    finally:
        os.umask(before)
    kept = [line for line in shared(tmp_path) if line.split()[0].startswith("plan")]
    assert len(list(tmp_path.glob("plan*"))) >= 4
    assert kept == []


def test_a_result_is_not_written_through_a_link(store: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "tasks.csv").symlink_to("precious")
    result = run(store, "query", "staging/stg_tasks", "-o", "tasks.csv")
    assert result.exit_code == 2
    assert "tasks.csv is a symbolic link" in result.stderr and "hint:  " in result.stderr
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_link_laid_where_the_half_written_result_goes_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "r.html.part").symlink_to("precious")
    save(tmp_path / "r.html", b"page")
    assert (tmp_path / "precious").read_text() == "mine"
    assert (tmp_path / "r.html").read_bytes() == b"page"


def test_a_result_keeps_the_mode_of_the_file_that_it_replaces_and_devices_stay_devices(tmp_path: Path) -> None:
    (tmp_path / "log.md").write_text("old")
    (tmp_path / "log.md").chmod(0o640)
    save(tmp_path / "log.md", b"new")
    assert stat.S_IMODE((tmp_path / "log.md").stat().st_mode) == 0o640
    save(Path(os.devnull), b"gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_result_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="cannot write"):
        save(tmp_path / "no" / "folder.md", b"x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_plan_and_backup_are_never_written_over_anything(kind: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    for name in ("plan.json", "plan.backup.zip"):
        if kind == "file":
            (tmp_path / name).write_text("mine")
        else:
            (tmp_path / name).symlink_to("precious" if kind == "link" else "nothing")
    with pytest.raises(UsageError, match="exists"):
        plan_file.write(PLAN, tmp_path / "plan.json")
    found = Found({"_id": TASK.id, "_creationTime": 1.0}, LINE, HASH)
    with pytest.raises(GuardRefused, match="not to exist"):
        backup.write(tmp_path / "plan.backup.zip", PLAN, [TASK], {TASK.id: found})
    assert (tmp_path / "precious").read_text() == "mine" and not (tmp_path / "nothing").exists()


def test_a_link_in_the_place_of_ledger_or_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "plan.ledger.jsonl").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic"), ledger.Ledger(tmp_path / "plan.ledger.jsonl", ledger.State()):
        pass
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic"), files.locked(tmp_path / "lock", "x"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_store_may_be_a_link_and_what_is_no_store_is_never_written_to(store: Path, tmp_path: Path) -> None:
    (tmp_path / "linked.duckdb").symlink_to(store)
    assert run(tmp_path / "linked.duckdb", "snapshots").exit_code == 0
    (tmp_path / "precious").write_text("mine " * 5000)
    (tmp_path / "trap.duckdb").symlink_to("precious")
    mode = (tmp_path / "precious").stat().st_mode
    result = run(tmp_path / "trap.duckdb", "collect", str(store.with_name("export.zip")), "--deployment", "d")
    assert result.exit_code == 3 and "hint:  " in result.stderr
    assert (tmp_path / "precious").read_text() == "mine " * 5000
    assert (tmp_path / "precious").stat().st_mode == mode
