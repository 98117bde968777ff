"""Makes hostile variants of good input: bytes torn and doubled; JSON changed in its parts, so that it stays JSON.

Everything follows from the random generator that is handed in: the same one makes the same variants.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

# What parsers trip over: limits of numbers, wrong types, emptiness, text that terminals and pages obey, depth.
NASTY_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, -1e-308, 1.0,
    "", " ", "\x00", "\x1b]8;;http://x\x07", "\u202e", "\ud83d", "é", "=1+1", "<script>", "'; drop table x; --",
    "a" * 5000, "NaN", "2025-12-16T12:58:00Z", "9999-99-99T99:99:99Z", [], [[]], {}, {"": 0}, {"$integer": "AA=="},
    {"$float": "AAAAAAAA+H8="}, {"$bytes": "!"}, {"$set": []}, [None], ["a", 1], {"_id": 1},
)  # fmt: skip
NASTY_BYTES = (
    b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\n", b"\r\n", b"{", b"}", b"[" * 200, b"]" * 200, b'"',
    b"NaN", b"Infinity", b"1e999", b"-", b"|", b"`", b"'''", b"\x1b[2J", b"\xe2\x80\xae", b"PK\x03\x04", b"PK\x05\x06",
    b"[" * 5000, b"9" * 5000, b'{"a":' * 1500, b"\\", b"\\ud800", b"=", b".",
)  # fmt: skip


def mutated(data: bytes, rng: random.Random, limit: int = 1 << 16) -> bytes:
    """Return a variant of some input, at most `limit` bytes long."""
    for _ in range(rng.randint(1, 3)):
        as_json = _json_mutated if rng.random() < 0.6 else _bytes_mutated
        data = as_json(data, rng)
    return data[:limit]


def _json_mutated(data: bytes, rng: random.Random) -> bytes:
    """Change one value in one line of JSON; input without such a line is changed as bytes."""
    lines = data.split(b"\n")
    candidates = [n for n, line in enumerate(lines) if line[:1] in (b"{", b"[")]
    whole = data[:1] in (b"{", b"[")
    if not candidates:
        return _bytes_mutated(data, rng)
    number = rng.choice(candidates)
    try:
        value = json.loads(data if whole and len(candidates) != len(lines) else lines[number])
    except (ValueError, RecursionError):
        return _bytes_mutated(data, rng)
    text = _dumped(_value_mutated(value, rng), rng)
    if whole and len(candidates) != len(lines):
        return text
    lines[number] = text
    return b"\n".join(lines)


def _value_mutated(value: Any, rng: random.Random) -> Any:
    """Change one place, chosen by walking down from the top."""
    holder = [copy.deepcopy(value)]
    parent: Any = holder
    key: Any = 0
    while isinstance(parent[key], dict | list) and parent[key] and rng.random() < 0.85:
        parent = parent[key]
        key = rng.choice(list(parent)) if isinstance(parent, dict) else rng.randrange(len(parent))
    action = rng.randrange(6)
    if action == 0 and parent is not holder:
        del parent[key]
    elif action == 1 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    elif action == 2 and isinstance(parent, dict):
        parent[rng.choice(["_id", "", "$x", "x\x00", rng.choice(list(parent))])] = parent[key]
    elif action == 3 and isinstance(parent[key], str):
        parent[key] = _bytes_mutated(parent[key].encode("utf-8", "replace"), rng).decode("utf-8", "replace")
    elif action == 4 and isinstance(parent[key], int | float):
        parent[key] = rng.choice([parent[key] + 1, -parent[key], str(parent[key]), [parent[key]]])
    else:
        parent[key] = copy.deepcopy(rng.choice(NASTY_VALUES))
    return holder[0]


def _dumped(value: Any, rng: random.Random) -> bytes:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _bytes_mutated(data: bytes, rng: random.Random) -> bytes:
    start = rng.randint(0, len(data))
    end = min(len(data), start + rng.choice((0, 1, 2, 4, 16, 256)))
    action = rng.randrange(5)
    if action == 0:
        return data[:start] + data[end:]
    if action == 1:
        return data[:start] + rng.choice(NASTY_BYTES) + data[start:]
    if action == 2:
        return data[:start] + rng.choice(NASTY_BYTES) + data[end:]
    if action == 3:
        return data[:end] + data[start:end] * rng.choice((1, 2, 50)) + data[end:]
    return data[:start] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[start:end]) + data[end:]
