"""A second process takes a share of large tables, and nobody can tell who looked at which documents."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import duckdb
import pytest

from analyzer import collect as collecting
from analyzer.convex import exported, ids, lines, sharing
from analyzer.convex.checking import Order
from analyzer.convex.documents import Screened
from analyzer.convex.sharing import Helper, Work
from analyzer.convex.values import dumps
from analyzer.errors import SourceError, SourceInvalid
from analyzer.model import CollectResult, TableRef
from analyzer.store import Store, spool
from analyzer.store.columns import shape
from analyzer.store.spool import Removing
from tests.collect.test_export_again import TABLES, add, documents, held, known_of

ROOT = Path(__file__).parents[2]
TABLE = TableRef("", "chatMessages", None)
Choice = Callable[[int], bool]  # whether the second process takes the block that begins with a line


class Chosen(Helper):
    """Takes the blocks that a test chooses for it, and waits for room where there is none."""

    def __init__(self, folder: Path, choice: Choice) -> None:
        super().__init__(folder)
        self.choice = choice
        self.taken: list[int] = []

    def give(self, first_line: int, block: bytes) -> bool:
        if not self.choice(first_line):
            return False
        while not super().give(first_line, block):
            self._listen(wait=True)
        self.taken.append(first_line)
        return True


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every table a large one of many blocks."""
    monkeypatch.setattr(exported, "SHARED_FROM_BYTES", 0)
    monkeypatch.setattr(exported, "SHARED_SOON_BYTES", 0)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 16_000)


def screened(folder: Path, raw: bytes, choice: Choice | None, known: tuple[Any, ...] = ()) -> Screened:
    folder.mkdir()
    form = shape("", "chatMessages")
    with Chosen(folder, choice or bool) as helper:
        found = exported.screen_export(
            io.BytesIO(raw), TABLE, form, where="x", spool_dir=folder, known=known, recipe=b"r",
            helper=helper if choice else None,
        )  # fmt: skip
        assert bool(found.more_spools) == bool(choice)
    return found


def raw_of(found: list[dict[str, Any]]) -> bytes:
    return b"".join(dumps(document, "export_json") + b"\n" for document in found)


def told(found: Screened) -> tuple[object, ...]:
    """Return all that a table's screening says and leaves, whoever did it."""
    rows = sorted(line for path in (found.spool, *found.more_spools) for line in path.read_bytes().splitlines())
    assert found.stretches is not None
    return replace(found, spool=Path(), more_spools=(), stretches=None), rows, found.stretches.read_bytes()


CHOICES: dict[str, Choice] = {
    "none": lambda _: False,
    "all": lambda _: True,
    "some": lambda line: hash((7, line)) % 3 == 0,
    "others": lambda line: hash((8, line)) % 2 == 0,
}


@pytest.mark.parametrize("name", CHOICES)
def test_whoever_looks_what_is_found_is_the_same(tmp_path: Path, name: str) -> None:
    raw = raw_of(documents(4000))
    alone = screened(tmp_path / "alone", raw, None)
    shared = screened(tmp_path / "shared", raw, CHOICES[name])
    assert alone.documents == 4000
    assert told(shared) == told(alone)


def test_known_stretches_are_passed_over_in_both_processes(tmp_path: Path) -> None:
    first = documents(4000)
    known = known_of(screened(tmp_path / "first", raw_of(first), None))
    raw = raw_of([d | ({"status": "failed"} if n % 500 == 9 else {}) for n, d in enumerate(first) if n % 700])
    alone = screened(tmp_path / "alone", raw, None, known)
    assert 0 < alone.spooled_documents < 2000
    for name, choice in CHOICES.items():
        assert told(screened(tmp_path / name, raw, choice, known)) == told(alone)


SPOILT = [
    b"{nonsense}",
    b'{"_id":"x"}',
    b"[1]",
    b'{"_id":"%s"}' % ids.encode(5, bytes(16)).encode(),
    b"\xff",
    b"[" * 999,
]


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("name", CHOICES)
def test_of_hostile_lines_the_first_is_named_whoever_finds_it(tmp_path: Path, name: str, spoilt: bytes) -> None:
    sound = raw_of(documents(3000)).splitlines(keepends=True)
    raw = b"".join([*sound[:1000], spoilt + b"\n", *sound[1000:1700], b"{\n", *sound[1700:]])
    with pytest.raises(SourceInvalid) as alone:
        screened(tmp_path / "alone", raw, None)
    with pytest.raises(SourceInvalid) as shared:
        screened(tmp_path / "shared", raw, CHOICES[name])
    assert "line 1001" in str(alone.value)
    assert (str(shared.value), shared.value.hint) == (str(alone.value), alone.value.hint)


def test_a_stream_that_breaks_is_refused_behind_what_stands_before_it(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            if not found:
                raise SourceInvalid("damaged")
            return found

    sound = raw_of(documents(3000))
    for raw, said in ((sound, "damaged"), (sound + b"{\n" + sound, "line 3001")):
        with Helper(tmp_path) as helper, pytest.raises(SourceInvalid, match=said):
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            form = shape("", "chatMessages")
            exported.screen_export(Broken(raw), TABLE, form, where="x", spool_dir=folder, helper=helper)
        assert not (tmp_path / "window").exists()


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where spools are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def choosing(monkeypatch: pytest.MonkeyPatch, choice: Choice) -> list[Chosen]:
    """Make collects use a second process for what is chosen; returns those that they make."""
    made: list[Chosen] = []

    def chosen(folder: Path) -> Chosen:
        made.append(Chosen(folder, choice))
        made[-1].is_of_use = lambda: True  # type: ignore[method-assign]
        return made[-1]

    monkeypatch.setattr(collecting, "Helper", chosen)
    return made


def rows(store: Path) -> list[Any]:
    """Return all rows of the tables that documents go to, and of what is said about them."""
    with duckdb.connect(str(store), read_only=True) as duck:
        kept = (*TABLES, "coverage", "drift", "export_stretch")
        return [duck.execute(f"select * from {table} order by all").fetchall() for table in kept]


def test_a_store_is_the_same_whoever_looked_and_so_are_the_numbers_of_its_revisions(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = documents(3000)
    second = [d | ({"status": "failed"} if n % 40 == 0 else {}) for n, d in enumerate(first) if n % 333]
    found = []
    for name, choice in CHOICES.items():
        store = tmp_path / f"{name}.duckdb"
        made = choosing(monkeypatch, choice)
        add(store, first, 0)
        assert bool(made[0].taken) == (name != "none")
        found.append([rows(store)])
        add(store, second, 1)
        found[-1].append(held(store))  # what follows another snapshot is numbered as DuckDB joins it
    assert found[0] == found[1] == found[2] == found[3]
    assert not list(spools.iterdir())


def test_texts_are_gone_once_they_are_loaded_and_what_follows_may_fail(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = choosing(monkeypatch, bool)
    removals: list[Watched] = []

    class Watched(Removing):
        def __enter__(self) -> Self:
            removals.append(self)
            return super().__enter__()

    def fail(store: Store, result: CollectResult) -> None:
        assert store.snapshot().id == result.snapshot.id
        for removal in removals[0]._under_way:  # beside this
            removal.wait()
        left = [path.name for path in spools.rglob("*.jsonl") if path.name != "stretches.jsonl"]
        assert left == []
        raise ZeroDivisionError

    monkeypatch.setattr(spool, "Removing", Watched)

    with pytest.raises(ZeroDivisionError):
        add(tmp_path / "s.duckdb", documents(3000), 0, then=fail)
    assert made[0].taken
    assert not list(spools.iterdir())
    with Store.read(tmp_path / "s.duckdb") as store:
        assert len(store.snapshots()) == 1


@pytest.mark.parametrize("name", CHOICES)
def test_a_repeated_document_or_field_is_named_by_its_line_across_both(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    choosing(monkeypatch, CHOICES[name])
    found: list[Any] = documents(3000)
    with pytest.raises(SourceInvalid, match=r"line 3001: _id .* stands already in line 18"):
        add(tmp_path / "s.duckdb", [*found, found[17]], 0)
    twice = [b'{"_id":"%s","status":"a","status":"b"}' % found[n]["_id"].encode() for n in (800, 2800)]
    with pytest.raises(SourceInvalid, match="line 801: field 'status' stands twice"):
        add(tmp_path / "t.duckdb", [*found[:800], twice[0], *found[801:2800], twice[1], *found[2801:]], 0)
    assert not list(spools.iterdir())


def test_when_it_is_killed_nothing_is_stored_and_it_is_said(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill_later(line: int) -> bool:
        if line > 1500:
            process = made[0]._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
        return True

    made = choosing(monkeypatch, kill_later)
    with pytest.raises(SourceError, match="share of the documents ended by signal 9") as caught:
        add(tmp_path / "s.duckdb", documents(4000), 0)
    assert "nothing was stored" in caught.value.hint
    assert not (tmp_path / "s.duckdb").exists()
    assert not list(spools.iterdir())


def test_an_interrupt_ends_it_too(tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(line: int) -> bool:
        if line > 1500:
            raise KeyboardInterrupt
        return True

    made = choosing(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        add(tmp_path / "s.duckdb", documents(4000), 0)
    assert made[0]._process is not None
    assert made[0]._process.returncode == -signal.SIGKILL
    assert not list(spools.iterdir())


PARENT = """
import signal, sys
from pathlib import Path
from analyzer.convex.checking import Order
from analyzer.convex.sharing import Helper, Work
from analyzer.model import TableRef
from analyzer.store.columns import shape
folder = Path(sys.argv[1])
with Helper(folder) as helper:
    helper.begin(Work(Order(TableRef("", "users", 5), shape("", "users"), "x"), b"", (), folder / "more.jsonl"))
    helper.give(1, b"{}\\n" * 1000)
    helper.found(wait=True)
    print("begun", flush=True)
    signal.pause()
"""


def test_it_ends_without_a_word_when_the_other_process_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        assert parent.stdout.readline() == b"begun\n"
        parent.kill()
        assert parent.stderr.read() == b""  # ends only when both have let go of it


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[tuple[Helper, Work]]:
    order = Order(TableRef("", "users", 5), shape("", "users"), "x")
    with Helper(tmp_path) as helper:
        yield helper, Work(order, b"", (), tmp_path / "more.jsonl")


def test_a_file_that_it_cannot_write_is_refused_as_here(begun: tuple[Helper, Work]) -> None:
    helper, work = begun
    work.spool.touch()
    helper.begin(work)
    with pytest.raises(FileExistsError):
        helper.end()


def test_a_fault_in_it_is_a_fault_here(begun: tuple[Helper, Work], monkeypatch: pytest.MonkeyPatch) -> None:
    helper, work = begun
    helper.begin(work)
    helper.give("no number", b'{"_id":1}\n')  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="in the second process: TypeError"):
        helper.found(wait=True)


def test_it_is_started_for_no_small_table_and_a_block_too_large_for_the_window_stays_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_of(documents(3000))
    monkeypatch.setattr(exported, "SHARED_FROM_BYTES", len(raw))
    with Helper(tmp_path) as helper:
        form = shape("", "chatMessages")
        exported.screen_export(io.BytesIO(raw), TABLE, form, where="x", spool_dir=tmp_path, helper=helper)
        assert helper._process is None
        helper.begin(Work(Order(TABLE, form, "x"), b"", (), tmp_path / "more.jsonl"))
        assert not helper.give(1, bytes(sharing.SLOT_BYTES + 1))
        assert oct((tmp_path / "window").stat().st_mode)[-3:] == "600"


def test_where_no_second_process_can_be_started_this_one_does_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    raw = raw_of(documents(400))
    alone = screened(tmp_path / "alone", raw, None)
    monkeypatch.setattr(subprocess, "Popen", refused)
    folder = tmp_path / "refused"
    folder.mkdir()
    with Helper(folder) as helper:
        found = exported.screen_export(
            io.BytesIO(raw), TABLE, shape("", "chatMessages"), where="x", spool_dir=folder, recipe=b"r", helper=helper
        )
    assert found.more_spools == () and found.documents == alone.documents
    assert found.spool.read_bytes() == alone.spool.read_bytes()
    assert not (folder / "window").exists()
