"""The triplet loss, over one similarity matrix between a batch's queries and distinct documents."""

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Measured:
    """A loss, and the share of what it compared that still teaches; both scalar tensors."""

    loss: torch.Tensor
    active: torch.Tensor


class Loss(Protocol):
    """What the training loop asks of a loss, over all vectors of a batch at once."""

    def __call__(
        self,
        queries: torch.Tensor,
        documents: torch.Tensor,
        *,
        positive: torch.Tensor,
        known: torch.Tensor,
        given: torch.Tensor,
        progress: float,
    ) -> Measured:
        """(b, d) and (n, d) unit rows to Measured.

        `positive` is (b,), each query's positive among the documents; `known` (b, n), true where a
        document answers a query; `given` (b, n), true where it was mined as that very query's
        negative; `progress` the share of the run that is done.
        """


class BatchHardTriplet(torch.nn.Module):
    """`batch_hard_triplet` with a margin."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(
        self,
        queries: torch.Tensor,
        documents: torch.Tensor,
        *,
        positive: torch.Tensor,
        known: torch.Tensor,
        given: torch.Tensor,
        progress: float,
    ) -> Measured:
        """As Loss says."""
        return Measured(
            *batch_hard_triplet(
                queries, documents, positive=positive, known=known, margin=self.margin
            )
        )


def batch_hard_triplet(
    queries: torch.Tensor,
    documents: torch.Tensor,
    *,
    positive: torch.Tensor,
    known: torch.Tensor,
    margin: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(q, d) and (n, d) unit rows to (mean loss, share of active triplets).

    Per query: max(0, margin + d(query, positive) - d(query, hardest negative)), d = 1 - cosine;
    the hardest negative is the nearest document of the batch that is not `known`, a (q, n) mask of
    positives. Hermans et al. 2017, "In Defense of the Triplet Loss", eq. 5.
    """
    similarity = queries @ documents.T
    wanted = similarity.gather(1, positive[:, None]).squeeze(1)
    hardest = similarity.masked_fill(known, -torch.inf).max(dim=1).values
    violation = margin + hardest - wanted
    # A query for which the batch holds no negative has nothing to learn from (violation is -inf).
    loss = torch.relu(violation).mean()
    return loss, (violation > 0).float().mean()
