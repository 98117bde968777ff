"""The memory of the database is bounded, and what does not fit waits where only the owner sees it."""

from __future__ import annotations

import stat
from pathlib import Path

import duckdb
import pytest

from analyzer.errors import UsageError
from analyzer.store import Store, connection


def test_a_limit_bounds_every_store_that_is_opened_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.duckdb"
    monkeypatch.setattr(connection, "_memory", connection._Memory())
    with Store.write(path) as store:
        usual = store._duck.execute("select current_setting('memory_limit')").fetchone()
    connection.limit_memory(128 << 20)
    for opened in (Store.write, Store.read):
        with opened(path) as store:
            assert store._duck.execute("select current_setting('memory_limit')").fetchone() == ("128.0 MiB",) != usual


def test_too_little_memory_to_begin_with_is_refused() -> None:
    with pytest.raises(UsageError, match=r"1\.0 MiB of memory are too little"):
        connection.limit_memory(1 << 20)


def test_what_does_not_fit_waits_in_a_private_folder_that_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.duckdb"
    monkeypatch.setattr(connection, "_memory", connection._Memory(128 << 20))
    with Store.write(path) as store:
        store._duck.execute(
            "create temp table wide as select range as n, repeat('x', 90) || range as x from range(2000000)"
        )
        folder = connection.spill_folder(path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert any(folder.iterdir())
    assert not folder.exists()


def test_a_reader_whose_process_ends_is_left_open_only_where_nothing_was_spilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.duckdb"
    left: list[object] = []
    monkeypatch.setattr(connection, "_left_open", left)
    with Store.write(path):
        pass
    folder = connection.spill_folder(path)
    with Store.read(path, is_last=True) as quick:
        assert folder.exists()
    assert not folder.exists()
    assert left == [quick._duck]
    quick._duck.close()
    with Store.read(path, is_last=True) as spilled:
        (folder / "spilled").write_bytes(b"")  # as DuckDB does, or somebody else who reads the same store
    assert left == [quick._duck]
    with pytest.raises(duckdb.ConnectionException):
        spilled._duck.execute("select 1")
