"""From looks to relevance: clicks over expected looks, with an interval, for any click model."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from perennial.data.clicks.pages import Pages

_OFTEN = 20.0


@dataclass(frozen=True)
class Relevance:
    """(pairs,) relevance, its bounds, expected looks, and how often it was shown and clicked."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    looks: np.ndarray
    shown: np.ndarray
    clicks: np.ndarray


def estimate_relevance(
    pages: Pages, looks: np.ndarray, *, errors: np.ndarray | None = None, confidence: float
) -> Relevance:
    """(p, k) chances of a look to each pair's relevance: the chance of a click once looked at.

    A click of chance `look * relevance` has the quasi-score clicks - relevance * sum(looks), whose
    variance grows with the (k,) standard errors of the looks; the interval holds all relevances
    that it does not reject. Where every look is sure it is Wilson's (1927). Clicks that satisfied
    less count less.
    """
    z = float(ndtri(0.5 + confidence / 2))
    clicks = pages.per_pair(pages.clicked)
    first, second = pages.per_pair(looks), pages.per_pair(looks**2)
    first, second = np.maximum(first, 1e-9), np.maximum(second, 1e-18)
    doubt = 0.0 if errors is None else pages.per_pair(np.broadcast_to(errors, looks.shape))
    square = first**2 + z**2 * (second - doubt**2)
    told = square > 0  # else the looks are too unsure to bound anything
    square = np.where(told, square, 1.0)
    half = clicks * first + z**2 * first / 2
    root = np.sqrt(np.maximum(half**2 - square * clicks**2, 0.0))
    value = np.clip(clicks / first, 0.0, 1.0)
    low = np.where(told, np.clip((half - root) / square, 0.0, value), 0.0)
    high = np.where(told, np.clip((half + root) / square, value, 1.0), 1.0)
    weight = pages.satisfaction
    return Relevance(
        value=value * weight,
        low=low * weight,
        # A click left at once is weak evidence for a document, and none against it.
        high=np.where(clicks > 0, np.maximum(high * weight, value * weight), high),
        looks=first,
        shown=pages.per_pair(np.ones(looks.shape)),
        clicks=clicks,
    )


def click_chances(pages: Pages, looks: np.ndarray) -> np.ndarray:
    """(p, k) chances of a click as the looks and the pairs' own clicks have it."""
    first = np.maximum(pages.per_pair(looks), 1e-9)
    want = np.clip(pages.per_pair(pages.clicked) / first, 0.0, 1.0)
    chances = np.where(pages.shown, looks * want[pages.pairs], 0.0)
    bounded: np.ndarray = np.clip(chances, 1e-6, 1 - 1e-6)
    return bounded


def log_likelihood(pages: Pages, looks: np.ndarray) -> float:
    """The mean log-likelihood of an impression's click or skip, natural logarithm, over pairs that
    were shown often: the others are judged by their own click, which every model explains."""
    chances = click_chances(pages, looks)
    each = np.where(pages.clicked, np.log(chances), np.log1p(-chances))
    shown = pages.per_pair(np.ones(chances.shape))
    often = (shown >= min(_OFTEN, float(shown.max(initial=0.0))))[pages.pairs]
    total = float(pages.per_rank(often).sum())
    return float(pages.per_rank(np.where(often, each, 0.0)).sum() / max(total, 1.0))
