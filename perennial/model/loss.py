"""The triplet loss, over one similarity matrix between a batch's queries and distinct documents."""

import torch


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
