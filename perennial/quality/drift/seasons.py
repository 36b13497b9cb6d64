"""Which past hours an hour is compared with: the same hour of the day, of the same kind of day.

Kinds of day are Monday to Friday, and the weekend. A holiday is a weekday that behaves like a
weekend, and no calendar knows all of them: so a span of hours is read in every way, each of its
days as either kind, and only what no reading explains is drift.
"""

import itertools
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

Hours = npt.NDArray[np.int64]
DAY = 24
WEEK = 7 * DAY
CELLS = 2 * DAY
GAP = DAY  # hours before a span that are not its past: a drift must not make itself look usual
LEARNED = 7  # past days; how days differ from each other one or two cannot tell
EXPLAINED = 0.01  # a reading with such a p needs no other beside it
_MONDAY = 3  # 1970-01-01 was a Thursday


def cells(hours: Hours, *, flipped: Collection[int] = ()) -> Hours:
    """(n,) hours since 1970 (UTC) to (n,) cells 0..47; the days `flipped` count as the other kind.

    A day is its number since 1970.
    """
    days = hours // DAY
    is_weekend = ((days + _MONDAY) % 7 >= 5) ^ np.isin(days, list(flipped))
    return np.asarray(is_weekend * DAY + hours % DAY)


def is_learned(hours: Hours) -> bool:
    """Whether past hours of enough days are known to foretell anything by."""
    return len(np.unique(hours // DAY)) >= LEARNED


def readings(hours: Hours) -> Iterator[tuple[int, ...]]:
    """Every choice of days that are to be flipped; first none."""
    days = np.unique(hours // DAY).tolist()
    for count in range(len(days) + 1):
        yield from itertools.combinations(days, count)
