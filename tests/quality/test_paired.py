"""Bootstrap intervals: what they cover, and what they refuse to say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput
from perennial.quality.paired import (
    FEWEST,
    bootstrap_mean,
    bootstrap_means,
    paired_difference,
    paired_differences,
    strata_of,
)

SETTINGS = {"samples": 400, "confidence": 0.95, "seed": 3}


@given(st.lists(st.floats(-1, 1), min_size=FEWEST, max_size=60))
def test_the_mean_lies_inside_its_interval_and_the_interval_inside_the_data(values):
    interval = bootstrap_mean(values, **SETTINGS)
    assert interval.value == pytest.approx(np.mean(values))
    assert min(values) - 1e-9 <= interval.low <= interval.value <= interval.high
    assert interval.high <= max(values) + 1e-9


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(11)
    for n, skewed in ((12, False), (40, True), (150, True)):
        shape = (n, 600)  # 600 experiments at once: the columns
        worlds = rng.exponential(1.0, shape) if skewed else rng.normal(1.0, 1.0, shape)
        intervals = bootstrap_means(worlds, samples=800, confidence=0.95, seed=1)
        covered = np.mean([i.low <= 1.0 <= i.high for i in intervals])
        assert 0.90 <= covered <= 0.985, (n, covered)


def test_many_columns_at_once_give_the_same_as_one_by_one():
    table = np.random.default_rng(5).random((50, 3))
    together = bootstrap_means(table, **SETTINGS)
    for column, interval in enumerate(together):
        alone = bootstrap_mean(table[:, column], **SETTINGS)
        assert (alone.low, alone.high) == pytest.approx((interval.low, interval.high))


def test_the_same_seed_gives_the_same_interval_and_another_seed_nearly():
    values = np.random.default_rng(2).random(200)
    assert bootstrap_mean(values, **SETTINGS) == bootstrap_mean(values, **SETTINGS)
    other = bootstrap_mean(values, **(SETTINGS | {"seed": 4}))
    assert other.low == pytest.approx(bootstrap_mean(values, **SETTINGS).low, abs=0.01)


@pytest.mark.parametrize("n", range(FEWEST))
def test_too_few_values_have_no_bounds_and_no_values_have_no_mean(n):
    interval = bootstrap_mean([0.5] * n, **SETTINGS)
    assert (interval.low, interval.high, interval.n) == (None, None, n)
    assert interval.value == (0.5 if n else None)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(bad):
    with pytest.raises(BadInput, match="1 of 20 values are NaN or infinite"):
        bootstrap_mean([bad] + [0.5] * 19, **SETTINGS)


def test_wins_ties_and_losses_add_up_and_rounding_is_a_tie():
    a = np.array([0.5, 0.1 + 0.2, 0.2, 0.9] * 5)
    b = np.array([0.4, 0.3, 0.6, 0.9] * 5)
    difference = paired_difference(a, b, **SETTINGS)
    assert (difference.wins, difference.ties, difference.losses) == (5, 10, 5)
    assert difference.n == 20


def test_swapping_the_sides_mirrors_the_difference():
    rng = np.random.default_rng(8)
    a, b = rng.random(80), rng.random(80)
    one, other = paired_difference(a, b, **SETTINGS), paired_difference(b, a, **SETTINGS)
    assert one.value == pytest.approx(-other.value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert (one.wins, one.losses) == (other.losses, other.wins)


def test_pairing_narrows_the_interval_where_queries_differ_more_than_systems():
    rng = np.random.default_rng(9)
    hard = rng.random(200)
    a, b = hard + rng.normal(0.02, 0.02, 200), hard + rng.normal(0, 0.02, 200)
    paired = paired_difference(a, b, **SETTINGS)
    alone = bootstrap_mean(a, **SETTINGS)
    assert paired.high - paired.low < (alone.high - alone.low) / 5
    assert paired.low > 0


def test_sides_of_unequal_length_are_refused_by_metric():
    with pytest.raises(BadInput, match="map has 3 scores on one side and 4 on the other"):
        paired_differences({"map": np.zeros(3)}, {"map": np.zeros(4)}, **SETTINGS)


def test_small_slices_share_a_stratum_and_none_is_alone():
    slices = ["a"] * 30 + ["b"] * 12 + ["c"] * 6 + ["d"] * 5 + [None] * 2
    strata = strata_of(slices)
    assert np.bincount(strata).tolist() == [30, 12, 13]
    assert np.bincount(strata_of(["a"] * 30 + ["b"] * 3)).tolist() == [33]
    assert np.bincount(strata_of(["a"] * 3 + ["b"] * 3)).tolist() == [6]
    assert strata_of([None] * 4).tolist() == [0] * 4


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=80))
def test_every_stratum_is_large_enough_unless_there_is_one(slices):
    sizes = np.bincount(strata_of(slices))
    assert sizes.sum() == len(slices)
    assert len(sizes) == 1 or sizes.min() >= FEWEST


def test_strata_narrow_the_interval_where_slices_differ_and_still_cover_the_mean():
    rng = np.random.default_rng(21)
    slices = ["easy"] * 40 + ["hard"] * 25 + ["rare"] * 10
    centre = np.repeat([0.8, 0.2, 0.5], [40, 25, 10])
    worlds = centre[:, None] + rng.normal(0, 0.1, (75, 600))
    given = {"samples": 800, "confidence": 0.95, "seed": 1}
    by_slice = bootstrap_means(worlds, strata=strata_of(slices), **given)
    as_one = bootstrap_means(worlds, **given)
    covered = np.mean([i.low <= centre.mean() <= i.high for i in by_slice])
    assert 0.925 <= covered <= 0.975, covered
    widths = [np.mean([i.high - i.low for i in each]) for each in (by_slice, as_one)]
    assert widths[0] < widths[1] / 2


def test_equal_rows_in_any_order_have_the_same_stratified_interval():
    rng = np.random.default_rng(4)
    values, slices = rng.random((60, 1)), np.array(["a"] * 40 + ["b"] * 20)
    order = np.argsort(rng.random(60), kind="stable")
    one = bootstrap_means(values, strata=strata_of(list(slices)), **SETTINGS)[0]
    other = bootstrap_means(values[order], strata=strata_of(list(slices[order])), **SETTINGS)[0]
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.02)
