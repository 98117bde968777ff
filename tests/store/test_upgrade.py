"""What an earlier version wrote: the newest one opens it, with the same answers, and keeps a copy of it as it was."""

from __future__ import annotations

import gzip
import json
import random
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from analyzer import __version__, sql
from analyzer.errors import StoreError
from analyzer.store import Store
from analyzer.store.checking import problems_of
from analyzer.store.connection import SCHEMA_VERSION, copy_before_migration
from analyzer.store.copies import workshop_of
from tests.killing import end_of
from tests.store.released.answers import answers

RELEASED = Path(__file__).parent / "released"
VERSIONS = sorted(path.name.removesuffix(".duckdb.gz") for path in RELEASED.glob("*.duckdb.gz"))
UPGRADE = "import sys; from pathlib import Path; from analyzer.store import Store; Store.write(Path(sys.argv[1]))"


def released(version: str, folder: Path) -> Path:
    """Return a copy of the store that a version wrote."""
    path = folder / "s.duckdb"
    path.write_bytes(gzip.decompress((RELEASED / f"{version}.duckdb.gz").read_bytes()))
    return path


def schema_of(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as duck:
        row = duck.execute("select value from meta where key = 'schema_version'").fetchone()
    assert row is not None
    return int(row[0])


def test_there_is_a_store_of_every_released_version() -> None:
    assert __version__ in VERSIONS and "0.1.0" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_released_store_opens_in_this_version_with_the_same_answers(version: str, tmp_path: Path) -> None:
    path = released(version, tmp_path)
    before = schema_of(path)
    Store.write(path).__exit__()
    assert schema_of(path) == SCHEMA_VERSION
    expected = json.loads(gzip.decompress((RELEASED / f"{version}.answers.json.gz").read_bytes()))
    assert answers(path) == expected
    assert problems_of(path) == ()
    if before < SCHEMA_VERSION:
        copy = copy_before_migration(path)
        assert schema_of(copy) == before
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        shutil.copy(copy, path)  # going back is possible, and going forward again
        Store.write(path).__exit__()
        assert answers(path) == expected


def test_a_reader_of_an_older_store_says_what_brings_it_up_to_date_and_changes_nothing(tmp_path: Path) -> None:
    path = released("0.1.0", tmp_path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"has schema 1, this version reads schema {SCHEMA_VERSION}") as refused:
        Store.read(path)
    assert "analyzer store repair" in refused.value.hint
    assert path.read_bytes() == before
    assert not copy_before_migration(path).exists()


def test_a_store_whose_copy_cannot_be_kept_is_not_brought_up_to_date(tmp_path: Path) -> None:
    path = released("0.1.0", tmp_path)
    before = path.read_bytes()
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
    done = subprocess.run(
        [sys.executable, "-B", "-c", limited + UPGRADE, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "cannot write a copy beside the store" in done.stderr
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 300_000


def test_a_migration_that_fails_half_way_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = released("0.1.0", tmp_path)
    folder = tmp_path / "queries"
    shutil.copytree(sql.folder() / "schema", folder / "schema")
    (folder / "schema" / "0009_bad.sql").write_text("create table half (x integer); select nothing from nowhere;")
    with monkeypatch.context() as patched:
        patched.setattr(sql, "folder", lambda: folder)
        with pytest.raises(StoreError, match=f"could not be brought to schema {SCHEMA_VERSION}"):
            Store.write(path)
    assert schema_of(path) == 1
    with duckdb.connect(str(path), read_only=True) as duck:
        assert not duck.execute("select 1 from duckdb_tables() where table_name = 'half'").fetchall()
    Store.write(path).__exit__()
    assert schema_of(path) == SCHEMA_VERSION


@pytest.mark.external
def test_an_upgrade_killed_at_any_moment_leaves_the_old_store_or_the_new(tmp_path: Path) -> None:
    random_ = random.Random(1)
    found = set()
    for _ in range(6):
        path = released("0.1.0", tmp_path)
        child = subprocess.Popen(
            [sys.executable, "-c", "print('ready', flush=True); " + UPGRADE, str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None and child.stdout.readline()
        end_of(child, killed_after_s=0.15 + random_.random() * 0.4)
        found.add(schema_of(path))
        Store.write(path).__exit__()
        assert problems_of(path) == ()
        with Store.read(path) as store:
            assert len(store.snapshots()) == 4
        assert not workshop_of(path).exists()
        for file in (path, copy_before_migration(path)):
            file.unlink(missing_ok=True)
    assert found <= {1, SCHEMA_VERSION}
