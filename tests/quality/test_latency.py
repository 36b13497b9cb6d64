"""The latency ratio: paired, geometric, and the same the other way round."""

import numpy as np
import pytest

from perennial.quality.latency import latency_ratio

SETTINGS = {"samples": 300, "confidence": 0.95, "seed": 1}


def test_twice_as_long_on_every_query_is_exactly_twice():
    theirs = np.random.default_rng(1).gamma(2.0, 5.0, 60)
    ratio = latency_ratio(2 * theirs, theirs, **SETTINGS)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))


def test_swapping_the_sides_inverts_the_ratio():
    rng = np.random.default_rng(2)
    ours, theirs = rng.gamma(2.0, 5.0, 80), rng.gamma(2.0, 4.0, 80)
    one = latency_ratio(ours, theirs, **SETTINGS)
    other = latency_ratio(theirs, ours, **SETTINGS)
    assert (one.value, one.low, one.high) == pytest.approx(
        (1 / other.value, 1 / other.high, 1 / other.low)
    )


def test_few_queries_have_no_interval_and_none_no_ratio():
    few = latency_ratio(np.full(5, 3.0), np.full(5, 2.0), **SETTINGS)
    assert few.value == pytest.approx(1.5) and few.low is None
    assert latency_ratio(np.zeros(0), np.zeros(0), **SETTINGS).value is None
