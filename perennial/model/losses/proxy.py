"""ProxyNCA: every document has a learned vector, and these stand for the batch's documents."""

import torch
from pytorch_metric_learning.losses import NCALoss
from pytorch_metric_learning.reducers import DoNothingReducer
from torch.nn.functional import normalize

from perennial.model.losses.distance import Cosine, Distance
from perennial.model.losses.infonce import SURE
from perennial.model.losses.loss import Measured, own_pairs
from perennial.model.losses.schedule import Schedule


class ProxyNCA(torch.nn.Module):
    """mean of -ln( exp(s / t) / the sum of exp(s' / t) ), over the queries and the documents.

    s is the nearness to the own proxy, s' to each proxy of the batch's documents, but for those of
    other known answers. Movshovitz-Attias et al. 2017, "No Fuss Distance Metric Learning using
    Proxies", eq. 4, with the own proxy in the sum as in pytorch-metric-learning, which computes it.
    """

    is_met: torch.Tensor

    def __init__(
        self,
        *,
        names: int,
        dimension: int,
        temperature: Schedule[float],
        distance: Distance | None = None,
    ) -> None:
        """Proxies for the numbers below `names`; each begins where its document is first seen."""
        super().__init__()
        self.temperature, self.distance = temperature, distance or Cosine()
        self.proxies = torch.nn.Parameter(torch.zeros(names, dimension))
        self.register_buffer("is_met", torch.zeros(names, dtype=torch.bool))

    def forward(
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
        """As Loss says; active is the share of the queries that are not sure of their proxy.

        Narrower rows meet the proxies' first coordinates.
        """
        self._meet(documents.detach(), names)
        own, answers = own_pairs(positive, known), known.float()
        themselves = torch.eye(len(documents), dtype=torch.bool, device=known.device)
        # Two answers of one query are not each other's negatives.
        together = (answers.T @ answers > 0) & ~themselves
        # The library takes the logarithm of a share: in float32 a hopeless one would be 0, and its
        # row would be forgotten.
        rows = torch.cat([queries, documents]).double()
        proxies = normalize(self.proxies[names, : queries.shape[1]].double(), dim=1)
        library = NCALoss(
            softmax_scale=1 / self.temperature.at(progress),
            distance=_But(self.distance, torch.cat([known & ~own, together])),
            reducer=DoNothingReducer(),
        )
        places = torch.arange(len(documents), device=positive.device)
        found = library(rows, torch.cat([positive, places]), ref_emb=proxies, ref_labels=places)
        costs = found["loss"]["losses"]
        with torch.no_grad():
            active = (torch.exp(-costs[: len(queries)]) < SURE).float().mean()
        return Measured(costs.mean().to(queries.dtype), active)

    @torch.no_grad()
    def _meet(self, documents: torch.Tensor, names: torch.Tensor) -> None:
        """At the small rate of a large encoder a random proxy would never arrive anywhere."""
        new = ~self.is_met[names]
        if new.any():
            self.proxies[names[new], : documents.shape[1]] = documents[new].to(self.proxies.dtype)
            self.is_met[names] = True


class _But:
    """A distance as the library asks for it, without some pairs."""

    is_inverted = True  # greater where nearer

    def __init__(self, distance: Distance, without: torch.Tensor) -> None:
        self._distance, self._without = distance, without

    def __call__(self, rows: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        """(b, n) nearness."""
        return self._distance.near(rows, proxies).masked_fill(self._without, -torch.inf)
