"""Negatives mined anew between epochs, by the weights of then (ANCE: Xiong et al. 2021, 3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from perennial.model.examples import Examples
from perennial.model.trainable import Trainable

_BLOCK = 256  # texts embedded at once


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
def mined_anew(model: Trainable, texts: tuple[Any, Any], remining: Remining) -> Examples:
    """The triplets with the negatives that the weights of now find; `texts` are all prepared."""
    was_learning = model.module.training
    model.module.eval()
    vectors = [
        _embed(model, texts[side], count)
        for side, count in enumerate(
            (len(remining.examples.queries), len(remining.examples.documents))
        )
    ]
    model.module.train(was_learning)
    negatives, origins = remining.mine(vectors[0], vectors[1])
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


def _embed(model: Trainable, texts: Any, count: int) -> np.ndarray:
    parts = np.array_split(np.arange(count), max(1, -(-count // _BLOCK)))
    return np.concatenate([model.embed(texts, part).float().cpu().numpy() for part in parts])
