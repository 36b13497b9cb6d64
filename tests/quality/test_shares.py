"""Intervals of shares against published numbers and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput
from perennial.quality.shares import difference_of_shares, wilson


def test_wilson_gives_the_interval_printed_by_newcombe():
    interval = wilson(81, 263, confidence=0.95)  # Newcombe 1998, two-sided intervals, table I
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20, confidence=0.95).high == pytest.approx(0.1611, abs=5e-5)


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),  # Newcombe 1998, table II, method 10
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 20, 0.6791, 1.0000),
    ],
)
def test_the_difference_has_the_interval_printed_by_newcombe(a, n_a, b, n_b, low, high):
    interval = difference_of_shares(a, n_a, b, n_b, confidence=0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_bounds_stay_possible_and_mirror_when_the_sides_are_swapped(a, b, missed_a, missed_b):
    n_a, n_b = a + missed_a, b + missed_b
    one = difference_of_shares(a, n_a, b, n_b, confidence=0.9)
    if n_a == 0 or n_b == 0:
        assert (one.value, one.low, one.high) == (None, None, None)
        return
    other = difference_of_shares(b, n_b, a, n_a, confidence=0.9)
    assert -1 - 1e-9 <= one.low <= one.value <= one.high <= 1 + 1e-9
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_the_difference_covers_zero_as_often_as_it_says_when_both_are_alike():
    rng = np.random.default_rng(4)
    pairs = rng.binomial(1000, 0.45, size=(800, 2))
    intervals = [difference_of_shares(a, 1000, b, 1000, confidence=0.95) for a, b in pairs]
    assert 0.93 <= np.mean([i.low <= 0 <= i.high for i in intervals]) <= 0.97


def test_more_successes_than_trials_are_refused():
    with pytest.raises(BadInput, match="5 successes in 4 trials"):
        wilson(5, 4, confidence=0.95)
