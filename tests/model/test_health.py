"""The spread of vectors against its slow twin, and the ends that illness brings."""

import math

import numpy as np
import pytest
import torch

from perennial.errors import TrainingStopped
from perennial.model.health import refuse_collapse, refuse_explosion, refuse_nonsense, spread


def unit(rows: np.ndarray) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(rows), dim=1)


@pytest.mark.parametrize("shape", [(40, 8), (8, 40), (2, 3), (300, 5)])
def test_the_spread_is_that_of_the_slow_twin(shape: tuple[int, int]) -> None:
    vectors = unit(np.random.default_rng(1).standard_normal(shape) + 0.5)
    seen, sample = spread(vectors), vectors.numpy()[:256]
    pairs = [float(a @ b) for i, a in enumerate(sample) for j, b in enumerate(sample) if i != j]
    mean = sample.mean(axis=0)
    squares = np.linalg.svd(sample, compute_uv=False) ** 2
    shares = squares[squares > 1e-12] / squares.sum()
    assert seen.similarity == pytest.approx(np.mean(pairs), rel=1e-3, abs=1e-4)
    away = np.mean([((row - mean) ** 2).sum() for row in sample])
    assert seen.variance == pytest.approx(away, rel=1e-3)
    entropy = -float((shares * np.log(shares)).sum())
    assert seen.effective_rank == pytest.approx(math.exp(entropy), rel=1e-3)


def test_equal_vectors_have_one_direction_and_no_variance() -> None:
    seen = spread(unit(np.ones((20, 6))))
    assert (seen.variance, seen.similarity) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    assert seen.effective_rank == pytest.approx(1)


def test_a_collapse_ends_the_run_with_what_to_change() -> None:
    rng = np.random.default_rng(2)
    wide, narrow = rng.standard_normal((50, 20)), rng.standard_normal((50, 1)) @ np.ones((1, 20))
    first, now = spread(unit(wide)), spread(unit(narrow))
    refuse_collapse(first, first, min_share=0.25, step=0)
    refuse_collapse(None, first, min_share=0.25, step=5)
    with pytest.raises(TrainingStopped, match=r"collapse at step 30.*fell from.*learning_rate"):
        refuse_collapse(now, first, min_share=0.25, step=30)


def test_one_wild_gradient_is_no_explosion_but_three_are() -> None:
    calm = [1.0 + 0.01 * n for n in range(25)]
    refuse_explosion([*calm, 900.0], max_growth=100)
    refuse_explosion([*calm, 900.0, 900.0, 1.0], max_growth=100)
    refuse_explosion([1.0, 900.0, 900.0, 900.0], max_growth=100)  # too early to know the usual
    with pytest.raises(TrainingStopped, match=r"the gradient exploded.*warmup_share"):
        refuse_explosion([*calm, 900.0, 900.0, 900.0], max_growth=100)


@pytest.mark.parametrize("broken", ["loss", "norm", "weight"])
def test_what_is_no_number_ends_the_run(broken: str) -> None:
    module = torch.nn.Linear(3, 2)
    refuse_nonsense(module, loss=1.0, norm=1.0, step=4)
    if broken == "weight":
        with torch.no_grad():
            module.weight[1, 1] = math.inf
    loss = math.nan if broken == "loss" else 1.0
    norm = math.inf if broken == "norm" else 1.0
    with pytest.raises(TrainingStopped, match=r"NaN or Inf at step 4.*learning_rate"):
        refuse_nonsense(module, loss=loss, norm=norm, step=4)
