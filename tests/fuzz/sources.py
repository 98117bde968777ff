"""Targets: exports, documents, values, ids, logs and recordings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import orjson

from analyzer.analysis.rollout_log import fill, parse_log
from analyzer.convex import ids, values
from analyzer.convex.answers import read_answer
from analyzer.convex.archive import open_archive
from analyzer.convex.documents import screen
from analyzer.convex.function_names import DEFAULT_NAMES
from analyzer.errors import UsageError
from analyzer.model import TableRef, TableShape
from analyzer.sources import open_source
from analyzer.units import visible
from tests.convex.exports import export, make_id, message
from tests.fuzz.target import Target, saved, scratch

ROOT = Path(__file__).parents[2]
SHAPE = TableShape({"createdAt": "double", "role": "varchar", "status": "varchar"}, typed=True, text_field="content")
OTHER = TableShape({}, typed=False)
TABLE = TableRef("", "chatMessages", 10003)


def _screened(data: bytes, shape: TableShape) -> None:
    path, folder = saved("documents.jsonl", data), scratch() / "spool"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with path.open("rb") as stream:
        found = screen(stream, TABLE, shape, where="export.zip: chatMessages/documents.jsonl", spool_dir=folder)
    lines = data.split(b"\n")
    assert found.documents == len(lines) - (lines[-1] == b""), "every line is a document"
    spooled = found.spool.read_bytes().splitlines()
    assert [orjson.loads(line)["_id"] for line in spooled] == [orjson.loads(line)["_id"] for line in lines if line], (
        "the spool holds the documents in order"
    )
    assert all(count.count > 0 for count in found.drift)


def read_documents(data: bytes) -> None:
    """Screen a table with typed columns, and the same as a table of no known shape."""
    _screened(data, SHAPE)
    _screened(data, OTHER)


def document_seeds() -> list[bytes]:
    rows = [message(1), message(2, extra={"a": [1, {"b": None}]}, createdAt="late"), message(3, status=5, content=...)]
    return [b"".join(values.dumps(row, "export_json") + b"\n" for row in rows), values.dumps(message(4), "export_json")]


def read_archive(data: bytes) -> None:
    """Open an export ZIP and read all of it."""
    with open_archive(saved("export.zip", data)) as archive:
        for table in archive.tables:
            folder = scratch() / "spool"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with archive.open_table(table) as stream:
                screen(stream, table, SHAPE, where=archive.where(table), spool_dir=folder)
        list(archive.storage_files())
        for table in archive.tables:
            archive.generated_schema(table)


def archive_seeds() -> list[bytes]:
    path = scratch() / "seed.zip"
    export(path, {"chatMessages": [message(1)], "tasks": [], "agent:users": [{"_id": make_id("users", 1, "agent")}]})
    return [path.read_bytes()]


def read_value(data: bytes) -> None:
    """Decode a value in each format; what was decoded is written and read back."""
    refused = 0
    for format_ in ("export_json", "convex_encoded_json", "json"):
        try:
            value = values.loads(data, format_)
        except ValueError as problem:
            refused += 1
            fact = str(problem)
            continue
        try:
            written = values.dumps(value, format_)
        except ValueError as problem:  # JSON of users may hold keys and texts that no value has
            assert format_ == "json" or "surrogate" in str(problem) or "recursion" in str(problem).lower(), problem
            continue
        again = values.loads(written, format_)
        assert values.dumps(again, format_) == written, f"{format_}: what is written reads back as the same"
    if refused == 3:
        raise UsageError(visible(fact) or "no value", hint="a value in one of three formats")


def value_seeds() -> list[bytes]:
    rich = {"a": [1, -0.0, float("inf"), b"\x00", "é", None, True, 2**63 - 1], "b": {"c": 1.5}}
    return [
        values.dumps(rich, "export_json"),
        values.dumps(rich, "convex_encoded_json"),
        values.dumps(message(1), "json"),
    ]


def read_id(data: bytes) -> None:
    """Decode an id; find ids in text; check many at once as one at a time."""
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    for number in (None, 10003):
        wrong = ids.invalid_positions(lines, number)
        first = next((line for line in lines if ids.is_valid(line)), None)
        wanted = number if number is not None else (ids.decode(first).table_number if first else -1)
        one_by_one = [
            position
            for position, line in enumerate(lines)
            if not ids.is_valid(line) or ids.decode(line).table_number != wanted
        ]
        assert wrong == one_by_one, "checking many ids gives what checking each gives"
    assert all(ids.is_valid(found) and found in text for found in ids.find(text))
    try:
        found_id = ids.decode(lines[0])
    except ValueError as problem:
        raise UsageError(visible(str(problem)), hint="an id") from None
    assert ids.encode(found_id.table_number, found_id.random) == lines[0], "an id has one form"


def id_seeds() -> list[bytes]:
    made = [ids.encode(number, bytes(range(16))) for number in (1, 127, 10003, 2**20, 2**32 - 1)]
    return ["\n".join(made).encode(), f'see "{made[2]}", \\n{made[2]} and {made[0]}'.encode(), made[2].encode()]


def read_log(data: bytes) -> None:
    """Read a rollout log; every line is accounted for, and filling in nothing changes nothing."""
    log = parse_log(data, where="rollout-log.md")
    assert [note.line for note in log.lines] == sorted(note.line for note in log.lines)
    assert fill(log, {}) == data, "a log that is filled with nothing stays as it was"


def log_seeds() -> list[bytes]:
    recorded = (ROOT / "tests/recorded/example-rollout-log.md").read_bytes()
    return [recorded, *(part for part in recorded.split(b"\n## ") if len(part) < 4000)]


def read_recording(data: bytes) -> None:
    """Read the answer of each function, from a folder as `npx convex` leaves it; the same bytes are the flags."""
    folder = scratch() / "recording"
    folder.mkdir(exist_ok=True)
    for function in DEFAULT_NAMES.all():
        (folder / f"{function.replace('/', '.').replace(':', '.')}.json").write_bytes(data)
    (folder / "flags.json").write_bytes(data)
    source = open_source(folder, deployment=None, taken_at_ns=1, flag_names=("ENABLE_WORKFLOW",))
    source.close()
    orjson.dumps([answer.value for answer in source.info.answers])
    for warning in source.info.warnings:
        assert "\n" not in warning, warning
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    for function in DEFAULT_NAMES.all():
        answer, warnings = read_answer(function, parsed, flag_names=("ENABLE_WORKFLOW",))
        assert answer is not None or warnings, "an answer that is left out has a reason"


def recording_seeds() -> list[bytes]:
    golden = (ROOT / "tests/recorded/golden-health.json").read_bytes().splitlines()
    cases = [json.loads(line.rstrip(b",")) for line in golden if line.startswith(b"{") and len(line) < 20_000]
    answers = [answer for case in cases[:3] for answer in case["expected"].values()]
    envelope = {"status": "success", "value": answers[0]}
    return [orjson.dumps(answer) for answer in [*answers, envelope, {"ENABLE_WORKFLOW": "true"}]]


TARGETS = (
    Target(
        "export ZIP", read_archive, archive_seeds, ("convex/archive.py", "convex/archive_files.py", "convex/lines.py")
    ),
    Target(
        "documents JSONL",
        read_documents,
        document_seeds,
        ("convex/documents.py", "convex/checking.py", "convex/lines.py", "convex/text.py"),
    ),
    Target("values", read_value, value_seeds, ("convex/values.py",)),
    Target("ids", read_id, id_seeds, ("convex/ids.py",)),
    Target("rollout log", read_log, log_seeds, ("analysis/rollout_log",)),
    Target(
        "recording", read_recording, recording_seeds, ("convex/answers.py", "sources/recording.py", "convex/text.py")
    ),
)
