"""Two samples with the same seasons in the same proportions: a span of hours, and hours before."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.seasons import CELLS, Hours, cells

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Matched:
    """Row numbers of the span and of the past; either may be empty."""

    now: Rows
    past: Rows


def matched(
    hours: Hours,
    now: Rows,
    past: Rows,
    *,
    flipped: Collection[int],
    most: int,
    ratio: float,
    seed: int,
) -> Matched:
    """Of rows with their (n,) hours at most `most` of `now`, and up to `ratio` times as many of
    `past` in each cell of the week.

    A row of `now` whose cell the past does not know has nothing to be compared with.
    """
    generator = np.random.default_rng(seed)
    now = np.sort(generator.permutation(now)[:most])
    ours, theirs = cells(hours[now], flipped=flipped), cells(hours[past])
    wanted, there = (np.bincount(c, minlength=CELLS) for c in (ours, theirs))
    wanted = np.minimum(wanted, there)
    filled = wanted > 0
    if not filled.any():
        return Matched(now[:0], past[:0])
    ratio = min(ratio, float((there[filled] / wanted[filled]).min()))
    return Matched(
        now[_drawn(ours, wanted, generator)],
        past[_drawn(theirs, np.floor(wanted * ratio).astype(np.int64), generator)],
    )


def _drawn(groups: Rows, wanted: Rows, generator: np.random.Generator) -> Rows:
    """Places of as many members of each group as are wanted, at random."""
    order = generator.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups, minlength=len(wanted))
    place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < wanted[groups[order]]])
