"""The position-based model: a click is a look, which the rank decides, at something attractive.

P(click at r) = propensity_r * relevance (Richardson et al. 2007, "Predicting Clicks"; Craswell et
al. 2008, "An Experimental Comparison of Click Position-Bias Models"; Chuklin et al. 2015, "Click
Models for Web Search", ch. 3.1). Fitted to counts by Fisher's scoring with the pairs' relevances
profiled out, for expectation maximisation (ch. 4.1.2) still moves after a thousand rounds: what is
asked of a rank is the ratio of two, and a chain of ratios is what it is slowest at.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

from perennial.data.clicks.pages import Pages

_MOST_ROUNDS, _INNER_ROUNDS = 50, 3
_LARGEST_STEP = 0.5  # of a propensity, in one round
_STILL = 1e-6
_SMALL = 1e-6
# Only pairs that were shown often teach the ranks: with one free number per pair, many pairs of few
# observations pull every propensity towards 1 (Neyman and Scott 1948); on a log of two million
# requests by 0.1. They are chosen by how often they were shown, for clicks would favour chance.
_SHOWN_OFTEN = (100, 30, 10, 1)
_ENOUGH_CLICKS = 1000  # of the pairs shown so often; with fewer, less often must do


@dataclass(frozen=True)
class Propensities:
    """(k,) chances that a rank is looked at, as shares of the first rank's, and their errors."""

    values: np.ndarray
    errors: np.ndarray


def fit_propensities(pages: Pages) -> Propensities:
    """The propensity of each rank, the first being 1: only ratios can be told from clicks."""
    counts = _counts(pages)
    ranks = pages.pairs.shape[1]
    total = np.bincount(counts.pair, counts.seen)
    clicks = np.bincount(counts.pair, counts.clicks)
    for often in _SHOWN_OFTEN:
        telling = (total >= often) & (clicks > 0)  # without a click, nothing about ranks either
        if clicks[telling].sum() >= _ENOUGH_CLICKS:
            break
    used = telling[counts.pair]
    told = _Counts(*(getattr(counts, f.name)[used] for f in fields(_Counts)))
    look = np.arange(1, ranks + 1) ** -0.5
    want = _inside(clicks / np.maximum(total, 1.0))
    information = np.zeros((ranks, ranks))
    for _ in range(_MOST_ROUNDS):
        for _ in range(_INNER_ROUNDS):
            want = _inside(want + _step_of_relevance(told, look, want))
        score, information = _score_of_ranks(told, look, want)
        step = np.zeros(ranks)
        step[1:] = np.linalg.pinv(information[1:, 1:], hermitian=True) @ score[1:]
        before = look
        look = look * np.exp(np.clip(step / look, -_LARGEST_STEP, _LARGEST_STEP))
        if np.abs(look - before).max(initial=0.0) < _STILL:
            break
    errors = np.full(ranks, np.inf)
    known = np.diag(information) > 0
    inverse = np.linalg.pinv(information[1:, 1:], hermitian=True)
    errors[1:] = np.where(known[1:], np.sqrt(np.clip(np.diag(inverse), 0.0, None)), np.inf)
    errors[:1] = 0.0
    return Propensities(look, errors)


@dataclass(frozen=True)
class _Counts:
    pair: np.ndarray
    rank: np.ndarray
    seen: np.ndarray
    clicks: np.ndarray


def _counts(pages: Pages) -> _Counts:
    """How often each pair was seen and clicked at each rank."""
    shown, ranks = pages.shown, pages.pairs.shape[1]
    keys = (pages.pairs.astype(np.int64) * ranks + np.arange(ranks))[shown]
    weights = np.broadcast_to(pages.seen[:, None], shown.shape)[shown]
    distinct, place = np.unique(keys, return_inverse=True)
    seen = np.bincount(place, weights)
    clicks = np.bincount(place, weights * pages.clicked[shown], minlength=len(distinct))
    return _Counts(distinct // max(ranks, 1), distinct % max(ranks, 1), seen, clicks)


def _step_of_relevance(counts: _Counts, look: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Each pair's step of Fisher's scoring, the ranks being given."""
    theta, alpha = look[counts.rank], want[counts.pair]
    chance = np.minimum(theta * alpha, 1 - _SMALL)
    weight = 1 / (chance * (1 - chance))
    score = theta * weight * (counts.clicks - counts.seen * chance)
    pairs = len(want)
    information = np.bincount(counts.pair, counts.seen * theta**2 * weight, minlength=pairs)
    sums = np.bincount(counts.pair, score, minlength=pairs)
    return sums / np.maximum(information, _SMALL)


def _score_of_ranks(
    counts: _Counts, look: np.ndarray, want: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) score of the propensities and their (k, k) Fisher information, less what the pairs' own
    unknown relevances take away (its Schur complement)."""
    ranks, pairs = len(look), len(want)
    free = (want[counts.pair] > 0.001) & (want[counts.pair] < 0.999)
    pair, rank = counts.pair[free], counts.rank[free]
    theta, alpha = look[rank], want[pair]
    chance = np.minimum(theta * alpha, 1 - _SMALL)
    weight = 1 / (chance * (1 - chance))
    seen = counts.seen[free]
    score = np.bincount(
        rank, alpha * weight * (counts.clicks[free] - seen * chance), minlength=ranks
    )
    own = np.bincount(rank, seen * alpha**2 * weight, minlength=ranks)
    cross = sparse.csr_matrix((seen * alpha * theta * weight, (pair, rank)), shape=(pairs, ranks))
    per_pair = np.bincount(pair, seen * theta**2 * weight, minlength=pairs)
    scaled = sparse.diags(1 / np.sqrt(np.maximum(per_pair, _SMALL))) @ cross
    return score, np.diag(own) - np.asarray((scaled.T @ scaled).todense())


def _inside(chances: np.ndarray) -> np.ndarray:
    bounded: np.ndarray = np.clip(chances, _SMALL, 1 - _SMALL)
    return bounded
