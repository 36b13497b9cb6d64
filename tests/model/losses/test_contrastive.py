"""The contrastive loss against its slow twin, the library's and finite differences."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss as TheirContrastiveLoss
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
from perennial.model.losses.contrastive import ContrastiveLoss
from perennial.model.losses.schedule import Fixed, Ramp


def contrastive(distance: str, margin: float = 0.8) -> ContrastiveLoss:
    return ContrastiveLoss(Fixed(margin), DISTANCES[distance]())


def slow_loss(batch: TinyBatch, distance: str, margin: float) -> tuple[float, float]:
    together, too_near, pairs = [], [], 0
    for row, away in enumerate(distances(distance, batch)):
        negatives = [away[n] for n in range(len(away)) if not batch.known[row, n]]
        if negatives:
            together.append(away[batch.positive[row]])
            pairs += 1 + len(negatives)
        too_near += [margin - d for d in negatives if d < margin]
    together = [d for d in together if d > 1e-12]
    means = [sum(costs) / max(len(costs), 1) for costs in (together, too_near)]
    return sum(means), (len(together) + len(too_near)) / max(pairs, 1)


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches, st.sampled_from([0.07, 0.8, 1.9]))
def test_the_loss_is_that_of_the_slow_twin(distance: str, batch: TinyBatch, margin: float) -> None:
    found = measured(contrastive(distance, margin), batch)
    assert found == pytest.approx(slow_loss(batch, distance, margin), abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches)
def test_the_loss_is_that_of_the_library(distance: str, batch: TinyBatch) -> None:
    anchors = torch.nonzero(~batch.known.all(dim=1)).squeeze(1)
    pairs = (anchors, batch.positive[anchors], *torch.nonzero(~batch.known, as_tuple=True))
    if not len(anchors):
        return
    if distance == "cosine":  # it counts in similarities: where 1 - s < 0.8, s > 0.2
        library = TheirContrastiveLoss(pos_margin=1, neg_margin=0.2, distance=CosineSimilarity())
    else:
        library = TheirContrastiveLoss(pos_margin=0, neg_margin=0.8, distance=LpDistance())
    # A single pair it takes for none.
    if all(len(column) <= 1 for column in pairs):
        return
    wanted = library(batch.queries, indices_tuple=pairs, ref_emb=batch.documents)
    assert measured(contrastive(distance), batch)[0] == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_gradient_is_that_of_finite_differences(distance: str) -> None:
    assert has_right_gradients(contrastive(distance), draw_batch(1, queries=4, documents=5))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_query_whose_every_document_is_known_moves_nothing(distance: str) -> None:
    batch = draw_batch(3)
    batch.known[2] = True
    at_queries, _ = gradients(contrastive(distance), batch)
    assert at_queries[2].tolist() == [0.0] * 4 and at_queries[0].any()
    batch.known[:] = True
    assert measured(contrastive(distance), batch) == (0.0, 0.0)


def test_the_margin_follows_the_run() -> None:
    batch = draw_batch(7)
    found = measured(ContrastiveLoss(Ramp(0.4, 1.2)), batch, progress=0.25)
    assert found == pytest.approx(measured(contrastive("cosine", 0.6), batch))
