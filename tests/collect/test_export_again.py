"""An export after another one is read only where it differs, and ends as if it had been read whole."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from analyzer.collect import collect
from analyzer.convex import ids
from analyzer.convex.exported import recipe_of, screen_export
from analyzer.convex.stretches import OutOfOrderError
from analyzer.convex.values import dumps
from analyzer.errors import SourceInvalid
from analyzer.model import CollectResult, Gap, Stretch, TableRef
from analyzer.sources import open_source
from analyzer.store import Store
from analyzer.store.columns import shape
from tests.convex.exports import NUMBERS, zip_of

Documents = list[dict[str, Any]]
AT_NS = 1765890000 * 10**9
TABLES = ("revision_users", "revision_tasks", "revision_messages", "revision_traces", "revision_other")


def documents(count: int = 400) -> Documents:
    """Return messages in the order of their ids, some with fields that no one knows."""
    chance = random.Random(7)
    made = []
    for n in range(count):
        found: dict[str, Any] = {"_creationTime": 1765889000000.5 + n, "content": f"text {n}", "status": "complete"}
        if n % 9 == 0:
            found |= {"hint": {"n": n}, "status": "odd"}
        if n % 50 == 0:
            found |= {"createdAt": "n/a", "notes": "a note\nof two lines"}
        made.append(found | {"_id": ids.encode(NUMBERS["", "chatMessages"], chance.randbytes(16))})
    return sorted(made, key=lambda document: document["_id"])


def changed(found: Documents) -> Documents:
    return [document | ({"status": "failed"} if n in (5, 170) else {}) for n, document in enumerate(found)]


def fewer(found: Documents) -> Documents:
    return [*found[3:100], *found[260:399]]


CHANGES: dict[str, Callable[[Documents], Documents]] = {
    "nothing": list,
    "some changed": changed,
    "some gone": fewer,
    "the first and last gone": lambda found: found[1:-1],
    "changed and gone": lambda found: fewer(changed(found)),
    "all gone": lambda found: found[:0],
    "another order": lambda found: [*found[200:], *found[:200]],
    "one before all others": lambda found: sorted(
        [*found, found[0] | {"_id": ids.encode(10003, bytes(16))}], key=lambda d: d["_id"]
    ),
}


def add(
    store: Path,
    found: Sequence[dict[str, Any] | bytes],
    hours: int,
    *,
    blind: bool = False,
    keep_text: bool = False,
    then: Callable[[Store, CollectResult], None] | None = None,
) -> None:
    """Collect an export; blind to the one before it, as a store without stretches is."""
    if blind and store.exists():
        with duckdb.connect(str(store)) as duck:
            duck.execute("delete from export_stretch")
    lines = b"".join((d if isinstance(d, bytes) else dumps(d, "export_json")) + b"\n" for d in found)
    listed = b'{"name":"chatMessages","id":10003}\n'
    entries = {"_tables/documents.jsonl": listed, "chatMessages/documents.jsonl": lines}  # in the order that is given
    path = zip_of(store.parent / f"{store.stem}{hours}.zip", entries)
    source = open_source(path, deployment="d", taken_at_ns=AT_NS + hours * 3_600 * 10**9, flag_names=())
    try:
        collect(source, store, label="same", keep_text=keep_text, then=then)
    finally:
        source.close()


def held(store: Path) -> list[Any]:
    """Return all that a store holds but numbers of revisions."""
    with duckdb.connect(str(store), read_only=True) as duck:
        rows = [
            duck.execute(f"select * exclude (revision_no) from {table} order by all").fetchall() for table in TABLES
        ]
        rows += [duck.execute(f"select * from {table} order by all").fetchall() for table in ("coverage", "drift")]
        ends = "select count(*), sum(valid_to_ns) from revision_end"
        return [
            *rows,
            duck.execute(ends).fetchall(),
            duck.execute(
                "select * exclude (taken_at_ms, source_label, warnings) from snapshot order by all"
            ).fetchall(),
        ]


@pytest.mark.external
@pytest.mark.parametrize("name", CHANGES)
def test_what_is_stored_is_what_reading_all_of_it_stores(tmp_path: Path, name: str) -> None:
    first = documents()
    second = CHANGES[name](first)
    stores = [tmp_path / "seeing.duckdb", tmp_path / "blind.duckdb"]
    for store in stores:
        for hours, found in ((0, first), (2, second), (1 if name == "some gone" else 3, first)):
            add(store, found, hours, blind=store is stores[1])
    assert held(stores[0]) == held(stores[1])


def test_what_is_kept_of_text_decides_too(tmp_path: Path) -> None:
    stores = [tmp_path / "seeing.duckdb", tmp_path / "blind.duckdb"]
    for store in stores:
        for hours, keep_text in ((0, False), (1, True), (2, False)):
            add(store, documents(), hours, blind=store is stores[1], keep_text=keep_text)
    assert held(stores[0]) == held(stores[1])


def test_documents_that_the_store_lost_are_read_again(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    add(store, documents(), 0)
    with duckdb.connect(str(store)) as duck:
        lost = duck.execute("delete from revision_messages where content_length = 7").fetchall()[0][0]
    add(store, documents(), 1)
    with Store.read(store) as read:
        assert read.snapshot().coverage[0].added == lost > 0


def twice(document: dict[str, Any]) -> bytes:
    return b'{"_id":"%s","status":"a","status":"b"}' % document["_id"].encode()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda found: [*found, found[17]], "line 401: _id .* stands already in line 18"),
        (lambda found: [*found[:300], {"_id": "x"}, *found[300:]], "line 301: _id x is no document id"),
        (lambda found: [*found[:300], twice(found[300]), *found[301:]], "line 301: field 'status' stands twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_the_line_of_the_export(tmp_path: Path, spoil: Any, said: str) -> None:
    store = tmp_path / "s.duckdb"
    add(store, documents(), 0)
    before = held(store)
    with pytest.raises(SourceInvalid, match=said):
        add(store, spoil(documents()), 1)
    assert held(store) == before


def screened(folder: Path, found: Documents, known: tuple[Stretch, ...] = ()) -> Any:
    folder.mkdir()
    raw = b"".join(dumps(document, "export_json") + b"\n" for document in found)
    table, form = TableRef("", "chatMessages", 10003), shape("", "chatMessages")
    recipe = recipe_of("1", table, form, (), keep_text=False)
    return screen_export(io.BytesIO(raw), table, form, where="x", spool_dir=folder, known=known, recipe=recipe)


def known_of(found: Any) -> tuple[Stretch, ...]:
    rows = map(orjson.loads, found.stretches.read_bytes().splitlines())
    return tuple(
        Stretch(r["digest"], r["first_id"], r["last_id"], r["document_count"], r["newest_creation_ms"],
                tuple(tuple(item) for item in orjson.loads(r["drift_json"])))
        for r in rows
    )  # fmt: skip


def test_only_the_stretches_that_differ_are_read(tmp_path: Path) -> None:
    whole = documents(4000)
    first = screened(tmp_path / "first", whole)
    known = known_of(first)
    assert first.gaps is None
    assert 30 < len(known) < 130
    assert sum(stretch.documents for stretch in known) == first.spooled_documents == 4000
    same = screened(tmp_path / "same", whole, known)
    assert (same.spooled_documents, same.gaps, same.drift, same.documents) == (0, (), first.drift, 4000)
    assert (same.newest_creation_ms, same.table) == (first.newest_creation_ms, first.table)
    one = screened(tmp_path / "one", [*whole[:2000], whole[2000] | {"status": "failed"}, *whole[2001:]], known)
    assert 0 < one.spooled_documents < 600
    assert len(one.gaps) == 1
    gap: Gap = one.gaps[0]
    assert gap.after < whole[2000]["_id"] < (gap.before or "~")
    with pytest.raises(OutOfOrderError):
        screened(tmp_path / "mixed", [*whole[2000:], *whole[:2000]], known)
