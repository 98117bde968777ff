"""Numbers as the deployment's JavaScript rounds and prints them, exactly, on doubles."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

TENTH = Decimal("0.1")
MAX_EXACT = 2**53  # beyond, a double no longer tells integers apart


def js_round(value: float) -> int:
    """Return JavaScript's `Math.round(value)`: the nearest integer, a tie goes up.

    value  finite; its fraction is exact in a double, so no sum can push it over the half

    >>> js_round(99.5), js_round(0.49999999999999994), js_round(-2.5)
    (100, 0, -2)
    """
    whole = math.floor(value)
    return whole if value - whole < 0.5 else whole + 1


def shown_rate(rate: float) -> int | float:
    """Return a rate as the app shows it: `Math.round(rate * 100) / 100`.

    rate  0..1, unrounded; the product is rounded to a double before it is rounded to an integer, as there

    >>> shown_rate(199 / 200), shown_rate(1 / 8), shown_rate(23 / 40)
    (1, 0.13, 0.57)
    """
    shown = js_round(rate * 100) / 100
    return int(shown) if shown.is_integer() else shown


def to_fixed_1(value: float) -> str:
    """Return JavaScript's `value.toFixed(1)`: one decimal of the exact binary value, a tie away from zero.

    value  finite, magnitude below 1e21 (beyond, JavaScript changes the notation)

    >>> to_fixed_1(5 / 16 * 100), to_fixed_1(23 / 80 * 100), to_fixed_1(100)
    ('31.3', '28.7', '100.0')
    """
    return f"{Decimal(value).quantize(TENTH, rounding=ROUND_HALF_UP):f}"


def plain(value: Any) -> Any:
    """Return JSON with whole floats as integers, as JavaScript prints them, and what is not finite as None.

    >>> plain({"total": 10.0, "rates": [0.5, float("nan")]})
    {'total': 10, 'rates': [0.5, None]}
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) <= MAX_EXACT else value
    return value
