"""How good an encoder is while it learns: MRR@10 on triplets that no step has seen."""

import math
from typing import Any

import numpy as np
import torch

from perennial.model.examples import Examples
from perennial.model.trainable import Trainable


@torch.no_grad()
def validate(
    model: Trainable, texts: tuple[Any, Any], examples: Examples, held: np.ndarray
) -> float:
    """MRR@10 of the held triplets' positives among all documents of the examples.

    Other known positives of the query do not count as mistakes: they are left out of its ranking.
    A document as near as the positive stands ahead of it, or a collapsed encoder would be perfect.
    """
    documents = _embed(model, texts[1], np.arange(len(examples.documents)))
    gains = []
    for rows in _blocks(held):  # all at once would take triplets times documents of memory
        queries = examples.query[rows]
        similarity = (_embed(model, texts[0], queries) @ documents.T).cpu().numpy()
        wanted = similarity[np.arange(len(rows)), examples.positive[rows]]
        known = examples.known[queries].toarray() != 0
        ahead = ((similarity >= wanted[:, None]) & ~known).sum(axis=1)
        gains.append(np.where(ahead < 10, 1.0 / (ahead + 1), 0.0))
    return float(np.concatenate(gains).mean())


def _embed(model: Trainable, texts: Any, rows: np.ndarray) -> torch.Tensor:
    return torch.cat([model.embed(texts, part) for part in _blocks(rows)])


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, max(1, math.ceil(len(rows) / 1024)))
