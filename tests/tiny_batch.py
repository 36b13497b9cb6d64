"""Small batches for the losses, in float64: vectors, who answers whom, and what was mined."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from perennial.model.losses.loss import Loss, Measured

# The corners of the 24-cell: unit vectors whose products are exact, so that ties are ties.
CORNERS = np.array(
    [sign * row for row in np.eye(4) for sign in (-1.0, 1.0)]
    + [
        [a, b, c, d]
        for a in (-0.5, 0.5)
        for b in (-0.5, 0.5)
        for c in (-0.5, 0.5)
        for d in (-0.5, 0.5)
    ]
)


@dataclass(frozen=True)
class TinyBatch:
    queries: torch.Tensor
    documents: torch.Tensor
    positive: torch.Tensor
    known: torch.Tensor
    given: torch.Tensor
    names: torch.Tensor

    @property
    def masks(self) -> dict[str, torch.Tensor]:
        return {
            "positive": self.positive,
            "known": self.known,
            "given": self.given,
            "names": self.names,
        }


def draw_batch(
    seed: int,
    *,
    queries: int = 5,
    documents: int = 9,
    is_tied: bool = False,
    known_share: float = 0.3,
) -> TinyBatch:
    """Unit rows; where `is_tied`, many are the same and many equally far."""
    rng = np.random.default_rng(seed)
    if is_tied:
        rows = CORNERS[rng.integers(0, len(CORNERS), queries + documents)]
    else:
        rows = rng.standard_normal((queries + documents, 4))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    positive = rng.integers(0, documents, queries)
    known = rng.random((queries, documents)) < known_share
    known[np.arange(queries), positive] = True
    given = ~known & (rng.random((queries, documents)) < 0.4)
    both = torch.from_numpy(rows)
    return TinyBatch(
        both[:queries].clone(),
        both[queries:].clone(),
        torch.from_numpy(positive),
        torch.from_numpy(known),
        torch.from_numpy(given),
        torch.from_numpy(rng.permutation(3 * documents)[:documents]),
    )


# A share of 1 knows every document of every query.
tiny_batches = st.builds(
    draw_batch,
    st.integers(0, 10_000),
    queries=st.integers(1, 6),
    documents=st.integers(1, 10),
    is_tied=st.booleans(),
    known_share=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)


def measure(loss: Loss, batch: TinyBatch, *, progress: float = 0.0) -> Measured:
    return loss(batch.queries, batch.documents, **batch.masks, progress=progress)


def measured(loss: Loss, batch: TinyBatch, *, progress: float = 0.0) -> tuple[float, float]:
    """(value, active share) as plain numbers."""
    found = measure(loss, batch, progress=progress)
    return found.loss.item(), found.active.item()


def gradients(loss: Loss, batch: TinyBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """At the queries and at the documents."""
    queries, documents = batch.queries.clone(), batch.documents.clone()
    queries.requires_grad_()
    documents.requires_grad_()
    found = loss(queries, documents, **batch.masks, progress=0.0)
    return torch.autograd.grad(found.loss, (queries, documents))


def has_right_gradients(loss: Loss, batch: TinyBatch) -> bool:
    """Whether they are those of finite differences; raises where not."""

    def value(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        return loss(queries, documents, **batch.masks, progress=0.0).loss

    inputs = batch.queries.clone().requires_grad_(), batch.documents.clone().requires_grad_()
    return torch.autograd.gradcheck(value, inputs)


def cosine(one: list[float], two: list[float]) -> float:
    return 1 - sum(a * b for a, b in zip(one, two, strict=True))


def euclidean(one: list[float], two: list[float]) -> float:
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(one, two, strict=True)))


APART: dict[str, Callable[..., float]] = {"cosine": cosine, "euclidean": euclidean}


def distances(name: str, batch: TinyBatch) -> list[list[float]]:
    """From each query to each document, one pair after the other."""
    rows: Any = batch.documents.tolist()
    return [[APART[name](query, row) for row in rows] for query in batch.queries.tolist()]
