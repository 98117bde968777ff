"""Document ids: a table number and 16 random bytes behind a checksum, written in Crockford base32.

bytes = LEB128 varint of the table number + 16 random bytes + Fletcher-16 (sums modulo 256) of all before, c0 then c1.
text  = base32 of the bytes, most significant bit first, lower case, without padding: 31 to 37 characters, and 32
for every table that a current deployment gives its users.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BYTES = 16
MIN_LENGTH, MAX_LENGTH = 31, 37  # characters, for table numbers of one to five bytes
USUAL_LENGTH = 32  # characters, for table numbers from 128 to 16,383
MAX_TABLE_NUMBER = 2**32 - 1
_CHECKSUM_BYTES = 2
_USUAL_BYTES = USUAL_LENGTH * 5 // 8
_DIGITS = ALPHABET.encode()
_TO_PYTHON = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # the digits that `int` knows
_TO_PYTHON_BYTES = bytes.maketrans(_DIGITS, b"0123456789abcdefghijklmnopqrstuv")
# What stands before is matched, not looked back at: a third faster on prose.
_RUN = re.compile(rf"([^0-9A-Za-z])([{ALPHABET}]{{{MIN_LENGTH},{MAX_LENGTH + 1}}})(?![0-9A-Za-z])")
_JSON_ESCAPES = frozenset("bfnrt")  # in text that holds JSON, the letter of an escape may touch an id: \nj57...


@dataclass(frozen=True, slots=True)
class DocumentId:
    """What an id says."""

    table_number: int  # 1..2^32-1, unique within a component
    random: bytes  # 16 bytes


def encode(table_number: int, random16: bytes) -> str:
    """Return the id of a document.

    raises  ValueError when the number is not in 1..2^32-1, or there are not 16 bytes
    """
    if len(random16) != RANDOM_BYTES:
        raise ValueError(f"an id holds {RANDOM_BYTES} random bytes, not {len(random16)}")
    body = _varint(table_number) + random16
    return _base32(body + _checksum(body))


def decode(id_: str) -> DocumentId:
    """Return what an id says; only the one text that `encode` gives is accepted.

    raises  ValueError saying what is wrong with it
    """
    if not MIN_LENGTH <= len(id_) <= MAX_LENGTH:
        raise ValueError(f"it has {len(id_)} characters, not {MIN_LENGTH} to {MAX_LENGTH}")
    if strange := id_.strip(ALPHABET):
        raise ValueError(f"{strange[0]!r} is no character of an id")
    bits = int(id_.translate(_TO_PYTHON), 32)
    spare = len(id_) * 5 % 8
    raw = (bits >> spare).to_bytes(len(id_) * 5 // 8, "big")
    body, footer = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    prefix, random16 = body[:-RANDOM_BYTES], body[-RANDOM_BYTES:]
    number = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(prefix))
    if not 0 < number <= MAX_TABLE_NUMBER or _varint(number) != prefix or bits & ((1 << spare) - 1):
        raise ValueError("its table number is malformed")
    if _checksum(body) != footer:
        raise ValueError("its checksum is wrong")
    return DocumentId(number, random16)


def is_valid(text: object) -> bool:
    """Return whether a value is the text of an id."""
    if not isinstance(text, str) or not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        return False
    try:
        decode(text)
    except ValueError:
        return False
    return True


def find(text: str) -> list[str]:
    """Return the ids that stand in a text, each once, in order of first appearance."""
    found: dict[str, None] = {}
    for before, run in _RUN.findall(" " + text):
        if is_valid(run):
            found[run] = None
        elif before == "\\" and run[0] in _JSON_ESCAPES and is_valid(run[1:]):
            found[run[1:]] = None
    return list(found)


def invalid_positions(ids: Sequence[str], table_number: int | None) -> list[int]:
    """Return the positions of texts that are no ids, or ids of another table; in rising order.

    table_number  the only number allowed; None: that of the first valid id
    """
    if table_number is None:
        first = next((id_ for id_ in ids if is_valid(id_)), None)
        if first is None:
            return list(range(len(ids)))
        table_number = decode(first).table_number
    if _are_all_of(ids, table_number):
        return []
    return [position for position, id_ in enumerate(ids) if not _is_of(id_, table_number)]


def _is_of(text: str, table_number: int) -> bool:
    return is_valid(text) and decode(text).table_number == table_number


def _are_all_of(ids: Sequence[str], table_number: int) -> bool:
    """Return whether each is an id of 32 characters of a table; a tenth of a microsecond each.

    All are read as one number in base 32, and the bytes at one place of every id are added up as one number too, in
    which each id has 16 bits of its own: no sum of a checksum takes more.
    """
    prefix = _varint(table_number)
    joined = "".join(ids)
    if len(prefix) != 2 or not joined.isascii() or set(map(len, ids)) != {USUAL_LENGTH}:
        return False
    digits = joined.encode("ascii")
    if digits.translate(None, _DIGITS):
        return False
    raw = int(digits.translate(_TO_PYTHON_BYTES), 32).to_bytes(len(ids) * _USUAL_BYTES, "big")
    if raw[::_USUAL_BYTES] != prefix[:1] * len(ids) or raw[1::_USUAL_BYTES] != prefix[1:] * len(ids):
        return False
    sums = weighted = 0
    for place in range(_USUAL_BYTES - _CHECKSUM_BYTES):
        spread = bytearray(2 * len(ids))
        spread[::2] = raw[place::_USUAL_BYTES]
        sums += int.from_bytes(spread, "little")
        weighted += sums
    found = [number.to_bytes(2 * len(ids), "little")[::2] for number in (sums, weighted)]
    return found == [raw[_USUAL_BYTES - 2 :: _USUAL_BYTES], raw[_USUAL_BYTES - 1 :: _USUAL_BYTES]]


def _varint(number: int) -> bytes:
    if not 0 < number <= MAX_TABLE_NUMBER:
        raise ValueError(f"{number} is no table number: 1 to {MAX_TABLE_NUMBER}")
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _checksum(body: bytes) -> bytes:
    return bytes((sum(body) & 0xFF, sum(accumulate(body)) & 0xFF))


def _base32(raw: bytes) -> str:
    spare = -len(raw) * 8 % 5
    bits = int.from_bytes(raw, "big") << spare
    length = (len(raw) * 8 + spare) // 5
    return "".join(ALPHABET[bits >> 5 * place & 31] for place in range(length - 1, -1, -1))
