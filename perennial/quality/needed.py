"""How many sessions a sequential test needs, before any is spent."""

from collections.abc import Sequence
from math import exp, log, sqrt

from scipy import optimize, special

from perennial.quality.sequential import Bet, Side, increments

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
    total = sum(bet.weight for bet in bets)
    found = []
    for column, bet in enumerate(bets):
        drift = sum(c * float(s) for c, s in zip(chances, steps[:, column], strict=True))
        square = sum(c * float(s) ** 2 for c, s in zip(chances, steps[:, column], strict=True))
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
