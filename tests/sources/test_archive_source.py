from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analyzer.collect import collect
from analyzer.convex.archive import open_archive
from analyzer.errors import SourceError, SourceInvalid
from analyzer.model import SourceInfo
from analyzer.sources import open_source
from analyzer.store import Store
from tests.convex.exports import export, message, unpacked

NOBODY = 65_534  # a user without rights
NAME = "snapshot_happy-animal-123_1765889880000000000.zip"
TABLES = {":chatMessages": [message(1), message(2)], ":users": [], "agent:users": []}


def info(path: Path, deployment: str | None = None, taken_at_ns: int | None = None) -> SourceInfo:
    source = open_source(path, deployment=deployment, taken_at_ns=taken_at_ns, flag_names=())
    source.close()
    return source.info


@pytest.mark.parametrize("name", [NAME, NAME.replace(".zip", " (1).zip"), NAME.replace(".zip", "(2).ZIP")])
def test_the_platforms_file_name_says_which_deployment_and_when(tmp_path: Path, name: str) -> None:
    found = info(export(tmp_path / name, TABLES))
    assert found.deployment.name == "happy-animal-123"
    assert (found.source_time_ns, found.time_basis) == (1765889880000000000, "file-name")
    assert (found.kind, found.label, found.warnings) == ("archive", name, ())


def test_what_the_user_says_beats_the_file_name_with_a_warning(tmp_path: Path) -> None:
    path = export(tmp_path / NAME, TABLES)
    found = info(path, "other-beast-9", 5)
    assert found.deployment.name == "other-beast-9"
    assert (found.source_time_ns, found.time_basis) == (5, "taken-at")
    assert "happy-animal-123" in found.warnings[0]
    assert not info(path, "happy-animal-123").warnings


@pytest.mark.parametrize("name", ["export.zip", "snapshot.zip", "snapshot_happy-animal-123.zip"])
def test_a_file_that_nothing_names_is_filed_under_the_hash_of_its_tables(tmp_path: Path, name: str) -> None:
    path = export(tmp_path / name, TABLES)
    with open_archive(path) as archive:
        hash_ = archive.tables_hash
    found = info(path)
    assert found.deployment.name == f"unknown:{hash_[:16]}"
    assert (found.source_time_ns, found.time_basis) == (None, "newest-creation-time")
    assert "--deployment" in found.warnings[0]


def test_a_number_that_is_no_time_in_nanoseconds_is_not_taken_for_one(tmp_path: Path) -> None:
    found = info(export(tmp_path / "snapshot_happy-animal-123_1765889880000.zip", TABLES))
    assert found.deployment.name == "happy-animal-123"
    assert found.source_time_ns is None


def test_a_time_without_a_deployment_is_read_too(tmp_path: Path) -> None:
    found = info(export(tmp_path / "snapshot_1765889880000000000.zip", TABLES))
    assert found.deployment.name.startswith("unknown:")
    assert found.source_time_ns == 1765889880000000000


@pytest.mark.parametrize("where", ["", "inner"])
def test_an_unpacked_export_keeps_the_identity_of_its_folder(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "somewhere" / NAME.removesuffix(".zip")
    unpacked(export(tmp_path / "export.zip", TABLES), folder)
    found = info(folder.parent if where else folder)
    assert found.deployment.name == "happy-animal-123"
    assert found.source_time_ns == 1765889880000000000


def test_documents_are_streamed_with_a_place_for_errors(tmp_path: Path) -> None:
    source = open_source(export(tmp_path / NAME, TABLES), deployment=None, taken_at_ns=None, flag_names=())
    assert [(table.component, table.name, table.number) for table in source.tables()] == [
        ("", "chatMessages", 10003),
        ("", "users", 10001),
        ("agent", "users", 10001),
    ]
    assert source.lists_all_tables
    assert source.where(source.tables()[2]) == f"{NAME}: _components/agent/users/documents.jsonl"
    with source.open_table(source.tables()[0]) as stream:
        assert stream.read().count(b"\n") == 2
    source.close()


def test_a_folder_or_file_that_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        info(tmp_path / "missing")
    with pytest.raises(SourceInvalid, match="is no export"):
        info(tmp_path)
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(SourceInvalid, match="is not a ZIP"):
        info(tmp_path / "x.jsonl")


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Leave the superuser for a while, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to others
        Path(name).chmod(0o755)
        path = export(Path(name) / NAME, TABLES)
        with ordinary_user():
            assert info(path).deployment.name == "happy-animal-123"
        path.chmod(0)
        with ordinary_user(), pytest.raises(SourceError, match="Permission denied"):
            info(path)


def test_a_bad_source_leaves_no_store_behind(tmp_path: Path) -> None:
    bad = [message(1), message(2, _id="j57000820c20a1g7104gm2rc1m70ynr9")]
    source = open_source(
        export(tmp_path / NAME, {":chatMessages": bad}), deployment=None, taken_at_ns=None, flag_names=()
    )
    with pytest.raises(SourceInvalid, match=r"chatMessages/documents\.jsonl: line 1: _id j57\w+ is no document id"):
        collect(source, tmp_path / "store.duckdb")
    source.close()
    assert not (tmp_path / "store.duckdb").exists()


def test_a_zip_and_its_folder_are_the_same_collection(tmp_path: Path) -> None:
    path = export(tmp_path / NAME, TABLES)
    folder = unpacked(path, tmp_path / NAME.removesuffix(".zip"))
    results = []
    for each in (path, folder):
        source = open_source(each, deployment=None, taken_at_ns=None, flag_names=())
        results.append(collect(source, tmp_path / "store.duckdb"))
        source.close()
    assert [result.already_present for result in results] == [False, True]
    with Store.read(tmp_path / "store.duckdb") as store:
        assert len(store.snapshots()) == 1


@pytest.mark.parametrize("broken_ms", [-1e308, -5.0, 1e13, 1e308])
def test_a_creation_time_that_no_clock_shows_tells_nothing_of_when_an_export_was_made(
    tmp_path: Path, broken_ms: float
) -> None:
    found = {":chatMessages": [message(1), message(2, _creationTime=broken_ms)]}
    for name, documents in (("both", found), ("broken", {":chatMessages": found[":chatMessages"][1:]})):
        source = open_source(
            export(tmp_path / f"{name}.zip", documents), deployment=name, taken_at_ns=None, flag_names=()
        )
        stored = collect(source, tmp_path / "s.duckdb").snapshot
        source.close()
        basis = {"both": "newest-creation-time", "broken": "local-clock"}[name]
        assert stored.time_basis == basis
        assert (stored.as_of_ms == 1765889000001) == (name == "both")


def test_an_export_without_documents_is_of_the_time_it_was_collected(tmp_path: Path) -> None:
    source = open_source(export(tmp_path / "x.zip", {":users": []}), deployment="d", taken_at_ns=None, flag_names=())
    stored = collect(source, tmp_path / "s.duckdb").snapshot
    source.close()
    assert (stored.time_basis, stored.as_of_ms) == ("local-clock", stored.taken_at_ms)
