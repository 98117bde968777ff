"""Free text is not kept: it is reduced to its length, its hash and the document ids that stand in it.

{"$text": {"length": 1234, "sha256": "<hex>", "ids": ["j57…"]}}   length in characters, hash of the UTF-8 bytes

Free text is every string in a field whose name says so, at any depth, and any other string that is long or has
lines. Titles and names are kept whole, and so is a string that is nothing but a document id: references must stay
visible. Object keys are field names, not text. `$text` cannot clash: no field of a document starts with "$".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from analyzer.convex import ids

MAX_PLAIN_CHARACTERS = 200  # a longer string is taken for text, whatever its field is called
MAX_DEPTH = 64  # levels; the platform allows 16
TEXT_KEY = "$text"

# Last word of a field's name: errorMessage and error_message are messages.
_TEXT_WORD = re.compile(
    "args|arguments|body|chunks?|commands?|comment|contents?|data|delta|description|details|diff|errors?|html|input|json"
    "|lines|logs?|markdown|messages?|notes?|outputs?|patch|payload|prompt|reasoning|request|response|results?|snippet"
    "|stack|stderr|stdout|summary|text|thinking|thought|traceback|transcript"
)
# In compact JSON: a string that is a value, of a field, first in an array, or later in one.
_VALUE_STRING = re.compile(rb'[:\[]"|,"(?:[^"\\]|\\.)*+"(?!:)')
_PARTS = (list, dict)
_TEXT_OR_PARTS = (str, *_PARTS)
_TITLE_WORD = re.compile("email|label|name|slug|title")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


class TooDeepError(ValueError):
    """A value has more than 64 levels."""


def reduced(
    fields: Mapping[str, Any], *, keep_text: bool = False, is_stored: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Reduce the free text of a document or a part of one.

    fields     names and values as parsed from JSON
    keep_text  only check the depth
    is_stored  the values come from the store: what was reduced already stays as it is
    returns    the fields, those with text replaced; and the names of those replaced, in order
    raises     TooDeepError when a value has more than 64 levels
    """
    way = _Way(keep_text, is_stored)
    result = dict(fields)
    changed = []
    for name, value in fields.items():
        if isinstance(value, _TEXT_OR_PARTS):
            kept = _reduce(value, name, is_text_field(name), 1, way)
            if kept is not value:
                result[name] = kept
                changed.append(name)
    return result, changed


def holds_no_string(compact: bytes) -> bool:
    """Return whether a value holds neither text nor absurd nesting, so that there is nothing to reduce.

    compact  the value as compact JSON
    """
    return _VALUE_STRING.search(compact) is None and compact.count(b"[") + compact.count(b"{") < MAX_DEPTH


def digest(text: str) -> dict[str, Any]:
    """Return what is kept of a text."""
    return {
        TEXT_KEY: {
            "length": len(text),
            "sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            "ids": ids.find(text),
        }
    }


@lru_cache(maxsize=4096)
def is_text_field(name: str) -> bool:
    """Return whether a field's name says that it holds free text: `content`, `errorMessage`, `tool_result`."""
    return _TEXT_WORD.fullmatch(_last_word(name)) is not None


@lru_cache(maxsize=4096)
def is_title_field(name: str) -> bool:
    """Return whether a field's name says that it holds a title or a name: `title`, `repoFullName`."""
    return _TITLE_WORD.fullmatch(_last_word(name)) is not None


def _last_word(name: str) -> str:
    words = _WORDS.findall(name)
    return words[-1].lower() if words else ""


class _Way(NamedTuple):
    """How to reduce."""

    keep_text: bool
    is_stored: bool


def _is_digest(value: Any) -> bool:
    """Return whether a value is exactly what `digest` returns."""
    found = value.get(TEXT_KEY) if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(found, dict) or found.keys() != {"length", "sha256", "ids"}:
        return False
    is_hash = isinstance(found["sha256"], str) and re.fullmatch("[0-9a-f]{64}", found["sha256"]) is not None
    return isinstance(found["length"], int) and is_hash and all(map(ids.is_valid, found["ids"]))


def _reduce(value: Any, field: str, is_text: bool, depth: int, way: _Way) -> Any:
    """Return the value itself where nothing in it is text."""
    if isinstance(value, str):
        return digest(value) if not way.keep_text and _is_text(value, field, is_text) else value
    if not isinstance(value, _PARTS) or (way.is_stored and _is_digest(value)):
        return value
    if depth >= MAX_DEPTH:
        raise TooDeepError(f"more than {MAX_DEPTH} levels")
    if isinstance(value, list):
        items = [_reduce(item, field, is_text, depth + 1, way) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    found = {name: _reduce(item, name, is_text or is_text_field(name), depth + 1, way) for name, item in value.items()}
    return value if all(found[name] is value[name] for name in found) else found


def _is_text(value: str, field: str, is_text: bool) -> bool:
    if is_text:
        return bool(value) and not ids.is_valid(value)
    if len(value) > MAX_PLAIN_CHARACTERS or "\n" in value or "\r" in value:
        return not is_title_field(field)
    return False
