"""The triplet loss against its slow twin, the library's, finite differences, and what it was."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer
from tiny_batch import (
    TinyBatch,
    distances,
    draw_batch,
    gradients,
    has_right_gradients,
    measured,
    tiny_batches,
)

from perennial.model.losses.build import DISTANCES, MININGS
from perennial.model.losses.mining import BatchHard
from perennial.model.losses.schedule import Fixed, Ramp, Switch
from perennial.model.losses.triplet import TripletLoss

LIBRARY = {"cosine": CosineSimilarity, "euclidean": LpDistance}
settings_of_a_loss = [(d, m, soft) for d in DISTANCES for m in MININGS for soft in (False, True)]


def triplet(distance: str, mining: str, is_soft: bool, *, margin: float = 0.4) -> TripletLoss:
    return TripletLoss(Fixed(margin), Fixed(MININGS[mining]()), DISTANCES[distance](), is_soft)


def chosen(mining: str, away: list[float], row: int, batch: TinyBatch) -> list[int]:
    """The negatives of one query, one document after the other."""
    negatives = [n for n in range(len(away)) if not batch.known[row, n]]
    wanted = away[batch.positive[row]]
    if mining == "given":
        return [n for n in negatives if batch.given[row, n]]
    if mining == "batch-all" or not negatives:
        return negatives
    if mining == "batch-hard":
        return [min(negatives, key=lambda n: away[n])]
    further = [n for n in negatives if away[n] > wanted]
    if further:
        return [min(further, key=lambda n: away[n])]
    return [max(negatives, key=lambda n: away[n])]


def slow_loss(
    batch: TinyBatch, distance: str, mining: str, is_soft: bool, margin: float
) -> tuple[float, float]:
    costs, active = [], 0
    for row, away in enumerate(distances(distance, batch)):
        for negative in chosen(mining, away, row, batch):
            violation = margin + away[batch.positive[row]] - away[negative]
            active += violation > 0
            costs.append(math.log1p(math.exp(violation)) if is_soft else max(0.0, violation))
    compared = len(costs) if mining in ("given", "batch-all") else len(batch.queries)
    divisor = sum(cost > 0 for cost in costs) if mining == "batch-all" else compared
    return sum(costs) / max(divisor, 1), active / max(compared, 1)


@pytest.mark.parametrize(("distance", "mining", "is_soft"), settings_of_a_loss)
@given(tiny_batches, st.sampled_from([0.07, 0.3, 1.1]))
def test_the_loss_is_that_of_the_slow_twin(
    distance: str, mining: str, is_soft: bool, batch: TinyBatch, margin: float
) -> None:
    found = measured(triplet(distance, mining, is_soft, margin=margin), batch)
    wanted = slow_loss(batch, distance, mining, is_soft, margin)
    assert found == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize(("distance", "mining", "is_soft"), settings_of_a_loss)
@given(tiny_batches)
def test_the_loss_is_that_of_the_library_for_the_same_triplets(
    distance: str, mining: str, is_soft: bool, batch: TinyBatch
) -> None:
    rows = [
        (row, int(batch.positive[row]), negative)
        for row, away in enumerate(distances(distance, batch))
        for negative in chosen(mining, away, row, batch)
    ]
    if mining in ("semi-hard", "batch-hard"):  # the library forgets a query without a negative
        kept = sorted({row for row, _, _ in rows})
        batch = replace(
            batch, **{k: v[kept] for k, v in vars(batch).items() if k not in ("documents", "names")}
        )
        rows = [(kept.index(row), positive, negative) for row, positive, negative in rows]
    if not rows:
        return
    theirs = TripletMarginLoss(
        margin=0.4,
        smooth_loss=is_soft,
        distance=LIBRARY[distance](),
        reducer=AvgNonZeroReducer() if mining == "batch-all" else MeanReducer(),
    )
    wanted = theirs(
        batch.queries,
        indices_tuple=tuple(torch.tensor(column) for column in zip(*rows, strict=True)),
        ref_emb=batch.documents,
    )
    found, _ = measured(triplet(distance, mining, is_soft), batch)
    assert found == pytest.approx(float(wanted), abs=1e-7)


@pytest.mark.parametrize(("distance", "mining", "is_soft"), settings_of_a_loss)
def test_the_gradient_is_that_of_finite_differences(
    distance: str, mining: str, is_soft: bool
) -> None:
    assert has_right_gradients(
        triplet(distance, mining, is_soft), draw_batch(1, queries=4, documents=5)
    )


def as_ever(loss: TripletLoss, batch: TinyBatch, margin: float) -> bool:
    """Whether value, active share and gradients are to the bit those of the first loss of all."""
    queries, documents = (v.clone().requires_grad_() for v in (batch.queries, batch.documents))
    similarity = queries @ documents.T
    wanted = similarity.gather(1, batch.positive[:, None]).squeeze(1)
    hardest = similarity.masked_fill(batch.known, -torch.inf).max(dim=1).values
    violation = margin + hardest - wanted
    value = torch.relu(violation).mean()
    value.backward()
    at_queries, at_documents = gradients(loss, batch)
    assert queries.grad is not None and documents.grad is not None
    return (
        measured(loss, batch) == (value.item(), (violation > 0).float().mean().item())
        and torch.equal(at_queries, queries.grad)
        and torch.equal(at_documents, documents.grad)
    )


@given(tiny_batches, st.sampled_from([0.05, 0.3, 1.0]), st.sampled_from(["float32", "float64"]))
def test_batch_hard_on_cosines_is_to_the_bit_what_every_stored_run_was_trained_with(
    batch: TinyBatch, margin: float, kind: str
) -> None:
    dtype = getattr(torch, kind)
    batch = replace(batch, queries=batch.queries.to(dtype), documents=batch.documents.to(dtype))
    assert as_ever(TripletLoss(Fixed(margin)), batch, margin)


def test_so_it_is_in_a_batch_of_the_usual_size() -> None:
    for seed in range(5):
        batch = draw_batch(seed, queries=300, documents=700, known_share=0.01)
        batch = replace(batch, queries=batch.queries.float(), documents=batch.documents.float())
        assert as_ever(TripletLoss(Fixed(0.3)), batch, 0.3)


@pytest.mark.parametrize(("distance", "mining", "is_soft"), settings_of_a_loss)
def test_a_query_whose_every_document_is_known_moves_nothing(
    distance: str, mining: str, is_soft: bool
) -> None:
    batch = draw_batch(3)
    batch.known[2] = True
    batch.given[2] = True  # a mistake of the log
    loss = triplet(distance, mining, is_soft)
    at_queries, at_documents = gradients(loss, batch)
    assert at_queries[2].tolist() == [0.0] * 4 and at_queries[0].any()
    others = [0, 1, 3, 4]
    alone = replace(
        batch, **{k: v[others] for k, v in vars(batch).items() if k not in ("documents", "names")}
    )
    share = 4 / 5 if mining in ("semi-hard", "batch-hard") else 1.0
    assert torch.allclose(at_documents, share * gradients(loss, alone)[1])
    batch.known[:] = True
    assert measured(loss, batch) == (0.0, 0.0)
    assert not any(g.any() for g in gradients(loss, batch))


@pytest.mark.parametrize(("distance", "mining", "is_soft"), settings_of_a_loss)
def test_equal_vectors_give_no_nan(distance: str, mining: str, is_soft: bool) -> None:
    batch = draw_batch(4, is_tied=True)
    batch.documents[:] = batch.queries[0]
    assert all(g.isfinite().all() for g in gradients(triplet(distance, mining, is_soft), batch))


def test_a_known_positive_is_never_the_hardest_negative() -> None:
    batch = TinyBatch(
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([0]),
        torch.tensor([[True, True, False]]),  # the second answers as well, and is nearer
        torch.tensor([[False, False, False]]),
        torch.tensor([4, 2, 0]),
    )
    assert measured(TripletLoss(Fixed(0.3)), batch) == (0.0, 0.0)  # 0.3 + 0.4 - 1
    assert measured(TripletLoss(Fixed(0.9)), batch)[0] == pytest.approx(0.3)
    assert gradients(TripletLoss(Fixed(0.9)), batch)[1][1].tolist() == [0.0, 0.0]


def test_of_equally_near_negatives_the_first_is_pushed_away() -> None:
    batch = draw_batch(0, queries=1, documents=2)
    batch = replace(
        batch,
        documents=batch.documents[[0, 1, 1, 1]],
        positive=torch.tensor([0]),
        known=torch.tensor([[True, False, False, False]]),
    )
    at_documents = gradients(TripletLoss(Fixed(2.0)), batch)[1]
    assert at_documents.any(dim=1).tolist() == [True, True, False, False]


def test_margin_and_mining_follow_the_run() -> None:
    batch = draw_batch(7, queries=6)
    minings = MININGS["semi-hard"](), BatchHard()
    loss = TripletLoss(Ramp(0.2, 0.6), Switch(*minings, 0.5))
    for progress, margin, mining in [(0.0, 0.2, 0), (0.25, 0.3, 0), (0.5, 0.4, 1), (1.0, 0.6, 1)]:
        then = TripletLoss(Fixed(margin), Fixed(minings[mining]))
        assert measured(loss, batch, progress=progress) == pytest.approx(measured(then, batch))
    assert measured(TripletLoss(Fixed(0.2), Fixed(minings[0])), batch) != measured(
        TripletLoss(Fixed(0.2), Fixed(minings[1])), batch
    )
