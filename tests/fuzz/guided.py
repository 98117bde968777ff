"""One target under atheris: mutations that reach new code are kept and mutated further. Run by `tests.fuzz`.

usage: python -m tests.fuzz.guided TARGET [options of libFuzzer] CORPUS_FOLDER
"""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["analyzer"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.mutation import mutated


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """Change the structure half of the time, and bytes as libFuzzer likes the other half."""
    if seed % 2:
        return mutated(data, random.Random(seed), max_size)
    return bytes(atheris.Mutate(data, max_size))


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: void(target.check(data)), custom_mutator=mutator)
    atheris.Fuzz()


def void(_: object) -> None:
    """Return nothing: libFuzzer gives any other value a meaning."""


if __name__ == "__main__":
    main()
