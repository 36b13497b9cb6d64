"""Logged pages seen through another ranking: which of its documents they showed, at what weight.

A slot is a rank of the ranking that the page was long enough for and that a document fills.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from perennial.quality.metrics import Floats, Integers, Objects

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Weighed:
    """(n, k) of each slot: does it exist; the weight of what the page told of it, 0 where nothing;
    what the weights are normalised by; the click; and the rank from 0 at which the page had it."""

    slots: Booleans
    weights: Floats
    base: Floats
    clicks: Booleans
    rank: Integers

    @property
    def effective(self) -> float:
        """Kish's effective number of pages: (sum w)^2 / sum w^2, over the slots of a page."""
        squares, slots = float((self.weights**2).sum()), float(self.slots.sum())
        if squares == 0.0:
            return 0.0
        return float(self.weights.sum()) ** 2 / squares * len(self.slots) / slots


def by_place(
    shown: Objects, propensity: Floats, clicked: Booleans, ranking: Objects, *, max_weight: float
) -> Weighed:
    """Weight 1 / propensity where the page had the ranking's document at the ranking's own rank.

    Asks of people only that a click depends on the document and its rank (Li et al. 2018, "Offline
    Evaluation of Ranking Policies with Click Models", the item-position model); knows only ranks
    that exploration reaches. All are (n, k); weights above `max_weight` are cut down to it.
    """
    pages, codes = _coded(shown, ranking)
    slots = (shown != None) & (ranking != None)  # noqa: E711 (element by element)
    same = (pages == codes) & (pages >= 0)
    weights = np.where(same, np.minimum(1 / propensity, max_weight), 0.0)
    rank = np.broadcast_to(np.arange(shown.shape[1]), shown.shape)
    return Weighed(slots, weights, weights, clicked & same, rank)


def by_position(
    shown: Objects, looks: Floats, clicked: Booleans, ranking: Objects, *, max_weight: float
) -> Weighed:
    """Weight look(rank in the ranking) / look(rank on the page), wherever the page had it.

    Asks of people that they look at a rank whatever else they see, with the (k,) chances `looks`
    (Joachims et al. 2017, "Unbiased Learning-to-Rank with Biased Feedback").
    """
    pages, codes = _coded(shown, ranking)
    slots = (shown != None) & (ranking != None)  # noqa: E711
    same = (codes[:, :, None] == pages[:, None, :]) & (codes >= 0)[:, :, None]
    rank = np.asarray(same.argmax(axis=2), dtype=np.int64)
    found = same.any(axis=2) & slots
    ratio = looks[None, : shown.shape[1]] / looks[rank]
    weights = np.where(found, np.minimum(ratio, max_weight), 0.0)
    clicks = np.take_along_axis(clicked, rank, axis=1) & found
    return Weighed(slots, weights, found.astype(np.float64), clicks, rank)


def _coded(shown: Objects, ranking: Objects) -> tuple[Integers, Integers]:
    """Documents as numbers, -1 where there is none or where it stood further up already."""
    codes, _ = pd.factorize(np.concatenate([shown.ravel(), ranking.ravel()]))
    pages, ranked = codes.reshape(2, *shown.shape)
    return _once(pages), _once(ranked)


def _once(codes: Integers) -> Integers:
    above = np.tril(np.ones((codes.shape[1],) * 2, dtype=bool), -1)
    again = ((codes[:, :, None] == codes[:, None, :]) & above).any(axis=2)
    return np.asarray(np.where(again, -1, codes), dtype=np.int64)
