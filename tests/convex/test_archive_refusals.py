from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.convex.archive import open_archive
from analyzer.errors import SourceError, SourceInvalid
from tests.convex.exports import export, message, unpacked, zip_of

TABLES = b'{"name":"users","id":10001}\n'
USER = b'{"_id":"j57000820c20a1g7104gm2rc1m70ynr8"}\n'


def read(path: Path) -> dict[str, bytes]:
    """Read all documents; whatever is wrong must come out as SourceInvalid."""
    with open_archive(path) as archive:
        found = {}
        for table in archive.tables:
            with archive.open_table(table) as stream:
                found[archive.where(table)] = stream.read()
        return found


def refusal(path: Path) -> str:
    with pytest.raises(SourceInvalid) as caught:
        read(path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    tables = {":chatMessages": [message(n) for n in range(3)], ":users": [], "agent:users": []}
    return export(tmp_path_factory.mktemp("sound") / "export.zip", tables, storage=[]).read_bytes()


@pytest.mark.slow
def test_an_export_cut_short_at_any_byte_is_refused(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "cut.zip"
    for size in range(len(sound)):
        path.write_bytes(sound[:size])
        assert refusal(path).startswith("cut.zip")


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_are_refused_or_change_nothing(
    tmp_path: Path, sound: bytes, flips: list[tuple[float, int]]
) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(sound)
    expected = read(path)
    damaged = bytearray(sound)
    for share, mask in flips:
        damaged[int(share * len(damaged))] ^= mask
    path.write_bytes(damaged)
    try:
        found = read(path)
    except SourceInvalid:
        return
    assert found == expected


@pytest.mark.slow
def test_no_single_flipped_byte_of_the_directory_goes_unnoticed_or_matters(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(sound)
    expected = read(path)
    start = sound.index(b"PK\x01\x02")
    for position in range(start, len(sound)):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 0x21]) + sound[position + 1 :])
        try:
            assert read(path) == expected
        except SourceInvalid:
            continue


def test_what_is_not_there_or_not_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        open_archive(tmp_path / "nothing.zip")
    for content in (b"", b"not a zip at all", b"{}\n" * 1000):
        (tmp_path / "file.zip").write_bytes(content)
        assert "is not a ZIP file" in refusal(tmp_path / "file.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert "is no export" in refusal(tmp_path / "empty.zip")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../users/documents.jsonl", "a path that leads out of the archive"),
        ("a/../../users/documents.jsonl", "a path that leads out of the archive"),
        ("..\\users\\documents.jsonl", "a path that leads out of the archive"),
        ("/users/documents.jsonl", "an absolute path"),
        ("\\\\server\\users\\documents.jsonl", "an absolute path"),
        ("C:/users/documents.jsonl", "an absolute path"),
        ("users//documents.jsonl", "a malformed path"),
        ("users\\documents.jsonl", "a malformed path"),
        ("_storage/../../etc/passwd", "a path that leads out of the archive"),
    ],
)
def test_a_path_that_is_not_plain_is_refused(tmp_path: Path, name: str, said: str) -> None:
    path = zip_of(tmp_path / "export.zip", {"_tables/documents.jsonl": TABLES, name: b""})
    assert refusal(path).endswith(f": {said}")


@pytest.mark.parametrize(
    "name", ["1users", "my-table", "usérs", "a b", "x" * 65, "_", "_a-b", "\x1b[31mred", "na\u202eme"]
)
def test_a_table_name_that_is_no_identifier_is_refused_and_shown_harmlessly(tmp_path: Path, name: str) -> None:
    said = refusal(zip_of(tmp_path / "export.zip", {f"{name}/documents.jsonl": b""}))
    assert "is no identifier" in said
    assert said.isprintable()


def test_a_component_name_that_is_no_identifier_is_refused(tmp_path: Path) -> None:
    said = refusal(zip_of(tmp_path / "export.zip", {"_components/a-b/users/documents.jsonl": b""}))
    assert "is no identifier" in said
    assert "without tables" in refusal(zip_of(tmp_path / "e.zip", {"_components/users/documents.jsonl": b""}))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("users/documents.jsonl", b""), ("users/documents.jsonl", b"")], "2 entries of this name"),
        ([("users/documents.jsonl", b""), ("snapshot/users/documents.jsonl", b"")], "two entries for one table"),
        ([("a/users/documents.jsonl", b""), ("b/users/documents.jsonl", b"")], "two entries for one table"),
        ([("a/users/documents.jsonl", b""), ("b/tasks/documents.jsonl", b"")], "a second export beside the first"),
    ],
)
def test_two_entries_for_one_table_are_refused(tmp_path: Path, entries: list[tuple[str, bytes]], said: str) -> None:
    assert said in refusal(zip_of(tmp_path / "export.zip", entries))


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (b"nonsense\n", "line 1: not the name and number of a table"),
        (b'{"name":"users","id":10001}\n{"name":"tasks"}\n', "line 2: not the name and number of a table"),
        (b'{"name":"users","id":true}\n', "line 1: not the name and number of a table"),
        (b'{"name":"no-name","id":10001}\n', "line 1: 'no-name' is no identifier"),
        (b'{"name":"users","id":10001}\n{"name":"users","id":10002}\n', "line 2: table users or number 10002"),
        (b'{"name":"users","id":10001}\n{"name":"tasks","id":10001}\n', "line 2: table tasks or number 10001"),
    ],
)
def test_a_list_of_tables_that_is_wrong_is_refused_with_its_line(tmp_path: Path, listing: bytes, said: str) -> None:
    found = refusal(zip_of(tmp_path / "export.zip", {"_tables/documents.jsonl": listing}))
    assert found.startswith(f"export.zip: _tables/documents.jsonl: {said}")


def test_an_encrypted_entry_is_refused(tmp_path: Path, sound: bytes) -> None:
    damaged = bytearray(sound)
    damaged[sound.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "export.zip").write_bytes(damaged)
    assert refusal(tmp_path / "export.zip") == "export.zip: README.md: encrypted"


def test_a_wrong_checksum_is_refused_at_the_end_of_the_entry(tmp_path: Path, sound: bytes) -> None:
    entry = sound.rindex(b"chatMessages/documents.jsonl") - 46
    damaged = bytearray(sound)
    damaged[entry + 16 : entry + 20] = struct.pack("<L", struct.unpack("<L", sound[entry + 16 : entry + 20])[0] ^ 1)
    (tmp_path / "export.zip").write_bytes(damaged)
    said = refusal(tmp_path / "export.zip")
    assert said.startswith("export.zip: chatMessages/documents.jsonl: damaged or cut short")
    assert "CRC" in said


def test_an_absurd_compression_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    line = b'{"_id":"j57000820c20a1g7104gm2rc1m70ynr8","content":"' + b"a" * 10_000_000 + b'"}\n'
    said = refusal(zip_of(tmp_path / "export.zip", {"users/documents.jsonl": line}))
    assert said.startswith("export.zip: users/documents.jsonl: absurd compression")


def test_a_few_documents_of_the_greatest_size_may_repeat_themselves(tmp_path: Path) -> None:
    line = b'{"_id":"j57000820c20a1g7104gm2rc1m70ynr8","content":"' + b"a" * 1_000_000 + b'"}\n'
    found = read(zip_of(tmp_path / "export.zip", {"users/documents.jsonl": line * 3}))
    assert found == {"export.zip: users/documents.jsonl": line * 3}


def test_a_stored_file_may_compress_as_well_as_it_likes(tmp_path: Path) -> None:
    entries = {"users/documents.jsonl": USER, "_storage/x.bin": bytes(10_000_000)}
    assert read(zip_of(tmp_path / "export.zip", entries)) == {"export.zip: users/documents.jsonl": USER}


def test_compression_that_no_export_uses_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("users/documents.jsonl", USER)
    assert "compressed by method 12" in refusal(tmp_path / "export.zip")


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    """Many names for one run of bytes unpack to more than any ratio shows."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users/documents.jsonl", USER)
        archive.writestr("tasks/documents.jsonl", USER)
    raw = bytearray(content.getvalue())
    second = raw.rindex(b"PK\x01\x02")
    raw[second + 42 : second + 46] = struct.pack("<L", 0)
    (tmp_path / "export.zip").write_bytes(raw)
    assert "points to something else" in refusal(tmp_path / "export.zip")


def test_bytes_before_the_archive_are_refused(tmp_path: Path, sound: bytes) -> None:
    (tmp_path / "export.zip").write_bytes(b"#!/bin/sh\n" + sound)
    assert "export.zip" in refusal(tmp_path / "export.zip")


@pytest.mark.parametrize("link", ["users/documents.jsonl", "tasks", "_components", "_storage/file"])
def test_a_link_out_of_an_unpacked_folder_is_refused(tmp_path: Path, link: str) -> None:
    folder = unpacked(export(tmp_path / "export.zip", {":chatMessages": []}, storage=[]), tmp_path / "unpacked")
    outside = tmp_path / "outside"
    (outside / "tasks").mkdir(parents=True)
    (outside / "documents.jsonl").write_bytes(USER)
    target = outside / "documents.jsonl" if "/" in link else outside
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(target)
    assert refusal(folder) == f"unpacked: {link}: a symbolic link that leads out of the folder"


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    folder = unpacked(export(tmp_path / "export.zip", {":chatMessages": []}), tmp_path / "unpacked")
    (folder / "again").symlink_to(folder)
    (folder / "dangling").symlink_to(folder / "dangling")
    assert "a symbolic link" in refusal(folder)


def test_a_link_within_an_unpacked_folder_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    (folder / "users").mkdir(parents=True)
    (folder / "real.jsonl").write_bytes(USER)
    (folder / "users/documents.jsonl").symlink_to(folder / "real.jsonl")
    assert read(folder) == {"unpacked: users/documents.jsonl": USER}
