"""The spread of embeddings whose answer is known."""

import numpy as np
import pytest

from perennial.errors import BadInput
from perennial.quality.spread import effective_rank, spread


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_an_orthonormal_basis_has_its_dimension_as_effective_rank():
    assert effective_rank(np.eye(8)) == pytest.approx(8)
    assert effective_rank(np.eye(8).repeat(5, axis=0)) == pytest.approx(8)


def test_it_agrees_with_the_singular_values_on_wide_and_tall_tables():
    rng = np.random.default_rng(3)
    for shape in ((200, 16), (16, 200)):
        vectors = unit(rng.normal(size=shape) * np.geomspace(1, 1e-2, shape[1]))
        shares = np.linalg.svd(vectors, compute_uv=False)
        shares = shares / shares.sum()
        expected = np.exp(-(shares * np.log(shares)).sum())
        assert effective_rank(vectors) == pytest.approx(expected, rel=1e-4)


def test_a_collapsed_encoder_has_rank_one_no_variance_and_strangers_that_look_alike():
    health = spread(unit(np.ones((50, 12))), pairs=200, seed=1)
    assert health.effective_rank == pytest.approx(1)
    assert health.variance_mean == pytest.approx(0, abs=1e-9)
    assert health.mean_similarity == pytest.approx(1, abs=1e-6)


def test_random_directions_fill_the_space_and_strangers_are_unlike():
    health = spread(unit(np.random.default_rng(1).normal(size=(4000, 32))), pairs=4000, seed=1)
    assert health.effective_rank > 31
    assert abs(health.mean_similarity) < 0.02
    assert health.variance_mean == pytest.approx(1 / 32, rel=0.05)
    assert min(health.variance) == health.variance_min > 0


def test_a_pair_is_never_a_vector_with_itself():
    assert spread(np.eye(2, dtype=np.float32), pairs=100, seed=0).mean_similarity == 0


def test_too_few_or_broken_vectors_are_refused():
    with pytest.raises(BadInput, match="1 vectors have no spread"):
        spread(np.ones((1, 4)), pairs=5, seed=0)
    with pytest.raises(BadInput, match="1 of 2 vectors hold NaN or Inf"):
        spread(np.array([[1.0, 0.0], [np.nan, 1.0]]), pairs=5, seed=0)
    assert effective_rank(np.zeros((3, 3))) == 0
