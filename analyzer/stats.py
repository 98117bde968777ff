"""Statistics of small counts, as pure functions.

Harm is decided by the exact one-sided test (`fisher_harm`) and shown with score intervals (`wilson_interval`,
`newcombe_interval`). Everywhere: k is how many of n documents had the event, 0 <= k <= n; n = 0 raises NoData,
because no documents are not a rate of nothing; a k outside 0..n, or a p or share outside its range, is a ValueError.

Exact tails are summed here from ratios of neighbouring probabilities, which needs no scipy: a test of one metric
costs microseconds instead of the import of a large library, and no logarithm of a factorial loses digits at n = 1e6.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import ceil, fsum, isnan, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from analyzer.errors import NoData, TooFewSamples

LOOK_SHARES = (0.005, 0.010, 0.010, 0.025)  # alpha of the four planned looks; the last has the most data
LARGEST_N = 2**53  # beyond this a count is no longer exact as a float, and no rollout waits for it


class Interval(NamedTuple):
    """Two ends in the unit of what is bounded, low <= high, both included."""

    low: float
    high: float


def wilson_interval(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Bound a rate by the score interval.

    returns  Interval of shares, 0..1; low is exactly 0 for k = 0 and high exactly 1 for k = n
    source   Wilson 1927; Newcombe, Statistics in Medicine 17 (1998) 857-872, method 3

    >>> low, high = wilson_interval(1, 10)
    >>> round(low, 4), round(high, 4)
    (0.0179, 0.4042)
    """
    k, n = _counts(k, n)
    if 2 * k > n:  # mirrored, so that the interval of the other outcome is exactly the mirror image
        low, high = wilson_interval(n - k, n, confidence)
        return Interval(1.0 - high, 1.0 - low)
    z2 = _z(confidence) ** 2
    high = (2 * k + z2 + sqrt(z2 * (z2 + 4 * k * (n - k) / n))) / (2 * (n + z2))
    low = k * k / (n * (n + z2) * high)  # the product of both roots is known: no difference of near equals
    return Interval(low, high)


def newcombe_interval(k_post: int, n_post: int, k_base: int, n_base: int, confidence: float = 0.95) -> Interval:
    """Bound the difference of two independent rates, post minus base.

    returns  Interval of differences of shares, -1..1; positive means that post is larger
    source   Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10

    >>> low, high = newcombe_interval(56, 70, 48, 80)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    post, base = wilson_interval(k_post, n_post, confidence), wilson_interval(k_base, n_base, confidence)
    rate_post, rate_base = k_post / n_post, k_base / n_base
    difference = rate_post - rate_base
    return Interval(
        difference - sqrt((rate_post - post.low) ** 2 + (base.high - rate_base) ** 2),
        difference + sqrt((post.high - rate_post) ** 2 + (rate_base - base.low) ** 2),
    )


def fisher_harm(k_post: int, n_post: int, k_base: int, n_base: int) -> float:
    """Give the one-sided p that the rate of post is larger, by Fisher's exact test.

    returns  0..1, the chance of at least k_post events in post if both rates were the same; below 1e-300 it is 0
    source   Fisher 1935; the upper tail of the hypergeometric distribution

    >>> round(fisher_harm(3, 4, 1, 4), 4)
    0.2429
    """
    k_post, n_post = _counts(k_post, n_post)
    k_base, n_base = _counts(k_base, n_base)
    events, total = k_post + k_base, n_post + n_base
    first, last = max(0, events - n_base), min(events, n_post)
    if k_post == first:
        return 1.0
    start, masses = _masses(
        first,
        last,
        (n_post + 1) * (events + 1) // (total + 2),
        lambda x: (events - x) * (n_post - x) / ((x + 1) * (n_base - events + x + 1)),
    )
    above = fsum(masses[max(k_post - start, 0) :])
    return min(1.0, above / fsum(masses))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values so that rejecting those at or below alpha errs anywhere with probability alpha at most.

    returns  adjusted p values in the order given, 0..1; [] for none
    source   Holm, Scandinavian Journal of Statistics 6 (1979) 65-70

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p_values = _shares(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = ((len(order) - rank) * p_values[index] for rank, index in enumerate(order))
    return _in_order(order, accumulate(scaled, max))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust p values so that of those at or below alpha a share of at most alpha is expected to be false.

    returns  adjusted p values in the order given, 0..1; [] for none
    source   Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289-300

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    p_values = _shares(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    count = len(order)
    scaled = (count / (count - rank) * p_values[index] for rank, index in enumerate(order))
    return _in_order(order, accumulate(scaled, min))


def clean_n_to_pass(k_base: int, n_base: int, margin: float, confidence: float = 0.95) -> int | None:
    """Give the fewest post documents, none with the event, that hold the difference within the margin.

    margin   difference of shares, e.g. 0.05; the upper end of `newcombe_interval` may reach it
    returns  n >= 1; None when no number of them does, e.g. margin 0 against a baseline without events
    """
    k_base, n_base = _counts(k_base, n_base)
    if isnan(margin):
        raise ValueError("margin is not a number")

    def passes(n: int) -> bool:
        return newcombe_interval(0, n, k_base, n_base, confidence).high <= margin

    enough = 1
    while not passes(enough):
        enough *= 2
        if enough > LARGEST_N:
            return None
    return _first(enough // 2 + 1, enough, passes)


def fewest_events_to_fail(n_post: int, k_base: int, n_base: int, alpha: float) -> int | None:
    """Give the fewest events among n_post documents for which `fisher_harm` is at or below alpha.

    alpha    0 < alpha < 1, the share of this look
    returns  1..n_post; None when even n_post events are no proof
    """
    _counts(0, n_post)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")

    def fails(k_post: int) -> bool:
        return fisher_harm(k_post, n_post, k_base, n_base) <= alpha

    return _first(1, n_post, fails) if fails(n_post) else None


def alpha_shares(looks: int, alpha: float = 0.05) -> tuple[float, ...]:
    """Split alpha over the planned looks, earliest first; the shares sum to alpha.

    Four looks are split .005, .010, .010, .025 (of .05), any other number evenly. A share belongs to its look: one that
    is missed is lost and never moves to another look, or the choice of when to look would raise false alarms.
    """
    if looks < 1 or not 0 < alpha < 1:
        raise ValueError(f"cannot split {alpha} over {looks} looks")
    if looks == len(LOOK_SHARES):
        return tuple(share * (alpha / 0.05) for share in LOOK_SHARES)
    return (alpha / looks,) * looks


def quantile_interval(values: Sequence[float], q: float, *, confidence: float = 0.95) -> Interval:
    """Bound the q-quantile by two order statistics, whatever the distribution.

    values      shape (n,), any order, any one unit, no NaN
    q           0 < q < 1, no unit
    confidence  0 < confidence < 1; actual coverage is at least this, half of the rest below and half above where n
                allows; otherwise one end is the smallest or largest value and the other side gets what is left
    returns     Interval in the unit of values; both ends are observed values
    raises      NoData for no values; TooFewSamples when no pair of ranks reaches confidence
                (0.95 needs n >= 6 for the median, 59 for p95, 299 for p99)
    source      Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 3.2

    >>> quantile_interval(range(1, 101), 0.5)
    Interval(low=40, high=61)
    """
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, not {q}")
    ordered = sorted(values)
    if any(isnan(value) for value in ordered):
        raise ValueError("a value is not a number")
    _counts(0, len(ordered))
    low, high = quantile_ranks(len(ordered), q, confidence)
    return Interval(ordered[low - 1], ordered[high - 1])


def quantile_ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """Give the ranks, 1..n, of the two order statistics that bound a quantile; see `quantile_interval`."""
    alpha = 2 * (1 - _upper(confidence))
    never_below, never_above = (1 - q) ** n, q**n  # what the outermost ranks leave out
    if never_below + never_above > alpha:
        raise TooFewSamples(
            f"{n} values cannot bound the {q:g} quantile at {confidence:g} confidence",
            hint=f"{_samples_needed(q, alpha)} values are needed",
        )
    share_low = share_high = alpha / 2
    if never_above > share_high:
        share_low, share_high = alpha - never_above, never_above
    elif never_below > share_low:
        share_low, share_high = never_below, alpha - never_below
    start, below, above = _tails(n, q)
    end = start + len(below) - 1
    low = max(1, start + bisect_right(below, share_low))
    high = min(n, end - bisect_right(above, share_high) + 1)
    return low, high


@lru_cache(maxsize=4)  # asked for by each confidence; a long list for many values
def _tails(n: int, q: float) -> tuple[int, Sequence[float], Sequence[float]]:
    """Give the binomial distribution of how many of n values lie below their q-quantile.

    returns  (first count that is not next to impossible, P(B <= first + i) by i, P(B >= last - i) by i)
    """
    odds = q / (1 - q)
    start, masses = _masses(0, n, min(n, int((n + 1) * q)), lambda x: (n - x) / (x + 1) * odds)
    total = fsum(masses)
    below = [mass / total for mass in accumulate(masses)]
    return start, below, [mass / total for mass in accumulate(reversed(masses))]


def _samples_needed(q: float, alpha: float) -> int:
    """Give the smallest n for which the two outermost ranks bound the q-quantile."""
    n = max(1, ceil(log(alpha) / log(max(q, 1 - q))))
    while q**n + (1 - q) ** n > alpha:
        n += 1
    return n


def _masses(first: int, last: int, mode: int, ratio: Callable[[int], float]) -> tuple[int, list[float]]:
    """List the masses of a one-peaked distribution on first..last, as multiples of the mass at its mode.

    ratio    mass at x + 1 over mass at x
    returns  (x of the first entry, masses); what is below 1e-300 of the peak on either side is left out
    """
    mode = min(max(mode, first), last)
    up, x, mass = [1.0], mode, 1.0
    while x < last and (mass := mass * ratio(x)) > 1e-300:
        up.append(mass)
        x += 1
    down: list[float] = []
    x, mass = mode, 1.0
    while x > first and (mass := mass / ratio(x - 1)) > 1e-300:
        down.append(mass)
        x -= 1
    return x, [*reversed(down), *up]


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Give the smallest number in low..high that holds; it holds at high, and from some number on everywhere."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _counts(k: int, n: int) -> tuple[int, int]:
    k, n = operator.index(k), operator.index(n)
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a count of events among documents")
    if n == 0:
        raise NoData("there are no documents to judge")
    return k, n


def _shares(p_values: Sequence[float]) -> list[float]:
    values = [float(p) for p in p_values]
    if not all(0 <= p <= 1 for p in values):
        raise ValueError("a p value lies outside 0..1")
    return values


def _in_order(order: Sequence[int], adjusted: accumulate[float]) -> list[float]:
    """Put adjusted p values, at most 1, back where they came from."""
    back = dict(zip(order, adjusted, strict=True))
    return [min(1.0, back[index]) for index in range(len(order))]


def _upper(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return (1 + confidence) / 2


def _z(confidence: float) -> float:
    """Give the standard normal quantile that leaves half of the rest above it; 1.96 for 0.95."""
    return NormalDist().inv_cdf(_upper(confidence))
