"""One store, many processes: waiting, naming the holder, versions, and being killed."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import duckdb
import pytest

from analyzer.errors import StoreError, UsageError
from analyzer.model import Mark
from analyzer.store import Store
from analyzer.store.connection import SCHEMA_VERSION
from tests.killing import end_of
from tests.store.spooling import collection
from tests.store.test_revisions import START_NS, message

HOLD = """
import sys
from pathlib import Path
from analyzer.store import Store
with Store.write(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the store for writing until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def release(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)


def make_store(path: Path, folder: Path) -> None:
    with Store.write(path) as store:
        store.ingest(collection(folder, {"chatMessages": [message(1)]}, as_of_ns=START_NS))


def test_a_reader_waits_for_a_writer_and_then_reads(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    make_store(path, tmp_path / "a")
    writer = hold(path)
    timer = threading.Timer(0.3, release, args=[writer])
    timer.start()
    with Store.read(path, wait_s=20) as store:
        assert len(store.snapshots()) == 1
    timer.join()


@pytest.mark.parametrize("opening", [Store.read, Store.write])
def test_whoever_waits_too_long_is_told_which_process_holds_the_store(
    tmp_path: Path, opening: Callable[..., Store]
) -> None:
    path = tmp_path / "s.duckdb"
    make_store(path, tmp_path / "a")
    writer = hold(path)
    try:
        with pytest.raises(StoreError, match=rf"in use by process {writer.pid} ") as refused:
            opening(path, wait_s=0.1)
        assert "--wait" in refused.value.hint
    finally:
        release(writer)


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at") as refused:
        Store.read(tmp_path / "none.duckdb")
    assert "analyzer collect" in refused.value.hint
    assert not (tmp_path / "none.duckdb").exists()


def test_a_store_is_private_and_kept_out_of_version_control(tmp_path: Path) -> None:
    path = tmp_path / "data" / "s.duckdb"
    make_store(path, tmp_path / "a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.parent / ".gitignore").read_text() == "/s.duckdb*\n"


def test_a_store_of_a_newer_version_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    make_store(path, tmp_path / "a")
    with duckdb.connect(str(path)) as duck:
        duck.execute("update meta set value = '99' where key = 'schema_version'")
    before = path.read_bytes()
    for opening in (Store.read, Store.write):
        with pytest.raises(StoreError, match=f"has schema 99, this version knows schemas up to {SCHEMA_VERSION}$"):
            opening(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a database", b"x" * 20_000])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.duckdb"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        Store.read(path)
    assert path.read_bytes() == content


def test_a_duckdb_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with duckdb.connect(str(path)) as duck:
        duck.execute("create table theirs (x integer)")
    for opening in (Store.read, Store.write):
        with pytest.raises(StoreError, match="no store of this program"):
            opening(path)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        Store.write(tmp_path / "file" / "s.duckdb")


INGEST = """
import sys
from pathlib import Path
from analyzer.store import Store
from tests.store.spooling import collection
from tests.store.test_revisions import START_NS, message
folder = Path(sys.argv[1])
made = collection(folder / "b", {"chatMessages": [message(n, "failed") for n in range(2, 4000)]}, as_of_ns=START_NS + 1)
print("ready", flush=True)
with Store.write(folder / "s.duckdb") as store:
    store.ingest(made)
print("done", flush=True)
"""


@pytest.mark.external
def test_a_writer_killed_at_any_moment_leaves_the_store_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    make_store(path, tmp_path / "a")
    outcomes = set()
    for attempt in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", INGEST, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end_of(process, killed_after_s=attempt * 0.012)
        with Store.read(path) as store:
            held = {s.id: len(store.frame(s).rows("staging/stg_messages")) for s in store.snapshots()}
        assert held in ({1: 1}, {1: 1, 2: 3998})
        outcomes.add(len(held))
        if len(held) == 2:
            path.unlink()
            make_store(path, tmp_path / "a")
    assert 1 in outcomes  # some were killed before they committed


MAKE = """
import sys
from pathlib import Path
from analyzer.store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store.write(Path(sys.argv[1])) as store:
    print(len(store.snapshots()), flush=True)
"""


@pytest.mark.external
def test_several_that_make_the_same_store_at_once_find_it_made(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / f"{attempt}.duckdb"
        makers = [
            subprocess.Popen(
                [sys.executable, "-c", MAKE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(4)
        ]
        assert [maker.stdout.readline() for maker in makers if maker.stdout] == ["ready\n"] * 4
        for maker in makers:
            assert maker.stdin
            maker.stdin.write("\n")
            maker.stdin.flush()
        assert [maker.communicate(timeout=60)[0] for maker in makers] == ["0\n"] * 4


FULL = """
import resource, sys
from pathlib import Path
from click.testing import CliRunner
from analyzer import cli
store = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
done = CliRunner().invoke(cli.main, ["artifacts", "mark", "m1", "--test", "--because", "x" * 400, "--db", str(store)])
print(done.exit_code, done.stderr)
"""


def test_a_disk_that_is_full_is_a_line_of_fact_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    make_store(path, tmp_path / "a")
    # -B: Python would keep what it compiles of a late import, cut off after 200 bytes
    done = subprocess.run([sys.executable, "-B", "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"3 error: cannot write {path}: "), done.stdout
    assert "hint:  make room, and start again; the store is as it was" in done.stdout
    with Store.read(path) as store:
        assert len(store.snapshots()) == 1 and store.marks("happy-animal-123") == ()


def test_several_deployments_must_be_told_apart(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        for name in ("a-1", "b-2"):
            store.ingest(collection(tmp_path / name, {}, as_of_ns=START_NS, deployment=name))
        with pytest.raises(UsageError, match="2 deployments") as refused:
            store.snapshot()
        assert "a-1, b-2" in refused.value.hint
        assert store.snapshot(deployment="b-2").deployment.name == "b-2"


def test_a_snapshot_is_found_by_id_or_label_and_a_wrong_name_lists_them(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {}, as_of_ns=START_NS, label="baseline"))
        store.ingest(collection(tmp_path / "b", {"users": []}, as_of_ns=START_NS + 1, label="after"))
        assert store.snapshot().label == "after"
        assert store.snapshot("baseline").id == 1
        assert store.snapshot(2).label == "after"
        with pytest.raises(UsageError, match="0 snapshots are called 'before'"):
            store.snapshot("before")


def test_real_beats_test_and_clear_takes_back(tmp_path: Path) -> None:
    said: list[Literal["test", "real", "clear"]] = ["test", "real", "test", "clear", "test"]
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {}, as_of_ns=START_NS))
        verdicts = []
        for at_ms, verdict in enumerate(said):
            store.add_mark("happy-animal-123", Mark("k1", verdict, "because", "ada", at_ms))
            verdicts.append([mark.verdict for mark in store.marks("happy-animal-123")])
        assert verdicts == [["test"], ["real"], ["real"], [], ["test"]]
