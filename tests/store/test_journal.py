"""A store whose writer was killed in the middle of a checkpoint is whole again for whoever opens it next."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import duckdb
import pytest

from analyzer.store import Store
from analyzer.store.checking import problems_of
from analyzer.store.journal import HEADERS_BYTES, journal_of, log_of

BLOCK_BYTES = 262_144
Rows = list[tuple[str, str]]


def write(store: Store, random_: random.Random) -> None:
    with store.together():
        store._duck.execute(
            "create or replace table filler as select range as number, hash(range + $1) as value from range($2)",
            [random_.randrange(2**30), random_.randrange(1, 60_000)],
        )
        store._duck.execute(
            f"create or replace table small_{random_.randrange(9)} as select {random_.random()} as value"
        )


def content(store: Store) -> Rows:
    names = [row[0] for row in store._duck.execute("select table_name from duckdb_tables() order by 1").fetchall()]
    return [(name, str(store._duck.execute(f"select * from {name} order by all").fetchall())) for name in names]


def cut_off(path: Path, random_: random.Random) -> tuple[Rows, int]:
    """Write to a store, and leave what a kill in its checkpoint leaves: new blocks, one of them half, the old header.

    returns  what was committed, and how many blocks were written over
    """
    with path.open("rb") as held:  # closed after the store is, for closing it drops the lock
        store = Store.write(path)
        for _ in range(random_.randrange(1, 4)):
            write(store, random_)
        committed = content(store)
        before, log, kept = held.read(), log_of(path).read_bytes(), journal_of(path).read_bytes()
        store.__exit__()
    after = bytearray(path.read_bytes())
    after[:HEADERS_BYTES] = before[:HEADERS_BYTES]
    blocks = range(HEADERS_BYTES, len(before), BLOCK_BYTES)
    over = [at for at in blocks if before[at : at + BLOCK_BYTES] != after[at : at + BLOCK_BYTES]]
    if over:
        start = random_.choice(over)
        torn = start + random_.randrange(8, BLOCK_BYTES)
        after[torn : start + BLOCK_BYTES] = before[torn : start + BLOCK_BYTES]
    path.write_bytes(after)
    log_of(path).write_bytes(log)
    journal_of(path).write_bytes(kept)
    return committed, len(over)


@pytest.mark.parametrize("seed", range(2))
def test_what_was_committed_survives_a_checkpoint_that_was_cut_off(tmp_path: Path, seed: int) -> None:
    path, random_ = tmp_path / "s.duckdb", random.Random(seed)
    Store.write(path).__exit__()
    written_over = 0
    for _ in range(5):
        committed, over = cut_off(path, random_)
        written_over += over
        with Store.read(path) if random_.random() < 0.5 else Store.write(path) as opened:
            assert content(opened) == committed
    assert written_over, "DuckDB wrote over nothing: is the journal needed still?"


def test_without_its_journal_such_a_store_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    Store.write(path).__exit__()
    cut_off(path, random.Random(1))
    journal_of(path).unlink()
    with pytest.raises(duckdb.Error, match="checksum"):
        duckdb.connect(str(path), read_only=True).execute("from meta")


def test_a_journal_of_a_checkpoint_that_was_done_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    Store.write(path).__exit__()
    store = Store.write(path)
    write(store, random.Random(1))
    kept = journal_of(path).read_bytes()
    committed = content(store)
    store.__exit__()
    after = path.read_bytes()
    journal_of(path).write_bytes(kept)
    with Store.read(path) as opened:
        assert content(opened) == committed
    assert path.read_bytes() == after and not journal_of(path).exists()


def test_a_journal_of_another_file_or_of_no_sense_changes_nothing(tmp_path: Path) -> None:
    path, other = tmp_path / "s.duckdb", tmp_path / "other.duckdb"
    for made in (path, other):
        Store.write(made).__exit__()
    store = Store.write(other)
    kept = journal_of(other).read_bytes()
    store.__exit__()
    before = path.read_bytes()
    for journal in (kept, kept[:-1], b"", b"kept-1\r\n"):
        journal_of(path).write_bytes(journal)
        Store.read(path).__exit__()
        assert path.read_bytes() == before


def test_a_journal_is_for_its_owner_alone_and_gone_when_the_store_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with Store.write(path):
        assert stat.S_IMODE(journal_of(path).stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == [".gitignore", "s.duckdb"]
    assert problems_of(path) == ()


def test_a_commit_that_checkpoints_finds_the_journal_renewed_since_the_last_one(tmp_path: Path) -> None:
    path, random_ = tmp_path / "s.duckdb", random.Random(1)
    Store.write(path).__exit__()
    with path.open("rb") as held, Store.write(path) as store:  # `held` is closed last
        store._duck.execute("set wal_autocheckpoint = '1KB'")
        for _ in range(3):
            held.seek(0)
            before = held.read(HEADERS_BYTES)
            write(store, random_)
            held.seek(0)
            assert held.read(HEADERS_BYTES) != before, "the commit made no checkpoint"
            assert before in journal_of(path).read_bytes()


def test_what_a_removed_store_left_beside_it_does_not_harm_the_next(tmp_path: Path) -> None:
    path, random_ = tmp_path / "s.duckdb", random.Random(1)
    Store.write(path).__exit__()
    cut_off(path, random_)
    path.unlink()
    assert log_of(path).exists() and journal_of(path).exists()
    with Store.write(path) as made:
        assert not made.snapshots()
    assert problems_of(path) == ()
