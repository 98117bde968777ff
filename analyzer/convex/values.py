"""Convex values in the three JSON formats of the platform, int64 and float64 kept apart.

| Convex  | Python | export_json          | convex_encoded_json  | json (lossy)         |
|---------|--------|----------------------|----------------------|----------------------|
| null    | None   | null                 | null                 | null                 |
| boolean | bool   | true                 | true                 | true                 |
| float64 | float  | 5.0                  | 5.0                  | 5.0                  |
| -0.0    | float  | -0.0                 | {"$float":"<b64>"}   | -0.0                 |
| NaN, ±∞ | float  | {"$float":"<b64>"}   | {"$float":"<b64>"}   | "NaN", "Infinity"    |
| int64   | int    | 123                  | {"$integer":"<b64>"} | "123"                |
| bytes   | bytes  | {"$bytes":"<b64>"}   | {"$bytes":"<b64>"}   | "<b64>"              |
| string  | str    | "…"                  | "…"                  | "…"                  |
| array   | list   | […]                  | […]                  | […]                  |
| object  | dict   | {…} keys in order    | {…}                  | {…}                  |

In `convex_encoded_json` every bare number is a float64, whole or not. `<b64>` of numbers is 8 bytes, little-endian.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any, Literal

Format = Literal["export_json", "convex_encoded_json", "json"]
MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1
_WRAPPERS = ("$integer", "$float", "$bytes")


def loads(text: str | bytes, format_: Format) -> Any:
    """Parse one value.

    returns  None, bool, int (an int64), float, str, bytes, list or dict; `json` gives what is left of a value:
             numbers as floats, and the texts that stand for int64, bytes and NaN as texts
    raises   ValueError when it is no JSON, or no value in that format
    """
    import orjson

    try:
        return decode(orjson.loads(text), format_)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: Any, format_: Format) -> bytes:
    """Write one value as compact JSON in UTF-8, object keys in byte order as the platform writes them.

    raises  ValueError for what is no Convex value: a key that starts with "$", an int beyond 64 bits, another type
    """
    import orjson

    return orjson.dumps(encode(value, format_))


def decode(parsed: Any, format_: Format) -> Any:
    """Turn parsed JSON into a value; see `loads`."""
    if isinstance(parsed, dict):
        if format_ != "json":
            if len(parsed) == 1 and (key := next(iter(parsed))) in _WRAPPERS:
                return _unwrap(key, parsed[key], format_)
            if reserved := next((key for key in parsed if key.startswith("$")), None):
                raise ValueError(f"the key {reserved!r} starts with $")
        return {key: decode(item, format_) for key, item in parsed.items()}
    if isinstance(parsed, list):
        return [decode(item, format_) for item in parsed]
    if isinstance(parsed, int) and not isinstance(parsed, bool):
        if format_ != "export_json":
            return float(parsed)
        return _int64(parsed)
    return parsed


def encode(value: Any, format_: Format) -> Any:
    """Turn a value into what a JSON writer takes; see `dumps`."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _encode_number(value, format_)
    if isinstance(value, bytes):
        return _b64(value) if format_ == "json" else {"$bytes": _b64(value)}
    if isinstance(value, list | tuple):
        return [encode(item, format_) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise ValueError(f"{key!r} cannot be a key of an object")
        # Code point order of str is byte order of UTF-8.
        return {key: encode(value[key], format_) for key in sorted(value)}
    raise ValueError(f"{type(value).__name__} is no type of a value")


def type_name(parsed: Any) -> str:
    """Return the Convex type of a value parsed from export_json, in words for people."""
    if isinstance(parsed, dict):
        wrapped = {"$integer": "int64", "$float": "float64 that is not finite", "$bytes": "bytes"}
        return wrapped.get(next(iter(parsed)), "object") if len(parsed) == 1 else "object"
    return TYPE_NAMES[type(parsed)]


TYPE_NAMES = {
    type(None): "null",
    bool: "boolean",
    int: "int64",
    float: "float64",
    str: "string",
    list: "array",
    dict: "object",
}  # Convex types by the Python types of parsed export_json


def _encode_number(value: int | float, format_: Format) -> Any:
    if isinstance(value, int):
        _int64(value)
        if format_ == "export_json":
            return value
        return str(value) if format_ == "json" else {"$integer": _b64(struct.pack("<q", value))}
    if not math.isfinite(value) and format_ == "json":
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    negative_zero = value == 0 and math.copysign(1, value) < 0
    if not math.isfinite(value) or (negative_zero and format_ == "convex_encoded_json"):
        return {"$float": _b64(struct.pack("<d", value))}
    return value


def _unwrap(key: str, text: Any, format_: Format) -> Any:
    if not isinstance(text, str):
        raise ValueError(f"{key} holds no text")
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{key} holds no base64") from error
    if key == "$bytes":
        return raw
    if len(raw) != 8:
        raise ValueError(f"{key} holds {len(raw)} bytes, not 8")
    if key == "$integer":
        if format_ == "export_json":
            raise ValueError("$integer does not occur in export_json")
        return struct.unpack("<q", raw)[0]
    number: float = struct.unpack("<d", raw)[0]
    if math.isfinite(number) and not (number == 0 and math.copysign(1, number) < 0):
        raise ValueError(f"$float wraps {number!r}, which needs no wrapper")
    return number


def _int64(value: int) -> int:
    if not MIN_INT64 <= value <= MAX_INT64:
        raise ValueError(f"{value} does not fit in 64 bits")
    return value


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
