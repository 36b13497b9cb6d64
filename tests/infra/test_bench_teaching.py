"""What clicks teach beside labels: the share of a gain and its interval."""

from pathlib import Path

import numpy as np
import pytest

from infra.bench.teaching_draws import drawn
from infra.bench.teaching_gain import Share, share_of_gain
from perennial.params.reading import load_params

PARAMS = Path(__file__).parents[2] / "params.yaml"


def scores(seed: int, *, share: float, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Before, after and best of n queries; on average `share` of what is possible is gained."""
    rng = np.random.default_rng(seed)
    before = rng.random(n)
    possible = rng.normal(0.1, 0.3, n)
    return before, before + share * possible + rng.normal(0, 0.1, n), before + possible


def share(given: tuple[np.ndarray, np.ndarray, np.ndarray], *, samples: int = 400) -> Share:
    of = np.arange(len(given[0]))
    return share_of_gain(*given, of=of, samples=samples, confidence=0.95, seed=1)


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


def test_a_query_that_several_draws_hold_out_is_no_more_than_one() -> None:
    once = scores(3, share=0.7)
    twice = tuple(np.concatenate([each, each]) for each in once)
    of = np.tile(np.arange(len(once[0])), 2)
    found = share_of_gain(*twice, of=of, samples=400, confidence=0.95, seed=1)
    assert found == share(once)


def test_the_first_draw_is_the_checkouts_own_and_the_others_hold_out_other_queries(
    tmp_path: Path,
) -> None:
    own = load_params(PARAMS)
    first, second = (
        load_params(drawn(PARAMS, tmp_path / f"{n}" / "params.yaml", number=n)) for n in (0, 1)
    )
    assert first == own
    assert second.split.salt != own.split.salt
    assert second.simulate.seed != own.simulate.seed and second.train.seed != own.train.seed
    assert second.mine.max_positive_share == own.mine.max_positive_share
