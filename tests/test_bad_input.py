"""docs/errors.md tells what happens with bad input, and it tells the truth."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer import cli
from analyzer.convex import ids
from analyzer.convex.archive_writer import export_entries

ROOT = Path(__file__).parents[1]
NUMBER = 10_001
ID = ids.encode(NUMBER, bytes(range(16)))
OTHER_TABLES_ID = ids.encode(NUMBER + 1, bytes(range(16)))
SECOND_ID = ids.encode(NUMBER, bytes(range(1, 17)))
WRONG_CHECKSUM = ID[:-1] + ("0" if ID[-1] != "0" else "1")
DOCUMENTS = "users/documents.jsonl"

Entries = dict[str, bytes]


def user(id_: str = ID) -> bytes:
    return b'{"_id":"%s","_creationTime":1765889880000.0,"name":"Ada"}\n' % id_.encode()


def entries(documents: bytes = b"") -> Entries:
    return dict(export_entries({("", "users"): []}, {("", "users"): NUMBER})) | {DOCUMENTS: user() + documents}


def zipped(path: Path, files: Entries) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def lines(documents: bytes) -> Callable[[Path], None]:
    return lambda path: zipped(path, entries(documents))


def added(name: str, content: bytes = b"") -> Callable[[Path], None]:
    return lambda path: zipped(path, entries() | {name: content})


def a_page(path: Path) -> None:
    path.write_text("<html>sign in first</html>", encoding="utf-8")


def twice(path: Path) -> None:
    zipped(path, entries())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(DOCUMENTS, user(SECOND_ID))


def cut_short(path: Path) -> None:
    zipped(path, entries())
    path.write_bytes(path.read_bytes()[:-100])


def corrupted(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries().items():
            archive.writestr(name, content)
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Bob"))


def encrypted(path: Path) -> None:
    """Set bit 0 of the flags of every entry, where it stands: in the local header and in the directory."""
    zipped(path, entries())
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for match in re.finditer(re.escape(signature), bytes(raw)):
            raw[match.start() + offset] |= 1
    path.write_bytes(raw)


BAD_INPUTS: dict[str, Callable[[Path], None]] = {
    "no ZIP": a_page,
    "a ZIP cut short": cut_short,
    "a damaged entry": corrupted,
    "an encrypted ZIP": encrypted,
    "a name that climbs out": added("../../etc/cron.d/x"),
    "an absolute name": added("/etc/passwd"),
    "an absurd compression ratio": added("logs/documents.jsonl", b" " * (64 << 20)),
    "a line that is not UTF-8": lines(b'{"_id":"\xff"}\n'),
    "a line that is no object": lines(b"[1, 2]\n"),
    "a line cut short": lines(b'{"_id":'),
    "absurd nesting": lines(b'{"_id":"%s","x":%s}\n' % (SECOND_ID.encode(), b"[" * 100 + b"]" * 100)),
    "a document without `_id`": lines(b'{"name":"nobody"}\n'),
    "an `_id` with a wrong checksum": lines(user(WRONG_CHECKSUM)),
    "an `_id` of another table": lines(user(OTHER_TABLES_ID)),
    "an `_id` twice": lines(user()),
    "a table twice": twice,
    "a table name that is no identifier": added("not-a-table/documents.jsonl"),
    "a path that does not exist": lambda _: None,
}


def told() -> dict[str, tuple[str, str]]:
    """Return what the page says by input: the error and the exit code."""
    section = (ROOT / "docs/errors.md").read_text(encoding="utf-8").split("## Bad input")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| `(.*)` \| (\d) \|$", section, re.MULTILINE)
    return {name: (fact, code) for name, fact, code in rows}


def test_the_page_lists_exactly_the_inputs_that_are_tried() -> None:
    assert list(told()) == list(BAD_INPUTS)


@pytest.mark.parametrize("name", list(BAD_INPUTS))
def test_bad_input_ends_as_the_page_says_and_stores_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    BAD_INPUTS[name](Path("export.zip"))
    result = CliRunner().invoke(cli.main, ["collect", "export.zip", "--db", "store.duckdb"])
    error, *hint = result.stderr.splitlines()
    fact = re.sub(r"\d+ bytes that unpack", "N bytes that unpack", error.removeprefix("error: "))  # zlib's choice
    assert (fact, str(result.exit_code)) == told()[name]
    assert hint and hint[0].startswith("hint:  ")
    shown = CliRunner().invoke(cli.main, ["snapshots", "--db", "store.duckdb", "--format", "json"])
    assert not Path("store.duckdb").exists() or '"snapshots": []' in shown.stdout


def test_a_sound_export_of_the_same_kind_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    zipped(Path("export.zip"), entries())
    result = CliRunner().invoke(cli.main, ["collect", "export.zip", "--db", "store.duckdb"])
    assert result.exit_code == 0, result.stderr
