"""The supervised contrastive loss against its slow twin, the library's and finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import SupConLoss
from pytorch_metric_learning.reducers import MeanReducer
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
from perennial.model.losses.schedule import Fixed, Ramp
from perennial.model.losses.supcon import SupervisedContrastive

LIBRARY = {"cosine": CosineSimilarity, "euclidean": LpDistance}


def supcon(distance: str, temperature: float = 0.2) -> SupervisedContrastive:
    return SupervisedContrastive(Fixed(temperature), DISTANCES[distance]())


def slow_loss(batch: TinyBatch, distance: str, temperature: float) -> tuple[float, float]:
    costs, active = [], 0
    for row, away in enumerate(distances(distance, batch)):
        answers = [n for n in range(len(away)) if batch.known[row, n]]
        if len(answers) == len(away):
            costs.append(0.0)
            continue
        raised = [math.exp(-d / temperature) for d in away]
        shares = [raised[n] / sum(raised) for n in answers]
        costs.append(-sum(math.log(share) for share in shares) / len(shares))
        active += sum(shares) < 0.99
    return sum(costs) / len(costs), active / len(costs)


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches, st.sampled_from([0.03, 0.2, 1.0]))
def test_the_loss_is_that_of_the_slow_twin(
    distance: str, batch: TinyBatch, temperature: float
) -> None:
    found = measured(supcon(distance, temperature), batch)
    assert found == pytest.approx(slow_loss(batch, distance, temperature), abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches)
def test_the_loss_is_that_of_the_library(distance: str, batch: TinyBatch) -> None:
    if batch.known.all(dim=1).any():
        return  # there it learns from answers alone
    pairs = *torch.nonzero(batch.known, as_tuple=True), *torch.nonzero(~batch.known, as_tuple=True)
    if all(len(column) <= 1 for column in pairs):
        return  # a single pair it takes for none
    library = SupConLoss(temperature=0.2, distance=LIBRARY[distance](), reducer=MeanReducer())
    wanted = library(batch.queries, indices_tuple=pairs, ref_emb=batch.documents)
    assert measured(supcon(distance), batch)[0] == pytest.approx(float(wanted), abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_gradient_is_that_of_finite_differences(distance: str) -> None:
    assert has_right_gradients(supcon(distance), draw_batch(1, queries=4, documents=5))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_query_whose_every_document_is_known_moves_nothing(distance: str) -> None:
    batch = draw_batch(3)
    batch.known[2] = True
    at_queries, _ = gradients(supcon(distance), batch)
    assert at_queries[2].tolist() == [0.0] * 4 and at_queries[0].any()
    batch.known[:] = True
    assert measured(supcon(distance), batch) == (0.0, 0.0)


def test_a_tiny_temperature_overflows_nowhere() -> None:
    batch = draw_batch(5)
    loss = supcon("cosine", 1e-4)
    assert 100 < measured(loss, batch)[0] < 20_000
    assert all(g.isfinite().all() for g in gradients(loss, batch))


def test_the_temperature_follows_the_run() -> None:
    batch = draw_batch(7)
    found = measured(SupervisedContrastive(Ramp(0.1, 0.5)), batch, progress=0.25)
    assert found == pytest.approx(measured(supcon("cosine", 0.2), batch))
