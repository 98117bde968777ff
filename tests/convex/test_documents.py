from __future__ import annotations

import io
import math
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.convex import ids
from analyzer.convex import values as codec
from analyzer.convex.documents import Screened, screen
from analyzer.convex.lines import BLOCK_BYTES, MAX_LINE_BYTES
from analyzer.convex.text import digest
from analyzer.errors import SourceInvalid
from analyzer.model import DriftCount, TableRef
from analyzer.store.columns import shape
from tests.convex.exports import make_id, message, values

MESSAGES = TableRef("", "chatMessages", 10003)
CALLS = TableRef("", "toolCalls", 10005)


def ndjson(*documents: dict[str, Any]) -> bytes:
    return b"".join(codec.dumps(document, "export_json") + b"\n" for document in documents)


def screened(folder: Path, raw: bytes, table: TableRef = MESSAGES, **options: Any) -> Screened:
    spool_dir = folder / f"spool{len(list(folder.iterdir()))}"
    spool_dir.mkdir()
    where = f"export.zip: {table.name}/documents.jsonl"
    return screen(
        io.BytesIO(raw), table, shape(table.component, table.name), where=where, spool_dir=spool_dir, **options
    )


def leftovers(found: Screened) -> dict[str, Any]:
    """Return the leftovers by id."""
    rows = map(orjson.loads, found.spool.read_bytes().splitlines())
    return {row["_id"]: orjson.loads(row["leftovers"]) for row in rows if row.get("leftovers")}


def drift(found: Screened) -> dict[tuple[str, str, str], int]:
    assert all(isinstance(item, DriftCount) and item.table == found.table.name for item in found.drift)
    return {(item.field, item.kind, item.found): item.count for item in found.drift}


def test_plain_documents_are_spooled_as_they_came(tmp_path: Path) -> None:
    raw = ndjson(*(message(n, llmModel="gpt-4o", sequence=1.0) for n in range(1, 4)))
    found = screened(tmp_path, raw)
    numbered = [line[:-1] + b',"$row":%d}' % number for number, line in enumerate(raw.splitlines())]
    assert found.spool.read_bytes().splitlines() == numbered
    assert (found.documents, found.drift, found.is_in_order) == (3, (), True)
    assert found.longest_bytes >= max(map(len, numbered))
    assert found.newest_creation_ms == 1765889000003.5
    assert stat.S_IMODE(found.spool.stat().st_mode) == 0o600


def test_whatever_has_no_column_goes_to_the_leftovers_and_is_counted(tmp_path: Path) -> None:
    unknown = message(1, clientId="c", nested={"b": 1, "a": [None]})
    mistyped = message(2, createdAt="n/a", status=None, sequence=7)
    missing = message(3, status=..., createdAt=...)
    wrapped = message(4, createdAt=float("nan"), sequence=b"x")
    found = screened(tmp_path, ndjson(unknown, mistyped, missing, wrapped, message(5)))
    assert leftovers(found) == {
        unknown["_id"]: {"clientId": "c", "nested": {"a": [None], "b": 1}},
        mistyped["_id"]: {"createdAt": "n/a", "status": None, "sequence": 7},
        wrapped["_id"]: {"createdAt": {"$float": "AAAAAAAA+H8="}, "sequence": {"$bytes": "eA=="}},
    }
    assert drift(found) == {
        ("clientId", "unknown_field", "string"): 1,
        ("nested", "unknown_field", "object"): 1,
        ("createdAt", "mistyped", "string"): 1,
        ("status", "mistyped", "null"): 1,
        ("sequence", "mistyped", "int64"): 1,
        ("status", "missing_field", ""): 1,
        ("createdAt", "missing_field", ""): 1,
        ("createdAt", "mistyped", "float64 that is not finite"): 1,
        ("sequence", "mistyped", "bytes"): 1,
    }


def test_leftovers_are_text_in_one_order_whatever_the_documents(tmp_path: Path) -> None:
    one = screened(tmp_path, b'{"_id":"%s","b":{"d":1,"c":2.0},"a":1}\n' % make_id("chatMessages", 1).encode())
    two = screened(tmp_path, b'{"a":1,"b":{"c":2.0,"d":1},"_id":"%s"}\n' % make_id("chatMessages", 1).encode())
    for found in (one, two):
        assert found.spool.read_bytes().endswith(
            b',"leftovers":"{\\"a\\":1,\\"b\\":{\\"c\\":2.0,\\"d\\":1}}","$row":0}\n'
        )


def test_text_is_reduced_and_told_but_the_tables_own_text_is_left_to_the_store(tmp_path: Path) -> None:
    found = screened(tmp_path, ndjson(message(1, metadataJson="{}", notes="n"), message(2, content=["a", None])))
    assert leftovers(found) == {
        make_id("chatMessages", 1): {"metadataJson": digest("{}"), "notes": digest("n")},
        make_id("chatMessages", 2): {"content": [digest("a"), None]},
    }
    assert drift(found) == {
        ("metadataJson", "reduced_text", ""): 1,
        ("notes", "reduced_text", ""): 1,
        ("notes", "unknown_field", "string"): 1,
        ("content", "mistyped", "array"): 1,
        ("content", "reduced_text", ""): 1,
    }


def test_kept_text_is_in_the_leftovers_and_no_drift(tmp_path: Path) -> None:
    found = screened(tmp_path, ndjson(message(1, metadataJson="{}")), keep_text=True)
    assert leftovers(found) == {make_id("chatMessages", 1): {"metadataJson": "{}"}}
    assert not found.drift


def test_a_field_of_the_name_of_the_leftovers_is_a_leftover_like_any_other(tmp_path: Path) -> None:
    found = screened(tmp_path, ndjson(message(1, leftovers="mine")))
    assert leftovers(found) == {make_id("chatMessages", 1): {"leftovers": "mine"}}


def test_a_repeated_field_is_refused_where_the_line_is_written_anew(tmp_path: Path) -> None:
    id_ = make_id("chatMessages", 1).encode()
    with pytest.raises(SourceInvalid, match="line 2: field 'createdAt' stands twice"):
        screened(tmp_path, b'{"_id":"%s"}\n{"_id":"%s","createdAt":1.0,"createdAt":"n/a"}\n' % (id_, id_))


def test_ids_that_do_not_rise_are_told(tmp_path: Path) -> None:
    far = [message(n) for n in range(3000)]
    assert screened(tmp_path, ndjson(*far)).is_in_order
    for wrong in ([message(2), message(1)], [message(1), message(1)], [*far, message(2999)], [*far, message(0)]):
        assert not screened(tmp_path, ndjson(*wrong)).is_in_order


def test_other_tables_keep_references_beside_one_text_of_all_the_rest(tmp_path: Path) -> None:
    task, call = make_id("tasks", 1), {"_id": make_id("toolCalls", 1), "_creationTime": 5.5}
    plain = call | {"taskId": task}
    odd = call | {"_id": make_id("toolCalls", 2), "_creationTime": 5, "taskId": None, "messageId": "m", "name": "n"}
    found = screened(tmp_path, ndjson(plain, odd), CALLS)
    rows = [orjson.loads(line) for line in found.spool.read_bytes().splitlines()]
    assert [row.pop("$row") for row in rows] == [0, 1]
    assert rows[0] == plain | {"leftovers": None}
    left = rows[1].pop("leftovers")
    assert rows[1] == {"_id": odd["_id"], "_creationTime": 5, "messageId": "m"}
    assert orjson.loads(left) == {"_creationTime": 5, "taskId": None, "name": "n"}
    assert (found.documents, found.newest_creation_ms) == (2, 5.5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from([*shape("", "chatMessages").fields, "x", "y"]), values), max_size=4))
def test_nothing_of_a_document_is_lost_when_text_is_kept(tmp_path: Path, made: list[dict[str, Any]]) -> None:
    documents = [fields | {"_id": make_id("chatMessages", n)} for n, fields in enumerate(made)]
    found = screened(tmp_path, ndjson(*documents), keep_text=True)
    left = leftovers(found)
    columns = {"double": float, "varchar": str, "boolean": bool}
    for document in map(orjson.loads, ndjson(*documents).splitlines()):
        expected = {
            name: value
            for name, value in document.items()
            if (
                name != "_id"
                and type(value) is not columns.get(shape("", "chatMessages").fields.get(name, ""), type(None))
            )
            or value is None
        }
        assert left.get(document["_id"], {}) == expected
    for line, document in zip(found.spool.read_bytes().splitlines(), documents, strict=True):
        row = orjson.loads(line)
        for field, type_ in shape("", "chatMessages").fields.items():
            value = document.get(field)
            is_kept = isinstance(value, columns[type_]) or (type_ == "double" and type(value) is int)
            if is_kept and not (isinstance(value, float) and not math.isfinite(value)):
                assert row[field] == value
            else:
                assert row.get(field) is None  # what the column cannot take is nowhere but in the leftovers
    calls = [document | {"_id": make_id("toolCalls", n)} for n, document in enumerate(documents)]
    rows = map(orjson.loads, screened(tmp_path, ndjson(*calls), CALLS, keep_text=True).spool.read_bytes().splitlines())
    for row, document in zip(rows, map(orjson.loads, ndjson(*calls).splitlines()), strict=True):
        left_text = row.pop("leftovers")
        del row["$row"]
        assert row | (orjson.loads(left_text) if left_text else {}) == document


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"_id":"\xff"}', "byte 9 is not UTF-8"),
        (b"[1,2]", "array, not an object"),
        (b"5", "int64, not an object"),
        (b"null", "null, not an object"),
        (b'"text"', "string, not an object"),
        (b"", "empty, not a JSON object"),
        (b'{"_id":', "not a JSON object ("),
        (b"nonsense", "not a JSON object ("),
        (b'{"a":"\\ud800"}', "not a JSON object ("),
        (b'{"content":"no id"}', "has no _id"),
        (b'{"_id":5.0}', "_id is float64, not string"),
        (b'{"_id":null}', "_id is null, not string"),
        (b'{"_id":"\x1b[31m"}', "not a JSON object ("),
        (b'{"_id":"\\u001b[31m"}', "_id \\x1b[31m is no document id: it has 5 characters"),
        (b'{"_id":"jd70000000000000000000000r"}', "is no document id"),
        (b'{"_id":"j57000820c20a1g7104gm2rc1m70ynr9"}', "is no document id: its checksum is wrong"),
        (b'{"_id":"j57000820c20a1g7104gm2rc1m70ynr8"}', "belongs to table 10001, and chatMessages is table 10003"),
        (b"[" * 100_000, "nested in more than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "has no _id"),
    ],
)
@pytest.mark.parametrize("before", [0, 2, 3000])
def test_a_line_that_no_export_holds_is_refused_by_its_number(
    tmp_path: Path, line: bytes, said: str, before: int
) -> None:
    raw = ndjson(*(message(n) for n in range(before))) + line + b"\n" + ndjson(message(9000))
    with pytest.raises(SourceInvalid) as caught:
        screened(tmp_path, raw)
    assert str(caught.value).startswith(f"export.zip: chatMessages/documents.jsonl: line {before + 1}: ")
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.hint


@pytest.mark.parametrize("table", [MESSAGES, CALLS])
def test_absurd_nesting_is_refused_by_its_line(tmp_path: Path, table: TableRef) -> None:
    id_ = make_id(table.name, 1).encode()
    raw = b'{"_id":"%s"}\n{"_id":"%s","x":%s1%s}\n' % (id_, id_, b"[" * 64, b"]" * 64)
    with pytest.raises(SourceInvalid, match="line 2: nested in more than 64 levels"):
        screened(tmp_path, raw, table)
    screened(tmp_path, raw.replace(b"[" * 64, b"[" * 63).replace(b"]" * 64, b"]" * 63), table)


def test_a_line_longer_than_any_document_is_refused_before_it_is_held_whole(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"x" * size

    with pytest.raises(SourceInvalid, match="line 1: longer than 16 MiB"):
        screen(Endless(), MESSAGES, shape("", "chatMessages"), where="x", spool_dir=tmp_path)  # type: ignore[arg-type]
    long = b'{"a":"' + b"x" * MAX_LINE_BYTES + b'"}\n'
    with pytest.raises(SourceInvalid, match="line 2: longer than 16 MiB"):
        screened(tmp_path, ndjson(message(1)) + long + ndjson(message(2)))


def test_ids_of_a_table_whose_number_is_not_listed_must_agree_with_each_other(tmp_path: Path) -> None:
    unlisted = TableRef("", "chatMessages", None)
    found = screened(tmp_path, ndjson(message(1), message(2)), unlisted)
    assert found.table == MESSAGES
    other = ids.encode(10009, bytes(16))
    with pytest.raises(SourceInvalid, match=r"line 2: _id .* belongs to table 10009, and chatMessages is table 10003"):
        screened(tmp_path, ndjson(message(1), message(2, _id=other)), unlisted)
    far = ndjson(*(message(n) for n in range(3000)))
    assert len(far) > BLOCK_BYTES
    with pytest.raises(SourceInvalid, match="line 3001"):
        screened(tmp_path, far + ndjson(message(1, _id=other)), unlisted)


def test_an_empty_table_and_a_last_line_without_a_line_feed_are_read(tmp_path: Path) -> None:
    assert screened(tmp_path, b"").documents == 0
    assert screened(tmp_path, b"").newest_creation_ms is None
    assert screened(tmp_path, ndjson(message(1), message(2))[:-1]).documents == 2
    assert screened(tmp_path, ndjson(message(1)).replace(b"\n", b"\r\n")).documents == 1


def test_drift_without_end_is_counted_under_one_name(tmp_path: Path) -> None:
    found = screened(tmp_path, ndjson(*(message(n, **{f"field{n}": True}) for n in range(1200))))
    assert len(found.drift) <= 1001
    assert sum(item.count for item in found.drift) == 1200
    assert len(leftovers(found)) == 1200


def test_memory_does_not_grow_with_the_number_of_documents(tmp_path: Path) -> None:
    def peak_bytes(documents: int) -> int:
        raw = io.BytesIO(ndjson(*(message(n, odd=f"{n}") for n in range(200))) * (documents // 200))
        tracemalloc.start()
        screen(raw, MESSAGES, shape("", "chatMessages"), where="x", spool_dir=tmp_path / str(documents))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    for documents in (1000, 4000, 16000):
        (tmp_path / str(documents)).mkdir()
    peak_bytes(1000)
    assert peak_bytes(16000) < 1.5 * peak_bytes(4000)


def test_a_document_with_fields_named_like_those_of_a_spool_keeps_them(tmp_path: Path) -> None:
    documents = [message(1, leftovers=5.0), message(2)]
    raw = ndjson(*documents).replace(b'"leftovers"', b'"$row":7,"leftovers"')
    rows = [orjson.loads(line) for line in screened(tmp_path, raw).spool.read_bytes().splitlines()]
    assert [row["$row"] for row in rows] == [0, 1]
    assert orjson.loads(rows[0]["leftovers"]) == {"$row": 7, "leftovers": 5.0}
