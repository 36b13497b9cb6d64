"""Counts of consecutive hours, and the shares of them that a watch looks at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.rates import Side, rate_shift
from perennial.quality.drift.signal import About, Signal

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Watched:
    """A share: what it is of, which way it may not move, how its move is told, and whether slices
    have it: they are of the documents that were shown."""

    about: About
    side: Side
    title: str
    is_sliced: bool = True


SHARES: Mapping[str, Watched] = {
    "novel queries": Watched("queries", "above", "queries resemble nothing that was asked before"),
    "unseen words": Watched("queries", "above", "queries have a word that nobody asked for before"),
    "long queries": Watched("queries", "both", "queries have more words than the median had"),
    "other scripts": Watched("queries", "both", "queries are in another script than most"),
    "other languages": Watched("queries", "both", "queries read like another language than most"),
    "click success": Watched("clicks", "below", "searches ended in a click that was kept"),
    "reformulation": Watched("clicks", "above", "searches were asked again in other words"),
    "zero results": Watched("clicks", "above", "searches found nothing", is_sliced=False),
}


@dataclass(frozen=True)
class Hourly:
    """(h,) consecutive hours since 1970, UTC; trials, and of them the hits of each share."""

    hours: Ints
    trials: Ints
    hits: Mapping[str, Ints]


def counted(
    hours: Ints, *, first: int, count: int, flags: Mapping[str, npt.NDArray[np.bool_]]
) -> Hourly:
    """(n,) hours of rows with their flags to counts of `count` hours from `first` on."""
    places = hours - first
    return Hourly(
        first + np.arange(count),
        np.bincount(places, minlength=count),
        {
            name: np.bincount(places[flag], minlength=count).astype(np.int64)
            for name, flag in flags.items()
        },
    )


def share_signals(
    counts: Hourly,
    *,
    span: int,
    floor: float,
    min_trials: int,
    width: int = 0,
    slice: str | None = None,
) -> list[Signal]:
    """A signal for each share in SHARES that is counted, over the last `span` hours; what is usual
    at an hour is that of `width` hours around it."""
    found = []
    for name, hits in counts.hits.items():
        watched = SHARES.get(name)
        if watched is None or counts.trials[-span:].sum() < min_trials:
            continue
        if slice is not None and not watched.is_sliced:
            continue
        shift = rate_shift(
            counts.trials, hits, counts.hours, span=span, side=watched.side, width=width
        )
        if shift is None:
            continue
        moved = shift.value - shift.expected
        effect = {"above": moved, "below": -moved, "both": abs(moved)}[watched.side]
        said = (
            f"{shift.value:.1%} of {shift.n:,} {watched.title}, where {shift.expected:.1%} are "
            "usual at these hours of the week"
        )
        found.append(
            Signal(name, watched.about, span, effect, floor, shift.p, shift.n, said, slice)
        )
    return found
