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
        names: torch.Tensor,
        progress: float,
    ) -> Measured:
        """As Loss says; active is the share of the pairs that still cost something."""
        apart = self.distance.apart(self.distance.near(queries, documents))
        can_teach = ~known.all(dim=1, keepdim=True)
        own = own_pairs(positive, known) & can_teach
        together = relu(apart).masked_fill(~own, 0.0)  # a cosine may be 1 + 1e-16
        too_near = relu(self.margin.at(progress) - apart).masked_fill(known, 0.0)
        active = ((together > 0) | (too_near > 0)).sum() / (own | ~known).sum().clamp_min(1)
        return Measured(mean_of_active(together) + mean_of_active(too_near), active)
