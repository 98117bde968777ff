"""Numbers come out as JavaScript prints them: checked against exact rational arithmetic and known answers."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.analysis.rounding import js_round, plain, shown_rate, to_fixed_1

FINITE = st.floats(min_value=-1e15, max_value=1e15)
COUNTS = st.integers(0, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(max(n, 1))))


@given(FINITE)
@example(0.49999999999999994)
@example(-0.5)
@example(2**52 + 1.0)
def test_js_round_is_the_floor_of_the_exact_value_and_a_half(value: float) -> None:
    assert js_round(value) == math.floor(Fraction(value) + Fraction(1, 2))


@given(st.floats(min_value=0, max_value=1e15))
@example(0.05)
@example(0.25)
@example(1e15)
def test_to_fixed_takes_the_larger_of_the_nearest_tenths_of_the_exact_binary_value(value: float) -> None:
    tenths = math.floor(Fraction(value) * 10 + Fraction(1, 2))
    assert to_fixed_1(value) == f"{tenths // 10}.{tenths % 10}"


@given(COUNTS)
def test_a_shown_rate_is_rounded_after_the_product_was_rounded_to_a_double(k_of_n: tuple[int, int]) -> None:
    rate = k_of_n[0] / k_of_n[1]
    hundredths = math.floor(Fraction(rate * 100) + Fraction(1, 2))
    assert shown_rate(rate) == hundredths / 100


@pytest.mark.parametrize(
    ("k", "n", "shown"),
    [(199, 200, 1), (1, 8, 0.13), (23, 40, 0.57), (9, 91, 0.1), (91, 101, 0.9), (2, 3, 0.67), (0, 7, 0), (7, 7, 1)],
)
def test_rates_of_known_counts_are_shown_as_the_app_shows_them(k: int, n: int, shown: float) -> None:
    found = shown_rate(k / n)
    assert found == shown
    assert isinstance(found, int) == isinstance(shown, int), "a whole number has no fraction on the wire"


@pytest.mark.parametrize(
    ("k", "n", "shown"), [(5, 16, "31.3"), (23, 80, "28.7"), (1, 1, "100.0"), (1, 10, "10.0"), (21, 104, "20.2")]
)
def test_percentages_in_alerts_have_one_decimal_of_the_binary_value(k: int, n: int, shown: str) -> None:
    assert to_fixed_1(k / n * 100) == shown


def test_to_fixed_of_a_negative_value_is_that_of_its_magnitude_with_a_sign() -> None:
    assert to_fixed_1(-0.25) == "-0.3"


def test_plain_drops_the_fraction_of_whole_numbers_and_what_json_cannot_hold() -> None:
    given_value = {"a": 10.0, "b": [0.5, math.nan, math.inf], "c": True, "d": "10.0", "e": 2.0**70, "f": None}
    found = plain(given_value)
    assert found == {"a": 10, "b": [0.5, None, None], "c": True, "d": "10.0", "e": 2.0**70, "f": None}
    assert isinstance(found["a"], int)
    assert isinstance(found["e"], float), "an integer of more than 64 bits is no JSON number everywhere"
