"""The supervised contrastive loss: a query must find all its known answers."""

from dataclasses import dataclass, field

import torch

from perennial.model.losses.distance import Cosine, Distance
from perennial.model.losses.infonce import SURE
from perennial.model.losses.loss import Measured
from perennial.model.losses.schedule import Schedule


@dataclass(frozen=True)
class SupervisedContrastive:
    """mean, over queries and then their answers, of -ln( exp(s / t) / the sum of exp(s' / t) ).

    s is the nearness to an answer, s' to each document, t the temperature. Khosla et al. 2020,
    "Supervised Contrastive Learning", eq. 2 (the sum over answers outside the logarithm).
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
        """As Loss says; active is the share of the queries not sure that an answer comes first."""
        logits = self.distance.near(queries, documents) / self.temperature.at(progress)
        shares = torch.log_softmax(logits, dim=1)
        costs = -shares.masked_fill(~known, 0.0).sum(dim=1) / known.sum(dim=1)
        # Among answers alone it would still push: all to the same nearness.
        can_teach = ~known.all(dim=1)
        with torch.no_grad():
            found = torch.exp(shares).masked_fill(~known, 0.0).sum(dim=1)
        return Measured(
            costs.masked_fill(~can_teach, 0.0).mean(),
            ((found < SURE) & can_teach).float().mean(),
        )
