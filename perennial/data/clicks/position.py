"""The position-based model: a click is a look, which the rank decides, at something attractive.

P(click at r) = propensity_r * relevance (Richardson et al. 2007, "Predicting Clicks"; Craswell et
al. 2008, "An Experimental Comparison of Click Position-Bias Models"), fitted by expectation
maximisation over counts (Chuklin et al. 2015, "Click Models for Web Search", sec. 4.1.2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from perennial.data.clicks.pages import Pages

_MOST_ROUNDS = 400
_STILL = 1e-7
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
        telling = total >= often
        if clicks[telling].sum() >= _ENOUGH_CLICKS:
            break
    used = telling[counts.pair]
    pair, rank = counts.pair[used], counts.rank[used]
    seen, clicked = counts.seen[used], counts.clicks[used]
    per_rank = np.maximum(np.bincount(rank, seen, minlength=ranks), _SMALL)
    per_pair = np.maximum(np.bincount(pair, seen, minlength=len(total)), _SMALL)

    def step(at: np.ndarray) -> np.ndarray:
        look, want = at[:ranks], at[ranks:]
        chance = look[rank] * want[pair]
        passed = (seen - clicked) / np.maximum(1 - chance, _SMALL)
        looked = np.bincount(rank, clicked + passed * (look[rank] - chance), minlength=ranks)
        wanted = np.bincount(pair, clicked + passed * (want[pair] - chance), minlength=len(total))
        return _inside(np.concatenate([looked / per_rank, wanted / per_pair]))

    # Not all ones: expectation maximisation would stay there.
    look = 0.9 * np.arange(1, ranks + 1) ** -0.5
    at = _inside(np.concatenate([look, clicks / np.maximum(total, 1.0)]))
    for _ in range(_MOST_ROUNDS):
        at, moved = _accelerated(step, at, ranks=ranks)
        if moved < _STILL:
            break
    look, want = at[:ranks], at[ranks:]
    scale = max(look[0], _SMALL)
    values = np.clip(look / scale, 0.0, None)
    errors = _errors(pair, rank, seen, look=look, want=want, ranks=ranks)
    return Propensities(values, errors / scale)


def _accelerated(
    step: Callable[[np.ndarray], np.ndarray], at: np.ndarray, *, ranks: int
) -> tuple[np.ndarray, float]:
    """One round of three steps, the third from where the first two point to, and how far the ranks'
    shares moved (SQUAREM, Varadhan and Roland 2008: alone, a step goes a thousandth of the way)."""
    first = step(at)
    second = step(first)
    once, twice = first - at, second - 2 * first + at
    length = -np.sqrt(float(once @ once) / max(float(twice @ twice), 1e-300))
    length = min(length, -1.0)
    ahead = step(_inside(at - 2 * length * once + length**2 * twice))
    shares = [point[:ranks] / point[0] for point in (first, at)]
    return ahead, float(np.abs(shares[0] - shares[1]).max())


def _inside(chances: np.ndarray) -> np.ndarray:
    bounded: np.ndarray = np.clip(chances, _SMALL, 1 - _SMALL)
    return bounded


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


def _errors(
    pair: np.ndarray,
    rank: np.ndarray,
    seen: np.ndarray,
    *,
    look: np.ndarray,
    want: np.ndarray,
    ranks: int,
) -> np.ndarray:
    """(k,) standard errors relative to the first rank: Fisher information of the ranks, less what
    the pairs' own unknown relevances take away (its Schur complement)."""
    inside = (want[pair] > 0.01) & (want[pair] < 0.99) & (look[rank] > _SMALL)
    pair, rank, seen = pair[inside], rank[inside], seen[inside]
    theta, alpha = np.clip(look[rank], _SMALL, 1 - _SMALL), want[pair]
    weight = seen / (theta * alpha * (1 - theta * alpha))
    own = np.bincount(rank, weight * alpha**2, minlength=ranks)
    pairs = len(want)
    cross = sparse.csr_matrix((weight * alpha * theta, (pair, rank)), shape=(pairs, ranks))
    per_pair = np.bincount(pair, weight * theta**2, minlength=pairs)
    scaled = sparse.diags(1 / np.sqrt(np.maximum(per_pair, _SMALL))) @ cross
    information = np.diag(own) - np.asarray((scaled.T @ scaled).todense())
    errors = np.full(ranks, np.inf)
    known = np.flatnonzero(own > 0)
    known = known[known > 0]  # the first rank is the measure of the others
    if len(known):
        inverse = np.linalg.pinv(information[np.ix_(known, known)])
        errors[known] = np.sqrt(np.clip(np.diag(inverse), 0.0, None))
    if ranks:
        errors[0] = 0.0
    return errors
