"""What the training loop asks of a loss."""

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Measured:
    """A loss, and the share of what it compared that still teaches; both scalar tensors."""

    loss: torch.Tensor
    active: torch.Tensor


class Loss(Protocol):
    """A loss over all vectors of a batch at once; one that learns, too, is a torch module."""

    def __call__(
        self,
        queries: torch.Tensor,
        documents: torch.Tensor,
        *,
        positive: torch.Tensor,
        known: torch.Tensor,
        given: torch.Tensor,
        names: torch.Tensor,
        progress: float,
    ) -> Measured:
        """(b, d) and (n, d) unit rows to Measured.

        `positive` is (b,), each query's positive among the documents; `known` (b, n), true where a
        document answers a query; `given` (b, n), true where it was mined as that very query's
        negative; `names` (n,), the documents' numbers over the whole run, the same for the same
        text; `progress` the share of the run that is done. A query whose every document is
        known adds nothing, and no gradient.
        """


def own_pairs(positive: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(b,) positives to the (b, n) mask of them."""
    return torch.zeros_like(known).scatter_(1, positive[:, None], True)


def mean_of_active(costs: torch.Tensor) -> torch.Tensor:
    """Their sum over the number of those above zero; zero where there are none."""
    return costs.sum() / (costs > 0).sum().clamp_min(1)
