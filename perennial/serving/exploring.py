"""Exploring: now and then two neighbours of an answer change places, and the chance is logged.

Without it a log cannot tell what a rank is worth from what stands there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    each = share / swaps
    stays = [1 - each * ((rank > 0) + (rank < swaps)) for rank in range(length)]
    if random.random() >= share:
        return Explored(tuple(hits), tuple(stays), is_explored=False)
    first = random.randrange(swaps)
    shown, chances = list(hits), list(stays)
    for rank in (first, first + 1):
        other = hits[2 * first + 1 - rank]
        shown[rank] = Hit(other.doc_id, other.score, rank + 1)
        chances[rank] = each
    return Explored(tuple(shown), tuple(chances), is_explored=True)
