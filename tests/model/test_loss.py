"""The triplet loss against its obvious twin, and its gradient against finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.model.loss import batch_hard_triplet

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def draw(seed: int, *, queries: int = 5, documents: int = 9) -> Batch:
    """Unit queries and documents in float64, each query's positive, and who answers whom."""
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.standard_normal((queries + documents, 4)))
    rows = torch.nn.functional.normalize(rows, dim=1)
    positive = rng.integers(0, documents, queries)
    known = rng.random((queries, documents)) < 0.3
    known[np.arange(queries), positive] = True
    return rows[:queries], rows[queries:], torch.from_numpy(positive), torch.from_numpy(known)


def slow_loss(batch: Batch, margin: float) -> tuple[float, float]:
    """The obvious twin: one query after the other, one document after the other."""
    queries, documents, positive, known = batch
    losses, active = [], []
    for q, query in enumerate(queries):
        away = [1 - float(query @ document) for document in documents]
        negatives = [d for n, d in enumerate(away) if not known[q, n]]
        worst = max(0.0, margin + away[positive[q]] - min(negatives)) if negatives else 0.0
        losses.append(worst)
        active.append(worst > 0)
    return float(np.mean(losses)), float(np.mean(active))


@settings(deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 10), st.sampled_from([0.05, 0.3, 1.0])
)
def test_the_loss_is_that_of_the_slow_twin(
    seed: int, queries: int, documents: int, margin: float
) -> None:
    batch = draw(seed, queries=queries, documents=documents)
    loss, active = batch_hard_triplet(
        batch[0], batch[1], positive=batch[2], known=batch[3], margin=margin
    )
    assert (loss.item(), active.item()) == pytest.approx(slow_loss(batch, margin), abs=1e-7)


def test_the_gradient_is_that_of_finite_differences() -> None:
    queries, documents, positive, known = draw(1)

    def loss(q: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        return batch_hard_triplet(q, d, positive=positive, known=known, margin=0.4)[0]

    inputs = queries.clone().requires_grad_(), documents.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, inputs)


def test_a_known_positive_is_never_the_hardest_negative() -> None:
    query = torch.tensor([[1.0, 0.0]])
    documents = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    known = torch.tensor([[True, True, False]])  # the second answers as well, and is nearer
    loss, _ = batch_hard_triplet(
        query, documents, positive=torch.tensor([0]), known=known, margin=0.3
    )
    assert loss.item() == 0.0  # 0.3 + (1 - 0.6) - (1 - 0.0) is below zero
    loss, _ = batch_hard_triplet(
        query, documents, positive=torch.tensor([0]), known=known, margin=0.9
    )
    loss.backward()
    assert documents.grad is not None
    assert documents.grad[1].tolist() == [0.0, 0.0]


def test_a_batch_without_negatives_teaches_nothing_and_breaks_nothing() -> None:
    query = torch.tensor([[1.0, 0.0]], requires_grad=True)
    loss, active = batch_hard_triplet(
        query,
        torch.tensor([[0.0, 1.0]]),
        positive=torch.tensor([0]),
        known=torch.tensor([[True]]),
        margin=0.3,
    )
    loss.backward()
    assert (loss.item(), active.item()) == (0.0, 0.0)
    assert query.grad is not None and query.grad.tolist() == [[0.0, 0.0]]
