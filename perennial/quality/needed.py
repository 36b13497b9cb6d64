"""How many sessions a sequential test needs, before any is spent."""

from collections.abc import Sequence
from math import exp, log, sqrt

import numpy as np
from scipy import optimize, special

from perennial.quality.sequential import Bet, Floats, Side, increments
from perennial.quality.wins import win_increments

_MOST = 1e12


def sessions_needed(
    *,
    side: Side,
    share: float,
    stable: float,
    candidate: float,
    bets: Sequence[Bet],
    alpha: float,
    power: float,
    ratio: float = 1.0,
) -> int | None:
    """Sessions on both arms after which the test has ended with the chance `power`, if success is
    `stable` and `candidate`; None where it never gets there.

    The log evidence of a bet is a random walk, here a Brownian motion with its drift and variance,
    whose first passage is inverse Gaussian (Siegmund 1985, "Sequential Analysis", III.3).
    """
    steps = increments(side=side, share=share, expected=stable, bets=bets, ratio=ratio)
    chances = [share * candidate, share * (1 - candidate)]
    chances += [(1 - share) * stable, (1 - share) * (1 - stable)]
    return _soonest(np.array(chances), steps, bets, alpha=alpha, power=power)


def wins_needed(
    *, side: Side, null: float, won: float, bets: Sequence[Bet], alpha: float, power: float
) -> int | None:
    """Decided sessions in one list after which the test on the share of wins has ended with the
    chance `power`, if the candidate wins the share `won`; None where it never gets there."""
    steps = win_increments(side=side, null=null, bets=bets)
    return _soonest(np.array([won, 1 - won]), steps, bets, alpha=alpha, power=power)


def _soonest(
    chances: Floats, steps: Floats, bets: Sequence[Bet], *, alpha: float, power: float
) -> int | None:
    """Trials until one of the bets alone would end the test, from the (kinds, bets) steps."""
    total = sum(bet.weight for bet in bets)
    found = []
    for column, bet in enumerate(bets):
        drift = float(chances @ steps[:, column])
        square = float(chances @ steps[:, column] ** 2)
        level = -log(alpha) + log(total / bet.weight)
        if drift > 0:
            found.append(_passage(drift, square - drift**2, level, power))
    return min(found, default=None)


def _passage(drift: float, variance: float, level: float, power: float) -> int:
    """Steps until a walk has passed the level with the chance `power`."""

    def missing(log_n: float) -> float:
        n = exp(log_n)
        spread = sqrt(variance * n)
        there = special.ndtr((drift * n - level) / spread)
        back = 2 * drift * level / variance + special.log_ndtr((-drift * n - level) / spread)
        return float(there + exp(back) - power)

    return int(exp(optimize.brentq(missing, 0.0, log(_MOST)))) + 1
