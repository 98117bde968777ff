"""Intervals, tests and corrections: published examples, agreement with scipy and statsmodels, properties."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from decimal import Decimal, localcontext
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact, hypergeom
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

import analyzer.stats
from analyzer.errors import NoData, TooFewSamples
from analyzer.stats import (
    Interval,
    alpha_shares,
    benjamini_hochberg,
    clean_n_to_pass,
    fewest_events_to_fail,
    fisher_harm,
    holm,
    newcombe_interval,
    quantile_interval,
    wilson_interval,
)

GRID = [(k, n) for n in (1, 2, 3, 7, 10, 29, 100, 997, 10_000, 1_000_000) for k in {0, 1, n // 3, n // 2, n - 1, n}]
counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
p_lists = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998 (intervals for the single proportion), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_gives_the_published_examples(k: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("post", "base", "low", "high"),
    # Newcombe 1998 (difference of independent proportions), table II, method 10
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_interval_gives_the_published_examples(
    post: tuple[int, int], base: tuple[int, int], low: float, high: float
) -> None:
    assert newcombe_interval(*post, *base) == pytest.approx((low, high), abs=5e-5)


def test_fisher_harm_gives_the_tea_tasting_example() -> None:
    assert fisher_harm(3, 4, 1, 4) == pytest.approx(17 / 70, rel=1e-15)
    assert fisher_harm(4, 4, 0, 4) == pytest.approx(1 / 70, rel=1e-15)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_wilson_interval_agrees_with_statsmodels(confidence: float) -> None:
    for k, n in GRID:
        expected = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
        assert wilson_interval(k, n, confidence) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_newcombe_interval_agrees_with_statsmodels(confidence: float) -> None:
    for post in GRID:
        for base in GRID[::3]:
            expected = confint_proportions_2indep(*post, *base, method="newcomb", compare="diff", alpha=1 - confidence)
            assert newcombe_interval(*post, *base, confidence) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_fisher_harm_agrees_with_scipy() -> None:
    small = [pair for pair in GRID if pair[1] <= 997]
    for k_post, n_post in small:
        for k_base, n_base in small[::2]:
            table = np.array([[k_post, n_post - k_post], [k_base, n_base - k_base]])
            expected = fisher_exact(table, alternative="greater").pvalue
            assert fisher_harm(k_post, n_post, k_base, n_base) == pytest.approx(expected, rel=1e-9, abs=1e-290)


@pytest.mark.parametrize(
    ("post", "base"),
    [
        ((1_000, 10**6), (900, 10**6)),
        ((100_900, 10**6), (100_000, 10**6)),
        ((499_000, 10**6), (500_000, 10**6)),
        ((5, 10), (0, 10**6)),
        ((30, 10**6), (2, 4_000)),
    ],
)
def test_fisher_harm_agrees_with_scipy_and_with_forty_digits_for_millions(
    post: tuple[int, int], base: tuple[int, int]
) -> None:
    p = fisher_harm(*post, *base)
    events, total = post[0] + base[0], post[1] + base[1]
    assert p == pytest.approx(float(hypergeom.sf(post[0] - 1, total, events, post[1])), rel=1e-9)
    assert p == pytest.approx(_fisher_in_decimals(*post, *base), rel=1e-13)


def _fisher_in_decimals(k_post: int, n_post: int, k_base: int, n_base: int) -> float:
    """Sum the same tail with forty digits, from the smallest value of the support upwards."""
    events = k_post + k_base
    with localcontext() as context:
        context.prec = 40
        mass, above, total = Decimal(1), Decimal(0), Decimal(0)
        for x in range(max(0, events - n_base), min(events, n_post) + 1):
            total += mass
            above += mass if x >= k_post else 0
            mass = mass * ((events - x) * (n_post - x)) / ((x + 1) * (n_base - events + x + 1))
        return float(above / total)


@given(p_lists)
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    _same_as_statsmodels(holm(p_values), p_values, "holm")


@given(p_lists)
def test_benjamini_hochberg_agrees_with_statsmodels(p_values: list[float]) -> None:
    _same_as_statsmodels(benjamini_hochberg(p_values), p_values, "fdr_bh")


def _same_as_statsmodels(adjusted: list[float], p_values: list[float], method: str) -> None:
    with patch("gc.collect"):  # the oracle collects garbage on each call, which takes seconds in a large process
        expected = multipletests(p_values, method=method)[1] if p_values else []
    assert adjusted == pytest.approx(list(expected), rel=1e-9, abs=1e-300)


@given(counts, st.floats(0.5, 0.999))
def test_wilson_interval_stays_within_bounds_holds_the_rate_and_is_symmetric(
    pair: tuple[int, int], confidence: float
) -> None:
    k, n = pair
    low, high = wilson_interval(k, n, confidence)
    assert 0 <= low <= k / n <= high <= 1
    assert (low == 0) == (k == 0)
    assert (high == 1) == (k == n)
    assert wilson_interval(n - k, n, confidence) == pytest.approx((1 - high, 1 - low), abs=1e-15)
    wider = wilson_interval(k, n, (1 + confidence) / 2)
    assert wider.low <= low and high <= wider.high


@given(counts, counts)
def test_newcombe_interval_changes_sign_when_the_sides_are_swapped(
    post: tuple[int, int], base: tuple[int, int]
) -> None:
    low, high = newcombe_interval(*post, *base)
    assert -1 <= low <= post[0] / post[1] - base[0] / base[1] <= high <= 1
    assert newcombe_interval(*base, *post) == pytest.approx((-high, -low), abs=1e-15)


@given(counts, counts)
def test_fisher_harm_falls_as_post_gets_worse(post: tuple[int, int], base: tuple[int, int]) -> None:
    p = fisher_harm(*post, *base)
    assert 0 <= p <= 1
    if post[0] < post[1]:
        assert fisher_harm(post[0] + 1, post[1], *base) <= p * (1 + 1e-12)
    if base[0] < base[1]:
        assert fisher_harm(*post, base[0] + 1, base[1]) >= p * (1 - 1e-12)


@given(counts, counts)
def test_fisher_harm_of_both_directions_shares_exactly_the_observed_table(
    post: tuple[int, int], base: tuple[int, int]
) -> None:
    (k, n), (k_base, n_base) = post, base
    observed = math.comb(n, k) * math.comb(n_base, k_base) / math.comb(n + n_base, k + k_base)
    assert fisher_harm(*post, *base) + fisher_harm(*base, *post) == pytest.approx(1 + observed, rel=1e-12)


@given(p_lists, p_lists)
def test_corrections_keep_the_order_and_never_lower_a_p_value(some: list[float], more: list[float]) -> None:
    p_values = [*some, *more]
    for correct in (holm, benjamini_hochberg):
        adjusted = correct(p_values)
        assert all(p <= after <= 1 for p, after in zip(p_values, adjusted, strict=True))
        pairs = sorted(zip(p_values, adjusted, strict=True))
        assert [after for _, after in pairs] == sorted(adjusted)
    assert all(a >= b for a, b in zip(holm(p_values), benjamini_hochberg(p_values), strict=True))


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.05, 0.2, 1.0])
@pytest.mark.parametrize("base", [(0, 5), (0, 1000), (1, 40), (3, 30), (20, 20)])
def test_clean_n_to_pass_is_the_smallest_by_brute_force(base: tuple[int, int], margin: float) -> None:
    found = clean_n_to_pass(*base, margin)
    passing = (n for n in range(1, 1000) if newcombe_interval(0, n, *base).high <= margin)
    assert found == next(passing, None) or (found is not None and found >= 1000)


def test_clean_n_to_pass_is_exact_at_its_edge() -> None:
    n = clean_n_to_pass(0, 200, 0.05)
    assert n == 73  # the upper Wilson end of 0 of n is z^2 / (n + z^2)
    assert newcombe_interval(0, n, 0, 200).high <= 0.05 < newcombe_interval(0, n - 1, 0, 200).high


def test_clean_n_to_pass_is_none_when_no_number_is_enough() -> None:
    assert clean_n_to_pass(0, 100, 0.0) is None
    assert clean_n_to_pass(1, 100, -0.5) is None
    assert clean_n_to_pass(50, 100, -0.3) is not None


@pytest.mark.parametrize("alpha", [0.005, 0.025, 0.3])
@pytest.mark.parametrize("base", [(0, 1), (0, 50), (2, 50), (50, 50), (7, 1000)])
def test_fewest_events_to_fail_is_the_smallest_by_brute_force(base: tuple[int, int], alpha: float) -> None:
    for n_post in (1, 2, 9, 60):
        failing = (k for k in range(n_post + 1) if fisher_harm(k, n_post, *base) <= alpha)
        assert fewest_events_to_fail(n_post, *base, alpha) == next(failing, None)


def test_a_zero_baseline_with_new_errors_is_found() -> None:
    k = fewest_events_to_fail(50, 0, 400, 0.005)
    assert k == 3
    assert fisher_harm(k, 50, 0, 400) <= 0.005 < fisher_harm(k - 1, 50, 0, 400)


def test_alpha_is_spent_as_planned_and_never_more() -> None:
    assert alpha_shares(4) == (0.005, 0.010, 0.010, 0.025)
    assert alpha_shares(1) == (0.05,)
    assert alpha_shares(5) == pytest.approx((0.01,) * 5)
    for looks in range(1, 30):
        assert math.fsum(alpha_shares(looks)) == pytest.approx(0.05, rel=1e-12)
        assert math.fsum(alpha_shares(looks, 0.01)) == pytest.approx(0.01, rel=1e-12)
    for looks, alpha in ((0, 0.05), (4, 0.0), (4, 1.0)):
        with pytest.raises(ValueError, match="cannot split"):
            alpha_shares(looks, alpha)


def test_quantile_interval_takes_the_ranks_of_the_textbook() -> None:
    assert quantile_interval(range(1, 101), 0.5) == Interval(low=40, high=61)
    assert binom.cdf(49, 59, 0.95) + binom.sf(58, 59, 0.95) <= 0.05 < binom.cdf(50, 59, 0.95) + binom.sf(58, 59, 0.95)
    assert quantile_interval(range(1, 60), 0.95) == (50, 59)
    assert quantile_interval([5.0, 1.0, 3.0, 2.0, 6.0, 4.0], 0.5) == (1.0, 6.0)


@pytest.mark.parametrize(("q", "needed"), [(0.5, 6), (0.95, 59), (0.05, 59), (0.99, 299)])
def test_quantile_interval_says_how_many_values_it_needs(q: float, needed: int) -> None:
    quantile_interval(range(needed), q)
    with pytest.raises(TooFewSamples) as caught:
        quantile_interval(range(needed - 1), q)
    assert caught.value.hint == f"{needed} values are needed"


@settings(max_examples=60)
@given(st.integers(6, 3000), st.floats(0.02, 0.98), st.sampled_from([0.8, 0.95, 0.99]))
def test_quantile_interval_covers_at_least_as_promised_and_no_end_can_move_in(
    n: int, q: float, confidence: float
) -> None:
    try:
        low, high = (int(end) for end in quantile_interval(range(1, n + 1), q, confidence=confidence))
    except TooFewSamples:
        assert q**n + (1 - q) ** n > (1 - confidence) * (1 - 1e-9)
        return
    missed_below, missed_above = binom.cdf(low - 1, n, q), binom.sf(high - 1, n, q)
    rest = (1 - confidence) * (1 + 1e-9)
    assert missed_below + missed_above <= rest
    assert binom.cdf(low, n, q) > rest / 2 * (1 - 1e-8) or low == n or missed_above > rest / 2
    assert binom.sf(high - 2, n, q) > rest / 2 * (1 - 1e-8) or high == 1 or missed_below > rest / 2


def test_no_documents_are_no_data_and_never_a_number() -> None:
    for call in (
        lambda: wilson_interval(0, 0),
        lambda: newcombe_interval(0, 0, 1, 10),
        lambda: newcombe_interval(1, 10, 0, 0),
        lambda: fisher_harm(0, 0, 1, 10),
        lambda: fisher_harm(1, 10, 0, 0),
        lambda: clean_n_to_pass(0, 0, 0.05),
        lambda: fewest_events_to_fail(0, 1, 10, 0.05),
        lambda: fewest_events_to_fail(10, 0, 0, 0.05),
        lambda: quantile_interval([], 0.5),
    ):
        with pytest.raises(NoData):
            call()


def test_more_events_than_documents_are_refused() -> None:
    for call in (
        lambda: wilson_interval(2, 1),
        lambda: wilson_interval(1, 0),
        lambda: wilson_interval(-1, 5),
        lambda: newcombe_interval(1, 2, 4, 3),
        lambda: newcombe_interval(4, 3, 1, 2),
        lambda: fisher_harm(4, 3, 1, 2),
        lambda: fisher_harm(1, 2, 4, 3),
        lambda: clean_n_to_pass(4, 3, 0.05),
        lambda: fewest_events_to_fail(10, 4, 3, 0.05),
        lambda: fewest_events_to_fail(-1, 1, 3, 0.05),
    ):
        with pytest.raises(ValueError, match="is not a count"):
            call()


def test_arguments_out_of_range_are_refused() -> None:
    for call in (
        lambda: wilson_interval(1, 2, 1.0),
        lambda: wilson_interval(1, 2, math.nan),
        lambda: holm([0.1, 1.1]),
        lambda: benjamini_hochberg([math.nan]),
        lambda: clean_n_to_pass(1, 10, math.nan),
        lambda: fewest_events_to_fail(10, 1, 10, 0.0),
        lambda: quantile_interval([1.0, math.nan], 0.5),
        lambda: quantile_interval([1.0] * 10, 1.0),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError):
        wilson_interval(1.5, 2)  # type: ignore[arg-type]


def test_the_examples_in_the_docstrings_are_true() -> None:
    results = doctest.testmod(analyzer.stats)
    assert results.attempted >= 8 and results.failed == 0


def test_importing_the_statistics_imports_no_large_library() -> None:
    code = "import sys, analyzer.stats; print(*{'scipy', 'numpy', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
