"""What clicks teach beside labels: the share of a gain and its interval."""

import numpy as np
import pytest

from infra.bench.teaching_gain import Share, share_of_gain


def scores(seed: int, *, share: float, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Before, after and best of n queries; on average `share` of what is possible is gained."""
    rng = np.random.default_rng(seed)
    before = rng.random(n)
    possible = rng.normal(0.1, 0.3, n)
    return before, before + share * possible + rng.normal(0, 0.1, n), before + possible


def share(given: tuple[np.ndarray, np.ndarray, np.ndarray], *, samples: int = 400) -> Share:
    return share_of_gain(*given, samples=samples, confidence=0.95, seed=1)


def test_who_gains_as_much_as_is_possible_has_a_share_of_exactly_one() -> None:
    before, _, best = scores(0, share=1.0)
    found = share((before, best, best))
    assert found.value == pytest.approx(1.0)
    assert found.low == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)


def test_the_interval_holds_the_true_share_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        found = share(scores(seed, share=0.7), samples=200)
        assert found.low is not None and found.high is not None
        held += found.low <= 0.7 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_where_nothing_can_be_gained_the_share_has_no_bounds() -> None:
    rng = np.random.default_rng(2)
    before = rng.random(40)
    found = share((before, before + 0.1, before + rng.normal(0, 0.1, 40)))
    assert found.low is None and found.high is None
