"""Documents that are loaded beside the pages: the store is the same, and what cannot be loaded is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer.collect import gathering
from analyzer.errors import SourceInvalid
from analyzer.model import TableRef
from analyzer.store import IncomingTable
from analyzer.store.preloading import Preloading
from tests.collect.test_live import gather, message
from tests.deployment.deployment import Deployment

MESSAGES = TableRef("", "chatMessages")
TEXT = "a text that no file may keep"


def rows(store: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(store), read_only=True) as opened:
        return opened.execute("select * exclude (revision_ns) from revision_messages order by id").fetchall()


def spooled(folder: Path, lines: list[str]) -> IncomingTable:
    path = folder / "documents.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    return IncomingTable(MESSAGES, len(lines), path, "here: chatMessages", is_numbered=True)


@pytest.mark.parametrize("batch_documents", [4, 1_000])
def test_a_store_holds_the_same_whether_or_not_documents_were_loaded_beside_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_documents: int
) -> None:
    with Deployment(sync_rows=3) as d:
        d.insert_many("chatMessages", [message(d, status) | {"odd": 1.0} for status in ("complete", "failed")] * 10)
        gather(d, tmp_path / "beside-none.duckdb", batch_documents=batch_documents)
        monkeypatch.setattr(gathering, "PRELOADED_DOCUMENTS", 2)
        gather(d, tmp_path / "beside.duckdb", batch_documents=batch_documents)
    assert rows(tmp_path / "beside.duckdb") == rows(tmp_path / "beside-none.duckdb")


def test_the_file_of_a_spool_is_private_and_without_its_texts_which_are_gone(tmp_path: Path) -> None:
    line = json.dumps({"_id": "k1", "content": TEXT, "leftovers": None, "$row": 0})
    incoming = spooled(tmp_path, [line])
    with Preloading(tmp_path, [], keep_text=False) as preloading:
        file = preloading.start(incoming, 7).result()
        with duckdb.connect() as asked:
            found = asked.execute("select revision_no, id, content_length from read_parquet($f)", {"f": str(file)})
            assert found.fetchall() == [(7, "k1", len(TEXT))]
    assert file.stat().st_mode & 0o077 == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert TEXT.encode() not in file.read_bytes()


def test_what_cannot_be_loaded_is_named_and_nothing_behind_it_is_loaded(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    line = json.dumps({"_id": "k1", "leftovers": None, "$row": 0})
    twice = spooled(bad, [line, line.replace('{"_id"', '{"role": "USER", "role": "USER", "_id"').replace(": 0", ": 1")])
    with Preloading(tmp_path, [], keep_text=False) as preloading:
        refused, behind = preloading.start(twice, 0), preloading.start(spooled(good, [line]), 2)
        for outcome in (refused, behind):
            with pytest.raises(SourceInvalid, match=r"here: chatMessages: line 2: field 'role' stands twice"):
                outcome.result()
    assert not list(tmp_path.rglob("good/*.parquet"))
