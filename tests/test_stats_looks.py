"""Simulation: how often the whole procedure cries wolf, and whether it finds real harm."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pytest

from analyzer.stats import alpha_shares, fisher_harm, holm

ROLLOUTS = 3_000
DOCUMENTS_AT_LOOK = (10, 60, 120, 240)  # T+1h, T+6h, T+12h, T+24h at ten documents an hour
BASE_DOCUMENTS = 400
GUARDRAIL_RATES = (0.02, 0.05, 0.10, 0.30)

harm = lru_cache(maxsize=None)(fisher_harm)


def false_alarms(
    shares: Sequence[float | None], *, worse_by: float = 0.0, correct: bool = True, seed: int = 7
) -> float:
    """Give the share of rollouts in which any guardrail fails at any look; a share of None is a missed look.

    One draw of luck for each document serves all guardrails, so that they move together as real metrics do.
    """
    generator = np.random.default_rng(seed)
    alarms = 0
    for _ in range(ROLLOUTS):
        base = generator.random(BASE_DOCUMENTS)
        post = generator.random(DOCUMENTS_AT_LOOK[-1])
        base_counts = [int((base < rate).sum()) for rate in GUARDRAIL_RATES]
        alarms += any(
            _fails(post[:n], base_counts, share, worse_by, correct)
            for n, share in zip(DOCUMENTS_AT_LOOK, shares, strict=True)
            if share is not None
        )
    return alarms / ROLLOUTS


def _fails(post: np.ndarray, base_counts: list[int], share: float, worse_by: float, correct: bool) -> bool:
    p_values = [
        harm(int((post < rate + worse_by).sum()), len(post), k_base, BASE_DOCUMENTS)
        for rate, k_base in zip(GUARDRAIL_RATES, base_counts, strict=True)
    ]
    return min(holm(p_values) if correct else p_values) <= share


@pytest.mark.slow
def test_four_looks_at_four_guardrails_raise_false_alarms_in_at_most_five_percent() -> None:
    assert false_alarms(alpha_shares(4)) <= 0.05


@pytest.mark.slow
def test_a_missed_look_lowers_the_false_alarms_because_its_share_is_lost() -> None:
    first, second, third, _ = alpha_shares(4)
    assert false_alarms((first, second, third, None)) <= false_alarms(alpha_shares(4))


@pytest.mark.slow
def test_looking_four_times_at_full_alpha_without_correction_would_raise_more() -> None:
    assert false_alarms((0.05,) * 4, correct=False) > 0.05


@pytest.mark.slow
def test_fifteen_points_of_harm_are_found_in_nearly_all_rollouts() -> None:
    assert false_alarms(alpha_shares(4), worse_by=0.15) > 0.95
