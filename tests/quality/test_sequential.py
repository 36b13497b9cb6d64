"""The tests that may be looked at after every session: exact by arithmetic, not by simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.quality.mismatch import log_mismatch
from perennial.quality.sequential import Bet, Cells, increments, log_evidence
from perennial.quality.sequential_bounds import ratio_interval, risk_difference, risk_ratio
from perennial.quality.wins import log_win_evidence, wins_interval

BETS = (Bet(0.05, 0.8), Bet(0.2, 0.2))
chance = st.floats(0.02, 0.98)


@given(
    side=st.sampled_from(["above", "below"]),
    share=st.floats(0.01, 0.9),
    expected=chance,
    ratio=st.floats(0.5, 1.5),
    shift=st.floats(-0.1, 0.1),
    stable=chance,
    beyond=st.floats(0, 0.5),
)
def test_no_null_whatever_lets_the_evidence_grow(
    side, share, expected, ratio, shift, stable, beyond
):
    """One more trial multiplies it by at most 1 on average, whatever the rates are on that day."""
    candidate = ratio * stable + shift + (-beyond if side == "above" else beyond)
    if not 0 < candidate < 1:
        return
    found = increments(
        side=side, share=share, expected=expected, bets=BETS, ratio=ratio, shift=shift
    )
    kinds = [
        share * candidate,
        share * (1 - candidate),
        (1 - share) * stable,
        (1 - share) * (1 - stable),
    ]
    assert (np.array(kinds) @ np.exp(found)).max() <= 1 + 1e-9


def test_evidence_is_the_product_over_sessions_in_any_order():
    trials = [(True, True)] * 3 + [(True, False)] * 2 + [(False, True)] * 4 + [(False, False)]
    kinds = [(True, True), (True, False), (False, True), (False, False)]
    steps = increments(side="below", share=0.5, expected=0.6, bets=BETS[:1])
    by_hand = sum(steps[kinds.index(trial), 0] for trial in trials)
    cells = [Cells(0.5, 5, 3, 5, 4)]
    parted = [Cells(0.5, 2, 1, 3, 3), Cells(0.5, 3, 2, 2, 1)]
    for each in (cells, parted):
        found = log_evidence(each, side="below", expected=0.6, bets=BETS[:1])
        assert found == pytest.approx(by_hand)


def test_the_interval_closes_around_the_true_ratio_and_the_decision_agrees_with_it():
    cells = [Cells(0.5, 40_000, 21_600, 40_000, 24_000)]  # 0.54 against 0.6
    levels = {"alpha_above": 0.02, "alpha_below": 0.015}
    found = ratio_interval(cells, expected=0.6, bets_above=BETS, bets_below=BETS, **levels)
    assert found.value == pytest.approx(0.9)
    assert 0.85 < found.low < 0.9 < found.high < 0.95
    for ratio, is_out in ((found.high * 1.01, True), (found.high * 0.99, False)):
        evidence = log_evidence(cells, side="below", expected=0.6, bets=BETS, ratio=ratio)
        assert (evidence >= -np.log(0.015)) == is_out
    nothing = ratio_interval([], expected=0.6, bets_above=BETS, bets_below=BETS, **levels)
    assert (nothing.value, nothing.low, nothing.high, nothing.n) == (None, None, None, 0)


def test_shares_that_grow_while_success_drifts_bias_no_estimate():
    """Simpson's paradox: pooled, the candidate would look better only since it came later."""
    cells = [Cells(0.01, 100, 50, 9_900, 4_950), Cells(0.5, 5_000, 4_000, 5_000, 4_000)]
    assert risk_ratio(cells) == pytest.approx(1.0)
    assert risk_difference(cells) == pytest.approx(0.0)
    assert risk_ratio([Cells(0.5, 10, 5, 10, 0)]) is None


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_kept_promises_are_never_told_from_broken_ones_by_chance(share):
    """The evidence of n draws averages to 1 over all that could have been drawn."""
    n, total = 12, 0.0
    for draw in itertools.product((0, 1), repeat=n):
        ours = sum(draw)
        chance_of_it = share**ours * (1 - share) ** (n - ours)
        total += chance_of_it * np.exp(log_mismatch([(share, ours, n - ours)]))
    assert total == pytest.approx(1.0)


def test_a_biased_router_is_found_and_a_fair_one_is_not():
    assert log_mismatch([(0.01, 100, 9_900), (0.1, 1_000, 9_000)]) < 0
    assert log_mismatch([(0.5, 5_400, 4_600)]) > np.log(1e4)
    assert log_mismatch([(0.01, 0, 3_000)]) > np.log(1e4)


def test_the_share_of_sessions_won_has_an_interval_that_holds_it():
    found = wins_interval(
        5_600, 4_400, bets_above=BETS, bets_below=BETS, alpha_above=0.02, alpha_below=0.02
    )
    assert 0.53 < found.low < 0.56 < found.high < 0.59
    for share in (0.3, 0.5, 0.7):
        away = log_win_evidence(1, 0, side="above", null=np.array(share), bets=BETS)
        other = log_win_evidence(0, 1, side="above", null=np.array(share), bets=BETS)
        assert share * np.exp(away) + (1 - share) * np.exp(other) == pytest.approx(1.0)
