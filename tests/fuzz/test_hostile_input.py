"""Whatever bytes come from outside, the answer is a sound value or one error of one line with a hint."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.__main__ import regressions
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS

INPUTS = 150  # a target; `make fuzz` tries far more, guided by what they reach
CRASHES = Path(__file__).parent / "crashes"


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_taken(name: str) -> None:
    target = TARGETS[name]
    assert any(target.check(seed) for seed in target.seeds()) or name == "server: refusals"


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_taken_soundly_or_refused_in_one_line(name: str) -> None:
    target, rng = TARGETS[name], random.Random(20251216)
    seeds = target.seeds()
    for _ in range(INPUTS):
        target.check(mutated(rng.choice(seeds), rng))


@pytest.mark.parametrize("name", TARGETS)
def test_input_that_broke_a_reader_once_breaks_it_no_more(name: str) -> None:
    for data in regressions(name):
        TARGETS[name].check(data)


def test_every_kept_input_belongs_to_a_target() -> None:
    known = {name.replace(": ", "-").replace(" ", "-") for name in TARGETS}
    assert {path.name for path in CRASHES.iterdir()} <= known


def test_the_same_seed_makes_the_same_inputs() -> None:
    seed = b'{"a":[1,"x",{"b":null}]}'
    first, second = ([mutated(seed, random.Random(7)) for _ in range(20)] for _ in range(2))
    assert first == second
