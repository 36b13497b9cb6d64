"""What a step minimises: the loss over each of its batches, at each width that must serve."""

from collections.abc import Sequence

import torch

from perennial.model.losses.loss import Loss
from perennial.model.shelf import Part, Shelf, parted
from perennial.model.widths import narrowed


def objective(
    loss: Loss,
    vectors: torch.Tensor,
    parts: Sequence[Part],
    *,
    shelf: Shelf,
    dimensions: Sequence[int],
    progress: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, d) vectors of all batches to (value, active share of the first at full width).

    The batches' losses add up; of the widths (d, and `dimensions` first coordinates made unit
    length again; Kusupati et al. 2022, "Matryoshka Representation Learning") the mean counts.
    """
    values, active = [], None
    for width in (vectors.shape[1], *dimensions):
        cut = narrowed(vectors, width)
        for (name, batch), (queries, documents) in zip(parts, parted(cut, parts), strict=True):
            measured = loss(
                queries,
                documents,
                positive=torch.from_numpy(batch.positive).to(vectors.device),
                known=torch.from_numpy(batch.known).to(vectors.device),
                given=torch.from_numpy(batch.given).to(vectors.device),
                names=torch.from_numpy(shelf.names(name, batch.documents)).to(vectors.device),
                progress=progress,
            )
            values.append(measured.loss)
            active = measured.active if active is None else active
    assert active is not None
    return torch.stack(values).sum() / (1 + len(dimensions)), active
