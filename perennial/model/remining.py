"""Negatives mined anew between epochs, by the weights of then (ANCE: Xiong et al. 2021, 3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from perennial.model.examples import Examples
from perennial.model.passes import forward
from perennial.model.shelf import Shelf
from perennial.model.team import Team
from perennial.model.trainable import Trainable
from perennial.model.widths import narrowed


@dataclass(frozen=True)
class Remining:
    """Every so many epochs `mine` is asked for other negatives of the triplets of `examples`.

    `examples` are the triplets that are taught, in the same order, over all documents that a
    negative may come from. `mine` takes (q, d) and (n, d) float32 unit rows of its queries and
    documents, and gives (t, m) rows of documents, padded with -1 behind the last, with origins.
    """

    every: int
    examples: Examples
    mine: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

    def is_due(self, epoch: int) -> bool:
        """True where an epoch (0 is the first, whose weights have mined already) begins with it."""
        return epoch > 0 and epoch % self.every == 0

    def examples_with(self, mined: dict[str, torch.Tensor]) -> Examples:
        """The triplets with negatives that a checkpoint kept."""
        return replace(
            self.examples,
            negatives=mined["negatives"].numpy(),
            origins=mined["origins"].numpy(),
        )


@torch.no_grad()
def mined_anew(
    model: Trainable,
    shelf: Shelf,
    name: str,
    remining: Remining,
    *,
    team: Team,
    width: int | None = None,
) -> Examples:
    """The triplets with the negatives that the weights of now find; they are the set `name`.

    All vectors are cut to `width`.
    """
    was_learning = model.module.training
    model.module.eval()  # nothing is dropped
    queries, documents = (
        narrowed(forward(model, shelf.tokens, rows, team=team, is_cached=True, seed=[0])[0], width)
        for rows in (
            shelf.queries(name, np.arange(len(remining.examples.queries))),
            shelf.documents(name, np.arange(len(remining.examples.documents))),
        )
    )
    model.module.train(was_learning)
    negatives, origins = remining.mine(_array(queries), _array(documents))
    return replace(remining.examples, negatives=negatives, origins=origins)


def negatives_of(examples: Examples) -> dict[str, torch.Tensor]:
    """What a checkpoint keeps of triplets that were mined anew."""
    assert examples.origins is not None
    return {
        "negatives": torch.from_numpy(examples.negatives),
        "origins": torch.from_numpy(examples.origins),
    }


def new_share(before: np.ndarray, after: np.ndarray) -> float:
    """Of the (t, m) negatives after, -1 for none, the share that their triplet did not have."""
    most = max(int(before.max(initial=0)), int(after.max(initial=0))) + 1
    old, new = (
        (np.arange(len(rows))[:, None] * most + rows)[rows >= 0] for rows in (before, after)
    )
    return round(float((~np.isin(new, old)).mean()), 6) if len(new) else 0.0


def _array(vectors: torch.Tensor) -> np.ndarray:
    return vectors.detach().float().cpu().numpy()
