from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.convex import ids

table_numbers = st.integers(1, ids.MAX_TABLE_NUMBER) | st.sampled_from([1, 127, 128, 10_001, 16_383, 16_384, 2**28])
random_bytes = st.binary(min_size=16, max_size=16)


def test_the_published_examples_are_read_and_written() -> None:
    assert ids.encode(10001, bytes(range(16))) == "j57000820c20a1g7104gm2rc1m70ynr8"
    assert ids.decode("j57000820c20a1g7104gm2rc1m70ynr8") == ids.DocumentId(10001, bytes(range(16)))
    assert ids.is_valid("kg27rxfv99gzp01wmph0gvt92d6hnvy6")


@given(table_numbers, random_bytes)
def test_an_id_reads_back_as_what_it_was_made_of(number: int, random16: bytes) -> None:
    text = ids.encode(number, random16)
    assert ids.MIN_LENGTH <= len(text) <= ids.MAX_LENGTH
    assert ids.decode(text) == ids.DocumentId(number, random16)


@given(table_numbers, random_bytes, st.data())
def test_no_id_survives_a_change_of_one_character(number: int, random16: bytes, data: st.DataObject) -> None:
    text = ids.encode(number, random16)
    position = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ids.ALPHABET + "ilouABC-é ").filter(lambda c: c != text[position]))
    changed = text[:position] + other + text[position + 1 :]
    assert not ids.is_valid(changed)
    assert ids.invalid_positions([text, changed], number) == [1]


@given(st.text(max_size=50) | st.text(ids.ALPHABET, min_size=31, max_size=37))
def test_any_text_is_an_id_or_refused_with_a_reason(text: str) -> None:
    try:
        found = ids.decode(text)
    except ValueError as problem:
        assert str(problem)
    else:
        assert ids.encode(found.table_number, found.random) == text


@pytest.mark.parametrize(("number", "size"), [(0, 16), (-1, 16), (2**32, 16), (1, 15), (1, 17)])
def test_encode_refuses_what_no_id_can_hold(number: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"random bytes|table number"):
        ids.encode(number, bytes(size))


@given(st.lists(st.tuples(st.sampled_from([5, 10_001, 10_002, 70_000]), random_bytes, st.booleans()), max_size=30))
def test_checking_many_ids_at_once_agrees_with_checking_each(made: list[tuple[int, bytes, bool]]) -> None:
    texts = [ids.encode(number, random16) for number, random16, _ in made]
    texts = [text[:-1] + ("0" if text[-1] != "0" else "1") if b else text for text, (_, _, b) in zip(texts, made)]  # noqa: B905
    for wanted in (5, 10_001, 70_000):
        expected = [p for p, t in enumerate(texts) if not ids.is_valid(t) or ids.decode(t).table_number != wanted]
        assert ids.invalid_positions(texts, wanted) == expected


def test_among_many_ids_each_changed_character_is_found() -> None:
    good = [ids.encode(10_001, bytes([byte] * 16)) for byte in range(256)]
    changed = [
        good[7][:at] + c + good[7][at + 1 :] for at in range(32) for c in ids.ALPHABET + "éA_ilou +" if good[7][at] != c
    ]
    others = [ids.encode(number, bytes(16)) for number in (5, 10_002, 70_000)]
    for wrong in (others, changed):
        assert ids.invalid_positions([*good, *wrong, *good], 10_001) == list(range(256, 256 + len(wrong)))
    assert ids.invalid_positions([*good, *good * 4], 10_001) == []
    for one in changed:
        assert ids.invalid_positions([*good[:5], one, *good[5:9]], 10_001) == [5]


def test_two_ids_of_odd_lengths_do_not_pass_for_two_of_the_usual_length() -> None:
    good = ids.encode(10_001, bytes(16))
    assert ids.invalid_positions([good[:31], good[31:] + good], 10_001) == [0, 1]


def test_without_a_table_number_the_first_valid_id_sets_it() -> None:
    one, two = ids.encode(10001, bytes(16)), ids.encode(10002, bytes(16))
    assert ids.invalid_positions(["nonsense", one, two, one], None) == [0, 2]
    assert ids.invalid_positions(["nonsense"], None) == [0]
    assert ids.invalid_positions([], None) == []


@given(st.lists(st.tuples(table_numbers, random_bytes), max_size=5), st.text(" ,;:'\"[]{}/=éI", min_size=1, max_size=3))
def test_ids_are_found_in_text_in_order_and_once(made: list[tuple[int, bytes]], between: str) -> None:
    texts = [ids.encode(*each) for each in made]
    text = between.join(["Words", *texts, *texts, "more words"])
    expected = list(dict.fromkeys(texts)) if between[0] != "I" and between[-1] != "I" else None
    if expected is not None:
        assert ids.find(text) == expected


def test_ids_are_found_after_an_escape_in_json_that_is_itself_text() -> None:
    text = ids.encode(10001, bytes(range(16)))
    assert ids.find(f'{{"log":"line one\\n{text}\\tend"}}') == [text]


def test_letters_around_an_id_make_it_another_word() -> None:
    text = ids.encode(10001, bytes(range(16)))
    assert ids.find(f"x{text} {text}x {text.upper()}") == []
