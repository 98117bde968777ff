"""Makes an export of any size: seeded, with valid ids, realistic text, unknown fields, clashing values, leftovers.

Rows are made in slabs of columns, so memory does not grow with the size, and while one slab is made another is
compressed: about a million messages in half a minute. Documents lie in the order of their ids, as in a real export.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from analyzer.convex import ids

START_MS = 1_765_889_880_000.0
SPAN_MS = 30 * 86_400_000  # documents are spread over thirty days before START_MS
SLAB = 20_000  # documents made at once
AGES = {"users": 2, "tasks": 1}  # times SPAN_MS that these are older than the rest: nothing names what is not there yet
USERS = 100
CORPUS_WORDS = 400_000  # far more than the window of deflate: texts compress as prose does, not as copies do
HELPER_PROMPT = "Test prompt for promptMessageId verification"

Slab = Mapping[str, Any]  # what the columns of some rows are made from; see `_slab`
Column = Callable[[Slab], Sequence[str]]  # JSON of one field in each row; "" where a document lacks it
_TABLES = [
    "users", "tasks", "chatMessages", "workflowTraces", "workflowSteps", "toolCalls", "agentTools", "toolLogs",
    "todos", "memories", "taskSessions", "fileChanges", "terminalOutput", "commandLogs", "workspaceStatus",
    "presence", "activities", "streamingMetrics", "gitState", "virtualFiles", "daytonaSandboxes",
    "pullRequestSnapshots",
]  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(_TABLES, start=10_001)}


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the app."""

    documents: Callable[[int], int]  # how many, by how many messages there are
    fields: Mapping[str, Column]
    unknown: frozenset[str] = frozenset()  # fields that the app's schema does not have


def export(path: Path, messages: int, *, seed: int = 1, changed_share: float = 0.0) -> Path:
    """Write an export with this many messages, a quarter as many traces, a task for every twenty, and all else.

    changed_share  0..1: how many of the messages differ from those written with 0
    """
    sizes = {name: table.documents(messages) for name, table in TABLES.items()}
    corpus = _Corpus(seed)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=2) as archive:
        listed = "".join(_json({"name": n, "id": i}) + "\n" for n, i in NUMBERS.items())
        archive.writestr(_entry("README.md"), "an export")
        archive.writestr(_entry("_tables/documents.jsonl"), listed)
        for name in sorted(sizes, key=lambda name: (sizes[name], NUMBERS[name])):  # as exports do: the largest last
            changed_every = round(1 / changed_share) if changed_share and name == "chatMessages" else 0
            with archive.open(_entry(f"{name}/documents.jsonl"), "w", force_zip64=True) as entry:
                _write(entry, (_lines(name, slab) for slab in _slabs(name, sizes, seed, corpus, changed_every)))
            archive.writestr(_entry(f"{name}/generated_schema.jsonl"), '"uniform"\n')
    return path


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an entry whose time is not the clock's: the same arguments write the same bytes."""
    entry = zipfile.ZipInfo(name, (2025, 12, 16, 12, 58, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def columns(table: str) -> dict[str, str]:
    """Return the explicit columns with which `read_json` reads a table; fields without one are dropped."""
    numbers = frozenset(
        ["_creationTime", "sequence", "startedAt", "totalDurationMs", "updatedAt", "durationMs", "size"]
    )
    names = ("_creationTime", "_id", *(f for f in TABLES[table].fields if f not in TABLES[table].unknown))
    return {name: "BOOLEAN" if name == "isScratchpad" else "DOUBLE" if name in numbers else "VARCHAR" for name in names}


def ids_of(table: str, numbers: Any, count: int) -> list[str]:
    """Return ids of a table with `count` documents, by the documents' numbers; rising with them."""
    at = np.asarray(numbers, dtype=np.uint64)
    step = np.uint64(2**64 // (count + 1))
    random = np.stack([at * step + _mixed(at, 1) % step, _mixed(at, NUMBERS[table])], axis=1).astype(">u8")
    raw = np.empty((len(at), 20), dtype=np.uint8)
    raw[:, :2] = np.frombuffer(bytes((NUMBERS[table] & 0x7F | 0x80, NUMBERS[table] >> 7)), dtype=np.uint8)
    raw[:, 2:18] = random.view(np.uint8).reshape(-1, 16)
    raw[:, 18] = raw[:, :18].sum(axis=1, dtype=np.uint8)
    raw[:, 19] = (raw[:, :18] * np.arange(18, 0, -1, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    bits = np.unpackbits(raw, axis=1).reshape(-1, 32, 5)
    digits = (bits * np.array([16, 8, 4, 2, 1], dtype=np.uint8)).sum(axis=2, dtype=np.uint8)
    alphabet = np.frombuffer(ids.ALPHABET.encode(), dtype=np.uint8)
    found: list[str] = np.char.decode(alphabet[digits].view("S32").ravel(), "ascii").tolist()
    return found


def _mixed(at: Any, salt: int) -> Any:
    """Return a random-looking 64-bit number for each number (splitmix64)."""
    z = at + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _write(entry: IO[bytes], blocks: Iterator[bytes]) -> None:
    """Compress one block while the next is made."""
    with ThreadPoolExecutor(1) as pool:
        last = None
        for block in blocks:
            if last is not None:
                last.result()
            last = pool.submit(entry.write, block)
        if last is not None:
            last.result()


def _slabs(name: str, sizes: Mapping[str, int], seed: int, corpus: _Corpus, changed_every: int) -> Iterator[Slab]:
    for first in range(0, sizes[name], SLAB):
        at = np.arange(first, min(first + SLAB, sizes[name]))
        chance = np.random.default_rng([seed, NUMBERS[name], first])
        made_ms = START_MS - AGES.get(name, 0) * SPAN_MS - np.round(chance.random(len(at)) * SPAN_MS, 4)
        yield {
            "at": at,
            "chance": chance,
            "corpus": corpus,
            "sizes": sizes,
            "made_ms": made_ms,
            "ids": ids_of(name, at, sizes[name]),
            "changed": at % changed_every == 0 if changed_every else np.zeros(len(at), dtype=bool),
        }


def _lines(name: str, slab: Slab) -> bytes:
    made = [column(slab) for column in TABLES[name].fields.values()]
    parts = [
        [f',"{field}":{v}' if v else "" for v in found] for field, found in zip(TABLES[name].fields, made, strict=True)
    ]
    row = '{"_creationTime":%s,"_id":"%s"' + "%s" * len(parts) + "}\n"
    return "".join(
        map(row.__mod__, zip(map(repr, slab["made_ms"].tolist()), slab["ids"], *parts, strict=True))
    ).encode()


class _Corpus:
    """Prose without end: words by how often people use them, some of them code, some beyond ASCII."""

    def __init__(self, seed: int) -> None:
        chance = np.random.default_rng([seed, 0])
        sounds = [
            "ba", "de", "fi", "lo", "mu", "ra", "se", "ti", "vo", "ker", "lin", "sta", "tor", "pre", "con", "ing",
            "er", "on", "al", "is", "un", "mer", "tra", "que",
        ]  # fmt: skip
        made = ["".join(chance.choice(sounds, n)) for n in chance.integers(1, 5, 4000)]
        made[7::50] = ["`retry()`", "naïve", "→", "日本語", "🙂", '\\"quoted\\"', "\\n", "src/app.ts:42"] * 10
        weights = 1 / np.arange(1, len(made) + 1) ** 0.9
        words = np.array(made)[chance.choice(len(made), CORPUS_WORDS, p=weights / weights.sum())].tolist()
        self._text = " ".join(words)
        self._starts = np.cumsum([0] + [len(word) + 1 for word in words])

    def texts(self, chance: np.random.Generator, count: int, words: int) -> list[str]:
        """Return JSON strings; `words` is their median length, some are twenty times as long."""
        long = np.minimum(words * 20, chance.lognormal(np.log(words), 0.7, count)).astype(int) + 1
        first = chance.integers(0, CORPUS_WORDS - words * 20 - 2, count)
        return [
            f'"{self._text[a : b - 1]}"'
            for a, b in zip(self._starts[first].tolist(), self._starts[first + long].tolist(), strict=True)
        ]


def _one(value: Any) -> Column:
    """The same value in every document."""
    return lambda slab: [_json(value)] * len(slab["at"])


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _absent(slab: Slab) -> list[str]:
    return [""] * len(slab["at"])


def _some(**shares: float) -> Column:
    """One of several texts, by how often."""
    values, weights = np.array([f'"{value}"' for value in shares]), np.array(list(shares.values()))
    return lambda slab: slab["chance"].choice(values, len(slab["at"]), p=weights / weights.sum()).tolist()


def _ref(table: str) -> Column:
    """The id of any document of a table."""

    def made(slab: Slab) -> list[str]:
        count = slab["sizes"][table]
        return [f'"{id_}"' for id_ in ids_of(table, slab["chance"].integers(0, count, len(slab["at"])), count)]

    return made


def _text(words: int, share: float = 1.0) -> Column:
    def made(slab: Slab) -> list[str]:
        there = (slab["chance"].random(len(slab["at"])) < share).tolist()
        texts = slab["corpus"].texts(slab["chance"], len(there), words)
        return [text if is_there else "" for text, is_there in zip(texts, there, strict=True)]

    return made


def _number(low: int, high: int) -> Column:
    """A float64 as the platform writes a whole one."""
    return lambda slab: [f"{n}.0" for n in slab["chance"].integers(low, high, len(slab["at"])).tolist()]


def _time(slab: Slab) -> list[str]:
    return [f"{n}.0" for n in np.floor(slab["made_ms"]).astype(np.int64).tolist()]


def _counted(form: str, every: int = 1) -> Column:
    """The document's number in a text."""
    return lambda slab: [f'"{form % n}"' if n % every == 0 else "" for n in slab["at"].tolist()]


def _except(column: Column, value: Any, every: int, offset: int = 0) -> Column:
    """Another value in every so manieth document: what clashes with its column, or what a test's helper leaves."""
    said = _json(value)

    def made(slab: Slab) -> list[str]:
        return [
            said if n % every == offset else usual for n, usual in zip(slab["at"].tolist(), column(slab), strict=True)
        ]

    return made


def _message_status(slab: Slab) -> list[str]:
    found = _some(complete=96, failed=2, pending=2)(slab)
    other = {'"complete"': '"failed"', '"failed"': '"complete"', '"pending"': '"complete"'}
    return [
        other[status] if changed else status for status, changed in zip(found, slab["changed"].tolist(), strict=True)
    ]


def _owned(**fields: Column) -> dict[str, Column]:
    """The fields of a small table whose documents belong to a task, in byte order as the platform writes them."""
    return dict(sorted((fields | {"createdAt": _time, "taskId": _ref("tasks")}).items()))


TABLES: Mapping[str, Table] = {
    **{
        name: Table(lambda messages: messages // 500, _owned(status=_some(active=3, done=1), note=_text(8)))
        for name in _TABLES  # those that are not told below
    },
    "users": Table(
        lambda _: USERS,
        {"createdAt": _time, "email": _counted("u%d@example.com"), "name": _counted("User %d")},
    ),
    "tasks": Table(
        lambda messages: max(1, messages // 20),
        {
            "createdAt": _time,
            "isScratchpad": _except(_one(False), True, 50),
            "mainModel": _some(**{"acme/model-4": 3, "acme/model-5": 2}),
            "repoFullName": _except(_one("acme/widgets"), "test/test-repo", 50),
            "status": _some(RUNNING=5, COMPLETED=3, STOPPED=1, ARCHIVED=1),
            "title": _counted("Task %d"),
            "updatedAt": _time,
            "userId": _ref("users"),
            "workspacePath": _except(_one("/workspace"), "/tmp/test", 50),
        },
    ),
    "chatMessages": Table(
        lambda messages: messages,
        {
            "clientHints": _except(_except(_absent, {"tab": 3, "viewport": [1280, 800]}, 9), {"tab": 4}, 70),
            "content": _except(_text(55), HELPER_PROMPT, 5000, 7),
            "createdAt": _except(_time, "n/a", 1000),
            "editedAt": _except(_absent, None, 800, 3),
            "llmModel": _except(_some(**{"acme/model-4": 3, "acme/model-5": 2}), "test-model", 5000, 7),
            "metadataJson": _text(12, 0.02),
            "role": _some(USER=1, ASSISTANT=1),
            "sequence": _except(_number(0, 60), 7, 900, 11),
            "status": _message_status,
            "taskId": _ref("tasks"),
        },
        unknown=frozenset({"clientHints"}),
    ),
    "workflowTraces": Table(
        lambda messages: messages // 4,
        {
            "createdAt": _time,
            "model": _some(**{"acme/model-4": 3, "acme/model-5": 2}),
            "retryCount": _number(0, 2),
            "startedAt": _time,
            "status": _some(COMPLETED=96, FAILED=3, STARTED=1),
            "taskId": _ref("tasks"),
            "totalDurationMs": _number(500, 20_000),
            "traceId": _counted("trace_%d"),
            "workflowType": _one("streamChatWithTools"),
        },
    ),
    "toolCalls": Table(
        lambda messages: messages // 20,
        _owned(name=_some(read=3, edit=2, shell=1), args=_text(15), durationMs=_number(5, 9000)),
    ),
    "streamingMetrics": Table(
        lambda messages: messages // 20, _owned(messageId=_ref("chatMessages"), size=_number(1, 900))
    ),
    "terminalOutput": Table(lambda messages: messages // 50, _owned(output=_text(120), sequence=_number(0, 900))),
    "workflowSteps": Table(
        lambda messages: messages // 50, _owned(step=_some(plan=1, act=3, check=1), durationMs=_number(5, 9000))
    ),
    "pullRequestSnapshots": Table(
        lambda messages: messages // 500, _owned(messageId=_ref("chatMessages"), title=_counted("Change %d"))
    ),
    "virtualFiles": Table(lambda messages: messages // 500, _owned(path=_counted("src/file%d.ts"), content=_text(200))),
    "activities": Table(lambda messages: messages // 500, _owned(kind=_some(opened=3, closed=1), userId=_ref("users"))),
}
