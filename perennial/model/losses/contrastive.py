"""The contrastive loss: pairs that belong together meet, others keep a distance."""

from dataclasses import dataclass, field

import torch
from torch.nn.functional import relu

from perennial.model.losses.distance import Cosine, Distance
from perennial.model.losses.loss import Measured, mean_of_active, own_pairs
from perennial.model.losses.schedule import Schedule


@dataclass(frozen=True)
class ContrastiveLoss:
    """mean d(query, positive) + mean max(0, margin - d(query, negative)), of those above zero.

    Hadsell et al. 2006, "Dimensionality Reduction by Learning an Invariant Mapping", without the
    squares. Other known answers of a query neither meet it nor keep a distance.
    """

    margin: Schedule[float]
    distance: Distance = field(default_factory=Cosine)

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
        """As Loss says; active is the share of the queries with a negative that is too near."""
        apart = self.distance.apart(self.distance.near(queries, documents))
        can_teach = ~known.all(dim=1, keepdim=True)
        together = apart.masked_fill(~(own_pairs(positive, known) & can_teach), 0.0)
        too_near = relu(self.margin.at(progress) - apart).masked_fill(known, 0.0)
        return Measured(
            # A cosine of 1 + 1e-16 would be a distance below zero.
            mean_of_active(relu(together)) + mean_of_active(too_near),
            (too_near > 0).any(dim=1).float().mean(),
        )
