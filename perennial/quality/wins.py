"""How many sessions the candidate wins where both releases stand in one list."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perennial.quality.paired import Interval
from perennial.quality.sequential import Bet, Floats, Side, mixed

_SHARES: Floats = np.linspace(0.001, 0.999, 999)


def log_win_evidence(
    wins: int, losses: int, *, side: Side, null: Floats, bets: Sequence[Bet]
) -> Floats:
    """Shares of won sessions (...) to the log evidence that the true one lies beyond each.

    A sequential probability ratio test on the sign, ties left out, mixed over the bets (Wald 1945;
    Robbins 1970, "Statistical Methods Related to the Law of the Iterated Logarithm").
    """
    won, lost = win_increments(side=side, null=null, bets=bets)
    return mixed(wins * won + losses * lost, bets)


def win_increments(*, side: Side, null: npt.ArrayLike, bets: Sequence[Bet]) -> Floats:
    """(2, bets, ...) what a won and a lost session add to the log evidence of each bet."""
    nulls = np.asarray(null, dtype=np.float64)
    distance = np.array([bet.distance for bet in bets]).reshape(-1, *[1] * nulls.ndim)
    away = np.clip(nulls + distance if side == "above" else nulls - distance, 1e-6, 1 - 1e-6)
    outside = away > nulls if side == "above" else away < nulls
    found = np.stack([np.log(away / nulls), np.log((1 - away) / (1 - nulls))])
    return np.asarray(np.where(outside, found, 0.0))


def wins_interval(
    wins: int,
    losses: int,
    *,
    bets_above: Sequence[Bet],
    bets_below: Sequence[Bet],
    alpha_above: float,
    alpha_below: float,
) -> Interval:
    """The share of decided sessions that the candidate wins, with a confidence sequence.

    (Radlinski et al. 2008: more than half is a better ranking.) None where nothing is excluded yet.
    """
    above = log_win_evidence(wins, losses, side="above", null=_SHARES, bets=bets_above)
    below = log_win_evidence(wins, losses, side="below", null=_SHARES, bets=bets_below)
    kept_low = np.flatnonzero(above < -np.log(alpha_above))
    kept_high = np.flatnonzero(below < -np.log(alpha_below))
    n = wins + losses
    low = float(_SHARES[kept_low[0] - 1]) if len(kept_low) and kept_low[0] else None
    last = kept_high[-1] + 1 if len(kept_high) else len(_SHARES)
    high = float(_SHARES[last]) if last < len(_SHARES) else None
    return Interval(wins / n if n else None, low, high, n)
