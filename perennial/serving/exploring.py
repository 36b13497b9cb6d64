"""Exploring: now and then two neighbours of an answer change places, and the chance is logged.

Without it a log cannot tell what a rank is worth from what stands there.
"""

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple


class Explored(NamedTuple):
    """The order in which the documents are shown, by their places in the answer, and the chance of
    each to stand at its rank; None: as they were found."""

    order: tuple[int, ...] | None
    propensities: Sequence[float]


def explore(length: int, *, share: float, random: Random) -> Explored:
    """An answer of that length, with `share` of a chance one adjacent pair of it swapped."""
    swaps = length - 1
    if swaps < 1 or share <= 0:
        return Explored(None, (1.0,) * length)
    stays = _stays(length, share)
    if random.random() >= share:
        return Explored(None, stays)
    first = int(random.random() * swaps)
    order, chances = list(range(length)), list(stays)
    order[first], order[first + 1] = first + 1, first
    chances[first] = chances[first + 1] = share / swaps
    return Explored(tuple(order), chances)


@lru_cache(maxsize=1_000)
def _stays(length: int, share: float) -> tuple[float, ...]:
    """The chance of each document to stand where it was ranked, in an answer of that length."""
    each = share / (length - 1)
    return tuple(1 - each * ((rank > 0) + (rank < length - 1)) for rank in range(length))
