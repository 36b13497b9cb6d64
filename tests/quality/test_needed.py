"""The sessions that are asked for beforehand are those that the tests then take."""

import numpy as np
import pytest

from perennial.quality.needed import sessions_needed, wins_needed
from perennial.quality.rollout import bets_for
from perennial.quality.sequential import Floats, increments, mixed
from perennial.quality.wins import win_increments

ALPHA, WALKS = 0.02, 300


def ended(steps: Floats, chances: list[float], bets, *, n: int) -> float:
    """The share of walks that have passed the level after n trials, or before."""
    kinds = np.random.default_rng(3).choice(len(chances), size=(WALKS, n), p=chances)
    found = mixed(np.cumsum(steps[kinds], axis=1).transpose(2, 0, 1), bets)
    return float((found.max(axis=1) >= -np.log(ALPHA)).mean())


@pytest.mark.parametrize(
    ("side", "null", "won"),
    [("above", 0.35, 0.5), ("above", 0.45, 0.5), ("below", 0.5, 0.45)],
)
def test_four_of_five_rollouts_end_within_the_decided_sessions_foretold(side, null, won):
    bets = getattr(bets_for(margin=1 - 2 * null or 0.1, design_loss=0.1, success=0.5), side)
    n = wins_needed(side=side, null=null, won=won, bets=bets, alpha=ALPHA, power=0.8)
    steps = win_increments(side=side, null=null, bets=bets)
    assert 0.74 < ended(steps, [won, 1 - won], bets, n=n) < 0.92


def test_they_end_within_the_sessions_foretold_where_each_has_one_arm():
    bets = bets_for(margin=0.3, design_loss=0.1, success=0.6).above
    common = {"side": "above", "share": 0.5, "bets": bets, "ratio": 0.7}
    n = sessions_needed(stable=0.6, candidate=0.6, alpha=ALPHA, power=0.8, **common)
    steps = increments(expected=0.6, **common)
    assert 0.74 < ended(steps, [0.3, 0.2, 0.3, 0.2], bets, n=n) < 0.92


def test_who_wins_no_more_than_the_bound_never_passes_it():
    bets = bets_for(margin=0.1, design_loss=0.1, success=0.5).above
    assert wins_needed(side="above", null=0.45, won=0.45, bets=bets, alpha=ALPHA, power=0.8) is None
