"""An exact test of two Bernoulli arms that stays valid however often it is looked at.

A session falls on the candidate with the known chance `share` and succeeds with p_c there, or with
p_s on stable. The null hypothesis is p_c <= ratio p_s + shift ("above" is what would be shown), or
p_c >= ratio p_s + shift ("below"). The evidence against it is the likelihood ratio of one stated
alternative (q_c, q_s) to the null's point nearest to it in Kullback-Leibler divergence (its reverse
information projection), multiplied over sessions: an e-process, exact for any number of sessions,
so that it ever exceeds 1 / alpha with a chance of at most alpha (Ville). It is a function of
counts, so that the order of arrival does not matter, and p_s may drift from day to day.

Turner, Ly and Grünwald 2024, "Generic E-variables for exact sequential k-sample tests that allow
for optional stopping"; Grünwald, de Heide and Koolen 2024, "Safe Testing", theorem 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

Side = Literal["above", "below"]
Floats = npt.NDArray[np.float64]
_EDGE = 1e-6  # no alternative is so sure that one session could refute it for ever
_HALVINGS = 50


@dataclass(frozen=True)
class Cells:
    """Trials and successes of both arms while the candidate's share was `share`."""

    share: float
    candidate: int
    candidate_successes: int
    stable: int
    stable_successes: int


@dataclass(frozen=True)
class Bet:
    """An alternative: so far beyond the null, in probability, and the weight that it is given."""

    distance: float
    weight: float


def log_evidence(
    cells: Sequence[Cells],
    *,
    side: Side,
    expected: float,
    bets: Sequence[Bet],
    ratio: npt.ArrayLike = 1.0,
    shift: float = 0.0,
) -> Floats:
    """Nulls of shape (...) by their `ratio` to the log of the evidence against each, same shape.

    `expected` is the success on stable that the bets are made at: fixed beforehand, it decides the
    power and never the validity.
    """
    nulls = np.asarray(ratio, dtype=np.float64)
    total = np.zeros((len(bets), *nulls.shape))
    for each in cells:
        steps = increments(
            side=side, share=each.share, expected=expected, bets=bets, ratio=nulls, shift=shift
        )
        total += np.tensordot(counts_of(each), steps, axes=1)
    return mixed(total, bets)


def increments(
    *,
    side: Side,
    share: float,
    expected: float,
    bets: Sequence[Bet],
    ratio: npt.ArrayLike = 1.0,
    shift: float = 0.0,
) -> Floats:
    """(4, bets, ...) what one trial adds to the log evidence of each bet against each null.

    The four kinds of trial: success and failure on the candidate, success and failure on stable.
    """
    nulls = np.asarray(ratio, dtype=np.float64)
    distance = np.array([bet.distance for bet in bets]).reshape(-1, *[1] * nulls.ndim)
    stable = np.full(np.broadcast_shapes(distance.shape, nulls.shape), expected)
    edge = nulls * stable + shift
    away = edge + distance if side == "above" else edge - distance
    candidate = np.clip(away, _EDGE, 1 - _EDGE)
    # Where no probability lies beyond the null there is nothing to bet on.
    outside = candidate > edge if side == "above" else candidate < edge
    nearest = _nearest(candidate, stable, share=share, ratio=nulls, shift=shift)
    null_candidate = np.clip(nulls * nearest + shift, 1e-12, 1 - 1e-12)
    found = np.stack(
        [
            np.log(candidate / null_candidate),
            np.log((1 - candidate) / (1 - null_candidate)),
            np.log(stable / nearest),
            np.log((1 - stable) / (1 - nearest)),
        ]
    )
    return np.asarray(np.where(outside, found, 0.0))


def mixed(log_evidences: Floats, bets: Sequence[Bet]) -> Floats:
    """(bets, ...) log evidence of each bet to (...) that of their weighted mean, also evidence."""
    weights = np.array([bet.weight for bet in bets]).reshape(-1, *[1] * (log_evidences.ndim - 1))
    return np.asarray(special.logsumexp(log_evidences, axis=0, b=weights / weights.sum()))


def counts_of(cells: Cells) -> Floats:
    """(4,) how many trials of each kind there were."""
    return np.array(
        [
            cells.candidate_successes,
            cells.candidate - cells.candidate_successes,
            cells.stable_successes,
            cells.stable - cells.stable_successes,
        ],
        dtype=np.float64,
    )


def _nearest(
    candidate: Floats, stable: Floats, *, share: float, ratio: Floats, shift: float
) -> Floats:
    """p_s of the point on p_c = ratio p_s + shift nearest to the alternative, by halving.

    The divergence share KL(q_c, p_c) + (1 - share) KL(q_s, p_s) is convex in p_s.
    """
    low = np.broadcast_to(np.maximum(0.0, -shift / ratio), stable.shape).copy()
    high = np.broadcast_to(np.minimum(1.0, (1.0 - shift) / ratio), stable.shape).copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        there = np.clip(ratio * middle + shift, 1e-15, 1 - 1e-15)
        slope = share * ratio * ((1 - candidate) / (1 - there) - candidate / there)
        slope += (1 - share) * ((1 - stable) / (1 - middle) - stable / middle)
        low, high = np.where(slope < 0, middle, low), np.where(slope < 0, high, middle)
    return np.asarray(np.clip((low + high) / 2, 1e-12, 1 - 1e-12))
