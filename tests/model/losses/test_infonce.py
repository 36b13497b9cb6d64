"""InfoNCE against its slow twin, the library's and finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import NTXentLoss
from tiny_batch import (
    TinyBatch,
    distances,
    draw_batch,
    gradients,
    has_right_gradients,
    measured,
    tiny_batches,
)

from perennial.model.losses.build import DISTANCES
from perennial.model.losses.infonce import InfoNCE
from perennial.model.losses.schedule import Fixed, Ramp

LIBRARY = {"cosine": CosineSimilarity, "euclidean": LpDistance}


def infonce(distance: str, temperature: float = 0.2) -> InfoNCE:
    return InfoNCE(Fixed(temperature), DISTANCES[distance]())


def slow_loss(batch: TinyBatch, distance: str, temperature: float) -> tuple[float, float]:
    costs = []
    for row, away in enumerate(distances(distance, batch)):
        own = math.exp(-away[batch.positive[row]] / temperature)
        others = [math.exp(-d / temperature) for n, d in enumerate(away) if not batch.known[row, n]]
        costs.append(-math.log(own / (own + sum(others))))
    return sum(costs) / len(costs), sum(math.exp(-c) < 0.99 for c in costs) / len(costs)


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches, st.sampled_from([0.03, 0.2, 1.0]))
def test_the_loss_is_that_of_the_slow_twin(
    distance: str, batch: TinyBatch, temperature: float
) -> None:
    found = measured(infonce(distance, temperature), batch)
    assert found == pytest.approx(slow_loss(batch, distance, temperature), abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches)
def test_the_loss_is_that_of_the_library(distance: str, batch: TinyBatch) -> None:
    negatives = torch.nonzero(~batch.known, as_tuple=True)
    pairs = (torch.arange(len(batch.queries)), batch.positive, *negatives)
    if not len(negatives[0]) or all(len(column) <= 1 for column in pairs):
        return  # a single pair it takes for none
    library = NTXentLoss(temperature=0.2, distance=LIBRARY[distance]())
    wanted = library(batch.queries, indices_tuple=pairs, ref_emb=batch.documents)
    assert measured(infonce(distance), batch)[0] == pytest.approx(float(wanted), abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_gradient_is_that_of_finite_differences(distance: str) -> None:
    assert has_right_gradients(infonce(distance), draw_batch(1, queries=4, documents=5))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_query_whose_every_document_is_known_moves_nothing(distance: str) -> None:
    batch = draw_batch(3)
    batch.known[2] = True
    at_queries, _ = gradients(infonce(distance), batch)
    assert at_queries[2].tolist() == [0.0] * 4 and at_queries[0].any()
    batch.known[:] = True
    assert measured(infonce(distance), batch) == (0.0, 0.0)


def test_a_tiny_temperature_overflows_nowhere() -> None:
    batch = draw_batch(5)
    loss = infonce("cosine", 1e-4)
    assert 100 < measured(loss, batch)[0] < 20_000
    assert all(g.isfinite().all() for g in gradients(loss, batch))


def test_the_temperature_follows_the_run() -> None:
    batch = draw_batch(7)
    found = measured(InfoNCE(Ramp(0.1, 0.5)), batch, progress=0.25)
    assert found == pytest.approx(measured(infonce("cosine", 0.2), batch))
