"""The sign-flip test against its own definition, Holm's correction, and effect sizes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from perennial.quality.randomisation import cohens_dz, holm, sign_flip_p


def every_sign(differences: np.ndarray) -> float:
    """The exact two-sided p: all 2^n assignments of signs, counted."""
    signs = np.array(list(product([-1, 1], repeat=len(differences))))
    return float(np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9))


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_the_drawn_p_is_the_exact_one_within_its_own_noise(shift):
    differences = np.random.default_rng(3).normal(shift, 0.3, 12)
    drawn = sign_flip_p(differences[:, None], samples=20_000, seed=1)[0]
    assert drawn == pytest.approx(every_sign(differences), abs=0.015)


@given(arrays(float, (15, 2), elements=st.floats(-1, 1)), st.integers(1, 200))
def test_p_is_never_zero_and_never_above_one(differences, samples):
    p = sign_flip_p(differences, samples=samples, seed=5)
    assert ((p >= 1 / (1 + samples)) & (p <= 1)).all()


def test_a_difference_that_no_draw_reaches_has_the_least_p_there_is():
    assert sign_flip_p(np.ones((200, 1)), samples=999, seed=1)[0] == 1 / 1000


def test_ties_alone_and_no_pairs_are_chance():
    assert sign_flip_p(np.zeros((30, 2)), samples=99, seed=1).tolist() == [1.0, 1.0]
    assert sign_flip_p(np.zeros((0, 1)), samples=99, seed=1).tolist() == [1.0]


def test_equal_systems_are_called_different_as_rarely_as_p_says():
    rng = np.random.default_rng(8)
    worlds = rng.standard_t(4, (60, 2000)) * (rng.random((60, 2000)) < 0.5)
    p = sign_flip_p(worlds, samples=999, seed=2)
    low, high = stats.binom.interval(0.999, 2000, 0.05)
    assert low <= (p <= 0.05).sum() <= high


def test_ties_change_no_p_because_their_sign_says_nothing():
    moved = np.random.default_rng(1).normal(0.1, 0.3, (20, 1))
    padded = np.concatenate([moved, np.zeros((500, 1))])
    given = {"samples": 500, "seed": 4}
    assert sign_flip_p(padded, **given) == sign_flip_p(moved, **given)


def test_holm_counts_each_p_by_how_many_are_left():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_lies_between_the_raw_p_and_bonferronis(p):
    adjusted = holm(p)
    for raw, each in zip(p, adjusted, strict=True):
        assert raw <= each <= min(1.0, raw * len(p)) + 1e-12
    by_raw = [adjusted[i] for i in np.argsort(p, kind="stable")]
    assert by_raw == sorted(by_raw)


def test_an_effect_size_is_the_mean_in_standard_deviations():
    table = np.array([[1.0, 0.5], [2.0, 0.5], [3.0, 0.5]])
    assert cohens_dz(table) == [pytest.approx(2.0), None]
    assert cohens_dz(table[:1]) == [None, None]
