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
    queries = examples.query[held]
    documents = _embed(model, texts[1], np.arange(len(examples.documents)))
    vectors = _embed(model, texts[0], queries)
    similarity = (vectors @ documents.T).cpu().numpy()
    positive = examples.positive[held]
    wanted = similarity[np.arange(len(held)), positive]
    known = examples.known[queries].toarray() != 0
    ahead = ((similarity >= wanted[:, None]) & ~known).sum(axis=1)
    return float(np.where(ahead < 10, 1.0 / (ahead + 1), 0.0).mean())


def _embed(model: Trainable, texts: Any, rows: np.ndarray) -> torch.Tensor:
    parts = np.array_split(rows, max(1, math.ceil(len(rows) / 1024)))
    return torch.cat([model.embed(texts, part) for part in parts])
