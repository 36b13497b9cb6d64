"""Distances: their values, and the gradient where two vectors are the same."""

import pytest
import torch
from tiny_batch import TinyBatch, distances, draw_batch

from perennial.model.losses.build import DISTANCES


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("is_tied", [False, True])
def test_a_distance_is_that_of_its_slow_twin(name: str, is_tied: bool) -> None:
    batch: TinyBatch = draw_batch(1, queries=8, documents=40, is_tied=is_tied)
    distance = DISTANCES[name]()
    near = distance.near(batch.queries, batch.documents)
    wanted = torch.tensor(distances(name, batch), dtype=torch.float64)
    assert torch.allclose(distance.apart(near), wanted, rtol=0, atol=1e-12)


def test_the_gradient_of_equal_vectors_is_zero() -> None:
    same = torch.tensor([[0.6, 0.8]])
    query, document = same.clone().requires_grad_(), same.clone().requires_grad_()
    DISTANCES["euclidean"]().near(query, document).sum().backward()
    assert query.grad is not None and query.grad.tolist() == [[0.0, 0.0]]


def test_equal_vectors_of_float32_are_no_distance_apart() -> None:
    rows = torch.nn.functional.normalize(torch.randn(300, 1024, generator=torch.manual_seed(0)))
    euclidean = DISTANCES["euclidean"]()
    assert not euclidean.apart(euclidean.near(rows, rows)).diagonal().any()
