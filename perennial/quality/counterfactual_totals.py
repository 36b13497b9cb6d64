"""Sums over weighed pages with what their intervals need: each page's influence, and each look's.

The influence of a page is what the value changes by, times n, when that page counts a little more;
a ratio's interval is then the bootstrap of a plain mean (Efron and Tibshirani 1993, "An
Introduction to the Bootstrap", ch. 21).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from perennial.quality.counterfactual_weights import Weighed
from perennial.quality.metrics import Floats, Integers
from perennial.quality.paired import Interval, bootstrap_means


@dataclass(frozen=True)
class Total:
    """A value, the (n,) influences of the pages, of mean 0, and its (k,) slopes by the looks."""

    value: float
    influence: Floats
    slopes: Floats

    def minus(self, other: "Total") -> "Total":
        """The difference of two totals of the same pages."""
        return Total(
            self.value - other.value, self.influence - other.influence, self.slopes - other.slopes
        )

    def over(self, other: "Total") -> "Total":
        """This one as a share of another one, which must not be 0."""
        share = self.value / other.value
        return Total(
            share,
            (self.influence - share * other.influence) / other.value,
            (self.slopes - share * other.slopes) / other.value,
        )


def clipped_total(weighed: Weighed, looks: Floats) -> Total:
    """Clicks per page: the mean over pages of the sum of weight * click."""
    each = weighed.weights * weighed.clicks
    value = each.sum(axis=1)
    mean = float(value.mean())
    return Total(mean, value - mean, _slopes(each / len(each), weighed, looks))


def normalised_total(weighed: Weighed, looks: Floats) -> Total:
    """Clicks per page: rank by rank sum(weight * click) / sum(base), times how often there is that
    rank; a rank that no page tells of adds nothing."""
    each = weighed.weights * weighed.clicks
    base = weighed.base.mean(axis=0)
    told = base > 0
    safe = np.where(told, base, 1.0)
    rate = np.where(told, each.mean(axis=0) / safe, 0.0)
    share = weighed.slots.mean(axis=0)
    influence = share * (each - rate * weighed.base) / safe * told
    influence += rate * (weighed.slots - share)
    slopes = _slopes(each * share / safe / len(each), weighed, looks)
    return Total(float((rate * share).sum()), influence.sum(axis=1), slopes)


def seen_share(weighed: Weighed, looks: Floats) -> Total:
    """The share of the ranking's documents that pages told of, each counted by its rank's look."""
    told, every = weighed.base @ looks, weighed.slots @ looks
    value = float(told.sum() / every.sum())
    return Total(value, (told - value * every) / every.mean(), np.zeros(len(looks)))


def intervals(
    totals: Sequence[Total],
    *,
    session: Integers,
    errors: Floats,
    samples: int,
    confidence: float,
    seed: int,
) -> list[Interval]:
    """Bootstrap intervals of whole sessions, wider by what the (k,) standard errors of the looks
    add (as if ranks erred independently)."""
    sessions, place = np.unique(session, return_inverse=True)
    scale = len(sessions) / len(session)
    columns = [
        total.value + scale * np.bincount(place, total.influence, minlength=len(sessions))
        for total in totals
    ]
    found = bootstrap_means(
        np.stack(columns, axis=1), samples=samples, confidence=confidence, seed=seed
    )
    z = float(special.ndtri((1 + confidence) / 2))
    return [
        _wider(interval, z * float(np.sqrt(((total.slopes * errors) ** 2).sum())))
        for interval, total in zip(found, totals, strict=True)
    ]


def _wider(interval: Interval, by: float) -> Interval:
    if interval.value is None or interval.low is None or interval.high is None:
        return interval
    value, low, high = interval.value, interval.low, interval.high
    return Interval(
        value, value - np.hypot(value - low, by), value + np.hypot(high - value, by), interval.n
    )


def _slopes(each: Floats, weighed: Weighed, looks: Floats) -> Floats:
    """d value / d look(t): a weight is look(slot) / look(rank on the page)."""
    ranks = len(looks)
    found = weighed.rank.ravel()[each.ravel() != 0]
    there = np.bincount(found, each.ravel()[each.ravel() != 0], minlength=ranks)
    return np.asarray((each.sum(axis=0) - there) / looks, dtype=np.float64)
