"""What models charge for tokens, as the user has settled it: no price is built in, because prices change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """What one model charges, US dollars per million tokens."""

    input_per_million: float
    output_per_million: float


Prices = Mapping[str, Price]  # by the model's name as documents have it
