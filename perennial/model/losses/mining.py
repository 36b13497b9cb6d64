"""Which negatives of a batch a query learns from, and over how many a triplet loss is averaged.

All take (b, n) nearness, (b,) that of the positives, and the masks of loss.py.
"""

from typing import Protocol

import torch


class Mining(Protocol):
    """A choice of triplets, by the vectors as they are."""

    def pick(
        self, near: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """(b, n) mask of each query's negatives; none of them is known to answer it."""

    def compared(self, picked: torch.Tensor) -> torch.Tensor:
        """How many queries, or triplets, the share of active ones is of; one at the least."""

    def divisor(self, costs: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """What the sum of the (b, n) costs is divided by; one at the least."""


class Given:
    """All that were mined for that very query, and the mean of all these triplets."""

    def pick(
        self, near: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """The mined ones."""
        return given & ~known

    def compared(self, picked: torch.Tensor) -> torch.Tensor:
        """The triplets."""
        return picked.sum().clamp_min(1)

    def divisor(self, costs: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """The triplets."""
        return self.compared(picked)


class BatchAll:
    """All of the batch, and the mean of those that still cost something.

    Hermans et al. 2017, "In Defense of the Triplet Loss", eq. 6 and 3.3: with the many that cost
    nothing the mean would vanish.
    """

    def pick(
        self, near: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """All that do not answer."""
        return ~known

    def compared(self, picked: torch.Tensor) -> torch.Tensor:
        """The triplets."""
        return picked.sum().clamp_min(1)

    def divisor(self, costs: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """The triplets above zero."""
        return (costs > 0).sum().clamp_min(1)


class BatchHard:
    """The nearest one of the batch, and the mean over the queries (Hermans et al. 2017, eq. 5).

    Of equally near ones the first. A query with several positives has a row for each.
    """

    def pick(
        self, near: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """One each, where there is one."""
        return nearest(near, ~known)

    def compared(self, picked: torch.Tensor) -> torch.Tensor:
        """The queries, those without a negative included."""
        return torch.tensor(len(picked), device=picked.device)

    def divisor(self, costs: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """The queries, those without a negative included."""
        return self.compared(picked)


class SemiHard(BatchHard):
    """The nearest one that is further away than the positive; where all are nearer, the furthest.

    Schroff et al. 2015, "FaceNet", 3.2; they do not say what happens without one, and the furthest
    is what their public implementations take. Early in a run the hardest of all may be mistakes of
    the log, or pull all vectors to one place.
    """

    def pick(
        self, near: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """One each, where there is one."""
        further = ~known & (near < wanted[:, None])
        return torch.where(
            further.any(dim=1, keepdim=True), nearest(near, further), nearest(-near, ~known)
        )


def nearest(near: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    """(b, n) mask of each row's greatest value among some, the first of equals; none of none."""
    best = near.masked_fill(~among, -torch.inf).max(dim=1, keepdim=True).indices
    return torch.zeros_like(among).scatter_(1, best, True) & among
