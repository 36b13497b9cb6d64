"""Exploring: now and then two neighbours of an answer change places, and the chance is logged.

Without it a log cannot tell what a rank is worth from what stands there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from perennial.serving.loaded import Hit


@dataclass(frozen=True)
class Explored:
    """The hits as they are shown, ranks anew, and the chance of each to stand at its rank."""

    hits: tuple[Hit, ...]
    propensities: tuple[float, ...]
    is_explored: bool


def explore(hits: Sequence[Hit], *, share: float, random: Random) -> Explored:
    """The hits, with `share` of a chance one adjacent pair of them swapped."""
    length = len(hits)
    swaps = length - 1
    if swaps < 1 or share <= 0:
        return Explored(tuple(hits), (1.0,) * length, is_explored=False)
    each, stays = share / swaps, _stays(length, share)
    if random.random() >= share:
        return Explored(tuple(hits), stays, is_explored=False)
    first = int(random.random() * swaps)
    shown, chances = list(hits), list(stays)
    for rank in (first, first + 1):
        other = hits[2 * first + 1 - rank]
        shown[rank] = Hit(other.doc_id, other.score, rank + 1)
        chances[rank] = each
    return Explored(tuple(shown), tuple(chances), is_explored=True)


@lru_cache(maxsize=1_000)
def _stays(length: int, share: float) -> tuple[float, ...]:
    """The chance of each document to stand where it was ranked, in an answer of that length."""
    each = share / (length - 1)
    return tuple(1 - each * ((rank > 0) + (rank < length - 1)) for rank in range(length))
