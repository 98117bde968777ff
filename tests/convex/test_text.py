from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.convex import ids
from analyzer.convex.text import MAX_DEPTH, MAX_PLAIN_CHARACTERS, TooDeepError, digest, reduced

ID = ids.encode(10001, bytes(range(16)))


def kept(**fields: Any) -> dict[str, Any]:
    return reduced(fields)[0]


@pytest.mark.parametrize(
    "field",
    ["content", "errorMessage", "error", "metadataJson", "output", "stdout", "stderr", "text", "body", "diff", "patch",
     "prompt", "args", "result", "command", "tool_result", "lastError", "systemPrompt", "HTML"],
)  # fmt: skip
def test_text_of_a_field_that_is_named_so_is_reduced_however_short(field: str) -> None:
    assert kept(**{field: "boom"}) == {
        field: {"$text": {"length": 4, "sha256": hashlib.sha256(b"boom").hexdigest(), "ids": []}}
    }


@pytest.mark.parametrize(
    "field", ["status", "errorCode", "promptMessageId", "path", "model", "repoFullName", "contentType"]
)
def test_a_short_line_in_any_other_field_is_kept(field: str) -> None:
    assert kept(**{field: "x" * MAX_PLAIN_CHARACTERS}) == {field: "x" * MAX_PLAIN_CHARACTERS}


@pytest.mark.parametrize("text", ["x" * (MAX_PLAIN_CHARACTERS + 1), "two\nlines", "two\rlines"])
def test_a_long_string_or_one_with_lines_is_text_in_any_field_but_a_title(text: str) -> None:
    assert kept(whatever=text, title=text, repoFullName=text) == {
        "whatever": digest(text),
        "title": text,
        "repoFullName": text,
    }


def test_text_is_reduced_at_any_depth_and_below_a_field_of_text() -> None:
    assert kept(args={"path": "/a", "n": 5.0, "deep": [{"title": "t", "task": ID}]}, a=[{"error": "e"}]) == {
        "args": {"path": digest("/a"), "n": 5.0, "deep": [{"title": digest("t"), "task": ID}]},
        "a": [{"error": digest("e")}],
    }


def test_a_reference_and_an_empty_text_stay_as_they_are() -> None:
    assert kept(content=ID, output="") == {"content": ID, "output": ""}


def test_ids_in_a_text_are_kept() -> None:
    assert kept(content=f'{{"taskId":"{ID}"}}')["content"]["$text"]["ids"] == [ID]


def test_which_fields_were_reduced_is_told() -> None:
    assert reduced({"a": 1.0, "error": "x", "b": {"log": "y"}, "title": "z"})[1] == ["error", "b"]


def test_text_can_be_kept() -> None:
    fields = {"content": "x\ny", "deep": [{"error": "e"}]}
    assert reduced(fields, keep_text=True) == (fields, [])


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_of_a_text_only_length_hash_and_ids_are_left(text: str) -> None:
    found = kept(content=f"-{text}-")["content"]["$text"]
    assert found["length"] == len(text) + 2
    assert found["sha256"] == hashlib.sha256(f"-{text}-".encode()).hexdigest()
    assert found["ids"] == ids.find(f"-{text}-")


@pytest.mark.parametrize("keep_text", [True, False])
def test_more_than_64_levels_are_refused(keep_text: bool) -> None:
    def nested(levels: int) -> Any:
        value: Any = 1.0
        for level in range(levels):
            value = [value] if level % 2 else {"a": value}
        return value

    reduced({"a": nested(MAX_DEPTH - 1)}, keep_text=keep_text)
    with pytest.raises(TooDeepError):
        reduced({"a": nested(MAX_DEPTH)}, keep_text=keep_text)
