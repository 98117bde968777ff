from __future__ import annotations

import hashlib
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from analyzer.convex import values
from analyzer.convex.archive import Archive, open_archive
from analyzer.convex.archive_writer import StoredFile
from analyzer.model import TableRef
from tests.convex.exports import export, make_id, message, tables, unpacked, zip_of
from tests.convex.test_values import same

FILE_ID = "kg27rxfv99gzp01wmph0gvt92d6hnvy6"


def documents(archive: Archive) -> dict[str, list[Any]]:
    found = {}
    for table in archive.tables:
        with archive.open_table(table) as stream:
            lines = stream.read().splitlines()
        found[f"{table.component}:{table.name}"] = [values.loads(line, "export_json") for line in lines]
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_an_export_gives_back_exactly_the_documents_that_were_written(
    tmp_path: Path, written: dict[str, list[dict[str, Any]]]
) -> None:
    path = export(tmp_path / "export.zip", written)
    with open_archive(path) as archive:
        assert same(documents(archive), written)
        assert archive.lists_all_tables
        assert not archive.warnings


def test_the_same_documents_give_the_same_bytes_in_whatever_order_they_come(tmp_path: Path) -> None:
    made = [message(n) for n in range(5)]
    one = export(tmp_path / "one.zip", {":chatMessages": made, ":users": []})
    two = export(tmp_path / "two.zip", {":users": [], ":chatMessages": made[::-1]})
    assert one.read_bytes() == two.read_bytes()


def test_an_export_is_written_as_the_platform_writes_it(tmp_path: Path) -> None:
    stored = StoredFile(FILE_ID, 1.5, b"bytes", "0b6d3f5e-0000-4000-8000-000000000000", "image/png", ".png")
    path = export(
        tmp_path / "export.zip",
        {":chatMessages": [message(1)], ":users": [], "agent/cache:entries": []},
        storage=[stored],
    )
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            "README.md",
            "_tables/documents.jsonl",
            "_components/agent/_tables/documents.jsonl",
            "_components/agent/_components/cache/_tables/documents.jsonl",
            "users/documents.jsonl",
            "users/generated_schema.jsonl",
            "_components/agent/_components/cache/entries/documents.jsonl",
            "_components/agent/_components/cache/entries/generated_schema.jsonl",
            "chatMessages/documents.jsonl",
            "chatMessages/generated_schema.jsonl",
            "_storage/documents.jsonl",
            f"_storage/{FILE_ID}.png",
            "_components/agent/_storage/documents.jsonl",
            "_components/agent/_components/cache/_storage/documents.jsonl",
        ]
        assert all(info.flag_bits & 0x08 for info in archive.infolist())  # sizes stand in data descriptors
        assert archive.getinfo("users/documents.jsonl").file_size == 0
        assert archive.read("users/generated_schema.jsonl") == b'"uniform"\n'
        assert archive.read("_tables/documents.jsonl") == (
            b'{"name":"users","id":10001}\n{"name":"chatMessages","id":10003}\n'
        )
        line = archive.read("chatMessages/documents.jsonl")
    assert line.startswith(b'{"_creationTime":1765889000001.5,"_id":"')
    assert list(orjson.loads(line)) == sorted(orjson.loads(line))


def test_stored_files_are_listed_with_whether_their_bytes_are_there(tmp_path: Path) -> None:
    stored = StoredFile(FILE_ID, 1.5, b"bytes", "0b6d3f5e-0000-4000-8000-000000000000", "image/png", ".png")
    path = export(tmp_path / "export.zip", {":users": []}, storage=[stored])
    with open_archive(path) as archive:
        [found] = archive.storage_files()
    assert (found.id, found.size_bytes, found.content_type, found.is_present) == (FILE_ID, 5, "image/png", True)


@pytest.mark.parametrize("lead", ["", "snapshot"])
def test_a_folder_reads_as_the_zip_it_came_from(tmp_path: Path, lead: str) -> None:
    written: dict[str, list[dict[str, Any]]] = {
        ":chatMessages": [message(1), message(2)],
        ":users": [],
        "agent:users": [{"_id": make_id("users", 1, "agent"), "_creationTime": 1.0}],
        "agent/cache:entries": [],
    }
    path = export(tmp_path / "export.zip", written, storage=[])
    unpacked(path, tmp_path / "unpacked" / lead)
    with open_archive(path) as packed, open_archive(tmp_path / "unpacked") as folder:
        assert folder.tables == packed.tables
        assert folder.tables_hash == packed.tables_hash
        assert documents(folder) == documents(packed) == written
        assert folder.lead == lead


def test_a_leading_folder_in_a_zip_is_tolerated(tmp_path: Path) -> None:
    path = export(tmp_path / "export.zip", {":chatMessages": [message(1)]})
    with zipfile.ZipFile(path) as archive:
        moved = {f"snapshot/{name}": archive.read(name) for name in archive.namelist()}
    junk = {"snapshot/": b"", "__MACOSX/snapshot/users/._documents.jsonl": b"\0", "snapshot/.DS_Store": b"\0"}
    with open_archive(zip_of(tmp_path / "moved.zip", junk | moved)) as archive:
        assert archive.tables == (TableRef("", "chatMessages", 10003),)
        assert archive.lead == "snapshot"
        assert archive.where(archive.tables[0]) == "moved.zip: snapshot/chatMessages/documents.jsonl"


def test_the_hash_of_tables_is_that_of_the_roots_list(tmp_path: Path) -> None:
    path = export(tmp_path / "export.zip", {":chatMessages": [], "agent:users": []})
    with open_archive(path) as archive:
        assert archive.tables_hash == hashlib.sha256(b'{"name":"chatMessages","id":10003}\n').hexdigest()


def test_without_a_list_of_tables_the_export_is_read_with_a_warning(tmp_path: Path) -> None:
    with open_archive(zip_of(tmp_path / "export.zip", {"users/documents.jsonl": b""})) as archive:
        assert archive.tables == (TableRef("", "users", None),)
        assert not archive.lists_all_tables
        assert "no _tables" in archive.warnings[0]


def test_a_listed_table_that_is_not_held_makes_the_list_incomplete(tmp_path: Path) -> None:
    listing = b'{"name":"users","id":10001}\n{"name":"tasks","id":10002.0}\n'
    entries = {"_tables/documents.jsonl": listing, "users/documents.jsonl": b"", "extra/documents.jsonl": b""}
    with open_archive(zip_of(tmp_path / "export.zip", entries)) as archive:
        assert not archive.lists_all_tables
        assert any("not held: tasks" in warning for warning in archive.warnings)
        assert any("not listed in _tables: extra" in warning for warning in archive.warnings)


def test_tables_of_the_system_are_skipped_with_a_warning(tmp_path: Path) -> None:
    entries = {"_tables/documents.jsonl": b"", "_purged_users/documents.jsonl": b"{}"}
    with open_archive(zip_of(tmp_path / "export.zip", entries)) as archive:
        assert archive.tables == ()
        assert "_purged_users" in archive.warnings[0]


def test_both_kinds_of_generated_schema_are_recognised(tmp_path: Path) -> None:
    entries = {
        "_tables/documents.jsonl": b'{"name":"a","id":1}\n{"name":"b","id":2}\n{"name":"c","id":3}\n',
        "a/documents.jsonl": b"",
        "a/generated_schema.jsonl": b'"uniform"\n',
        "b/documents.jsonl": b"",
        "b/generated_schema.jsonl": b'"{_id: id<b>, n: int64}"\n{"' + FILE_ID.encode() + b'":{"n":"int64"}}\n',
        "c/documents.jsonl": b"",
    }
    with open_archive(zip_of(tmp_path / "export.zip", entries)) as archive:
        a, b, c = (archive.generated_schema(table) for table in archive.tables)
        assert a is not None
        assert a.is_uniform
        assert b is not None
        assert (b.is_uniform, b.shape, b.overrides) == (False, "{_id: id<b>, n: int64}", 1)
        assert c is None
        assert archive.warnings == [
            "export.zip: 1 table written by an older version, which does not tell int64 and bytes from strings: b"
        ]


def test_memory_does_not_grow_with_the_size_of_a_table(tmp_path: Path) -> None:
    line = b'{"_id":"%s","text":"%s"}\n' % (FILE_ID.encode(), bytes(range(48, 91)) * 20)
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file, file.open("t/documents.jsonl", "w") as entry:
        for _ in range(50):
            entry.write(line * (2**20 // len(line)))
    tracemalloc.start()
    with open_archive(path) as archive, archive.open_table(archive.tables[0]) as stream:
        size_bytes = sum(len(block) for block in iter(lambda: stream.read(1 << 18), b""))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size_bytes > 49 * 2**20
    assert peak_bytes < 3 * 2**20
