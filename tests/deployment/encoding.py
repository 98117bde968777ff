"""Values on the wire, written apart from the tool's own codec, so that the two can disagree.

In Python an int is an int64 and a float a float64, whole or not; bytes are bytes.
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import orjson

from tests.deployment.errors import HttpError

FORMATS = {
    "json": "json",
    "convex_clean_json": "json",
    "convex_encoded_json": "encoded",
    "convex_json": "encoded",
    "export_json": "export",
}
MAX_NESTING = 16


def format_named(name: object, default: str = "json") -> str:
    """Return which of "json", "encoded" and "export" a request asks for."""
    if name is None:
        return default
    if not isinstance(name, str) or name not in FORMATS:
        raise HttpError(400, "BadFormat", f"Unknown format: {name}")
    return FORMATS[name]


def is_plain(value: Any) -> bool:
    """Tell whether a value reads the same in all three formats."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value) and (value != 0 or math.copysign(1, value) > 0)
    if kind is dict:
        return all(is_plain(item) for item in value.values())
    if kind is list:
        return all(is_plain(item) for item in value)
    return kind is str or kind is bool or value is None


def dump(document: dict[str, Any]) -> tuple[bytes, bool]:
    """Return a document as compact export_json with sorted keys, and whether it is plain."""
    plain = is_plain(document)
    wire = document if plain else encode(document, "export")
    return orjson.dumps(wire, option=orjson.OPT_SORT_KEYS), plain


def load(body: bytes, plain: bool) -> dict[str, Any]:
    """Read what `dump` wrote."""
    document: dict[str, Any] = orjson.loads(body)
    return document if plain else decode(document, ints_are_int64=True)


def encode(value: Any, style: str) -> Any:
    """Return what a JSON writer takes. A `Fragment` is JSON already."""
    if isinstance(value, orjson.Fragment):
        return value
    if hasattr(value, "wire"):  # a revision, which knows its own JSON
        return value.wire(style)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if style == "export" else str(value) if style == "json" else _wrap("$integer", "<q", value)
    if isinstance(value, float):
        return _encode_float(value, style)
    if isinstance(value, bytes):
        text = base64.b64encode(value).decode()
        return text if style == "json" else {"$bytes": text}
    if isinstance(value, list | tuple):
        return [encode(item, style) for item in value]
    return {key: encode(value[key], style) for key in sorted(value)}


def _encode_float(value: float, style: str) -> Any:
    if not math.isfinite(value):
        if style == "json":
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return _wrap("$float", "<d", value)
    if style == "encoded" and value == 0 and math.copysign(1, value) < 0:
        return _wrap("$float", "<d", value)
    return value


def _wrap(key: str, layout: str, value: float) -> dict[str, str]:
    return {key: base64.b64encode(struct.pack(layout, value)).decode()}


def decode(parsed: Any, *, ints_are_int64: bool = False, wrappers: bool = True) -> Any:
    """Turn parsed JSON into a value; a bare integer is a float64 unless the format says otherwise.

    raises  ValueError for what is no value
    """
    if isinstance(parsed, dict):
        if wrappers and len(parsed) == 1:
            key, text = next(iter(parsed.items()))
            if key.startswith("$"):
                return _unwrap(key, text)
        if bad := next((key for key in parsed if key.startswith("$")), None):
            raise ValueError(f"Field name {bad} starts with '$', which is reserved.")
        return {k: decode(v, ints_are_int64=ints_are_int64, wrappers=wrappers) for k, v in parsed.items()}
    if isinstance(parsed, list):
        return [decode(item, ints_are_int64=ints_are_int64, wrappers=wrappers) for item in parsed]
    if isinstance(parsed, int) and not isinstance(parsed, bool) and not ints_are_int64:
        return float(parsed)
    return parsed


def _unwrap(key: str, text: Any) -> Any:
    raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    if key == "$bytes":
        return raw
    if key == "$integer" and len(raw) == 8:
        return struct.unpack("<q", raw)[0]
    if key == "$float" and len(raw) == 8:
        number: float = struct.unpack("<d", raw)[0]
        if not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0):
            return number
    raise ValueError(f"{key} does not wrap a value that needs it")


def floats(value: Any) -> Any:
    """Return a value with every int as a float, as all numbers of JavaScript are."""
    if isinstance(value, dict):
        return {key: floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def type_of(value: Any) -> str:
    """Return the type's name in filters of the dashboard."""
    names = {bool: "boolean", float: "number", int: "bigint", str: "string", bytes: "bytes", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def sort_key(value: Any) -> tuple[int, Any]:
    """Order values as an index does: by type, then by value. A missing field comes before all."""
    ranks = {type(None): 1, int: 2, float: 3, bool: 4, str: 5, bytes: 6, list: 7, dict: 8}
    if isinstance(value, list):
        return 7, [sort_key(item) for item in value]
    if isinstance(value, dict):
        return 8, [(key, sort_key(item)) for key, item in sorted(value.items())]
    return ranks[type(value)], value if value is not None else 0
