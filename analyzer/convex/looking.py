"""Looks at blocks of an exported table, each by itself: which stretches are known, and what the others hold."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby, pairwise
from typing import NamedTuple

from analyzer.convex import stretches
from analyzer.convex.checking import Checking, Counted
from analyzer.convex.lines import split


class Looked(NamedTuple):
    """One stretch."""

    digest: str
    counted: Counted | None  # None: it is known, and was not checked


def look(checking: Checking, recipe: bytes, known: Collection[str], first_line: int, block: bytes) -> list[Looked]:
    """Check and spool the documents of a block, but those of known stretches.

    recipe  see `analyzer.convex.exported.recipe_of`
    known   digests of stretches that the store holds
    block   whole lines and whole stretches
    raises  SourceInvalid naming the line
    """
    lines = split(block)
    ends = stretches.ends(lines)
    digests = stretches.digests(recipe, lines, ends)
    spans = list(pairwise([0, *ends]))
    found: list[Looked] = []
    for is_known, run in groupby(range(len(spans)), key=lambda position: digests[position] in known):
        positions = list(run)
        counted: list[Counted | None] = [None] * len(positions)
        if not is_known:
            start, end = spans[positions[0]][0], spans[positions[-1]][1]
            own_ends = [spans[position][1] - start for position in positions]
            counted = [*checking.check_lines(first_line + start, lines[start:end], own_ends)]
        found += map(Looked, (digests[position] for position in positions), counted)
    return found
