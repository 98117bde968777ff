from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given

from analyzer.convex import values as codec
from tests.convex.exports import values


def same(one: Any, other: Any) -> bool:
    """Compare two values by type, sign of zero and NaN too."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


@given(values)
def test_values_read_back_from_both_lossless_formats_with_their_types(value: Any) -> None:
    for format_ in ("export_json", "convex_encoded_json"):
        assert same(codec.loads(codec.dumps(value, format_), format_), value)


@given(values)
def test_the_lossy_format_is_plain_json(value: Any) -> None:
    json.loads(codec.dumps(value, "json"))


@pytest.mark.parametrize(
    ("value", "export", "encoded", "lossy"),
    [
        (5.0, "5.0", "5.0", "5.0"),
        (-0.0, "-0.0", '{"$float":"AAAAAAAAAIA="}', "-0.0"),
        (math.inf, '{"$float":"AAAAAAAA8H8="}', '{"$float":"AAAAAAAA8H8="}', '"Infinity"'),
        (-math.inf, '{"$float":"AAAAAAAA8P8="}', '{"$float":"AAAAAAAA8P8="}', '"-Infinity"'),
        (123, "123", '{"$integer":"ewAAAAAAAAA="}', '"123"'),
        (b"abc", '{"$bytes":"YWJj"}', '{"$bytes":"YWJj"}', '"YWJj"'),
        ({"b": None, "B": True, "_a": "é"}, '{"B":true,"_a":"é","b":null}', '{"B":true,"_a":"é","b":null}', None),
    ],
)
def test_each_type_is_written_as_the_platform_writes_it(
    value: Any, export: str, encoded: str, lossy: str | None
) -> None:
    assert codec.dumps(value, "export_json").decode() == export
    assert codec.dumps(value, "convex_encoded_json").decode() == encoded
    if lossy is not None:
        assert codec.dumps(value, "json").decode() == lossy


def test_every_bare_number_of_the_encoded_format_is_a_float64() -> None:
    assert same(codec.loads("[5, 5.0]", "convex_encoded_json"), [5.0, 5.0])
    assert same(codec.loads("[5, 5.0]", "export_json"), [5, 5.0])


@pytest.mark.parametrize(
    "text",
    [
        '{"$float":"AAAAAAAAFEA="}',  # an ordinary 5.0 needs no wrapper
        '{"$integer":"AAAA"}',
        '{"$integer":5}',
        '{"$bytes":"not base64"}',
        '{"$other":1}',
        '{"$bytes":"YWJj","b":1}',
        "[" * 900 + "]" * 900,
        "nonsense",
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        codec.loads(text, "convex_encoded_json")


def test_integers_that_do_not_fit_are_refused() -> None:
    for bad in (2**63, -(2**63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            codec.dumps(bad, "export_json")
    with pytest.raises(ValueError, match="64 bits"):
        codec.loads(str(2**63), "export_json")


@pytest.mark.parametrize("bad", [{"$a": 1}, {1: 2}, object(), {1, 2}])
def test_what_the_platform_cannot_hold_is_not_written(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be a key|is no type"):
        codec.dumps(bad, "export_json")


@pytest.mark.parametrize(
    ("parsed", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "int64"),
        (1.0, "float64"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
        ({"$bytes": ""}, "bytes"),
        ({"$integer": ""}, "int64"),
        ({"a": 1}, "object"),
    ],
)
def test_types_have_the_platforms_names(parsed: Any, name: str) -> None:
    assert codec.type_name(parsed) == name
