"""The triplet loss: a positive is nearer than the negatives by a margin."""

from dataclasses import dataclass, field

import torch
from torch.nn.functional import relu, softplus

from perennial.model.losses.distance import Cosine, Distance
from perennial.model.losses.loss import Measured
from perennial.model.losses.mining import BatchHard, Mining
from perennial.model.losses.schedule import Fixed, Schedule


@dataclass(frozen=True)
class TripletLoss:
    """max(0, margin + d(query, positive) - d(query, negative)), averaged as the mining says.

    Softly: ln(1 + exp of the same), which never is zero (Hermans et al. 2017, 2). A triplet is
    active while the sum is above zero.
    """

    margin: Schedule[float]
    mining: Schedule[Mining] = field(default_factory=lambda: Fixed(BatchHard()))
    distance: Distance = field(default_factory=Cosine)
    is_soft: bool = False

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
        """As Loss says; active is a share of the queries, or of the triplets where all count."""
        mining = self.mining.at(progress)
        near = self.distance.near(queries, documents)
        wanted = near.gather(1, positive[:, None])
        with torch.no_grad():
            picked = mining.pick(near, wanted.squeeze(1), known, given)
        violation = self.margin.at(progress) + near - wanted
        costs = (softplus if self.is_soft else relu)(violation).masked_fill(~picked, 0.0)
        # Row by row: where a query has one negative, the sum is that of the queries, bit for bit.
        loss = costs.sum(dim=1).sum() / mining.divisor(costs, picked)
        teaching = ((violation > 0) & picked).sum()
        return Measured(loss, teaching / mining.compared(picked))
