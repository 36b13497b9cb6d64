"""InfoNCE, also called NT-Xent: among the documents of a batch a query must find its own."""

from dataclasses import dataclass, field

import torch

from perennial.model.losses.distance import Cosine, Distance
from perennial.model.losses.loss import Measured, own_pairs
from perennial.model.losses.schedule import Schedule

SURE = 0.99  # a positive that has so much of the probability has nothing left to teach


@dataclass(frozen=True)
class InfoNCE:
    """mean of -ln( exp(s / t) / (exp(s / t) + the sum of exp(s' / t) over the negatives) ).

    s is the nearness to the positive, s' to a negative, t the temperature. Other known answers of
    a query stand nowhere. van den Oord et al. 2018, "Representation Learning with Contrastive
    Predictive Coding", eq. 4; Chen et al. 2020, "SimCLR", eq. 1.
    """

    temperature: Schedule[float]
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
        """As Loss says; active is the share of the queries that are not sure of their positive."""
        logits = self.distance.near(queries, documents) / self.temperature.at(progress)
        others = known & ~own_pairs(positive, known)
        total = torch.logsumexp(logits.masked_fill(others, -torch.inf), dim=1)
        missing = total - logits.gather(1, positive[:, None]).squeeze(1)
        return Measured(missing.mean(), (torch.exp(-missing) < SURE).float().mean())
