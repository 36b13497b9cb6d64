"""How good an encoder is while it learns: MRR@10 on triplets that no step has seen."""

import math

import numpy as np
import torch

from perennial.model.examples import Examples
from perennial.model.passes import forward
from perennial.model.shelf import Shelf
from perennial.model.team import Team
from perennial.model.trainable import Trainable
from perennial.model.widths import narrowed

_BLOCK = 1024  # queries compared at once


@torch.no_grad()
def validate(
    model: Trainable,
    shelf: Shelf,
    name: str,
    examples: Examples,
    held: np.ndarray,
    *,
    team: Team,
    width: int | None = None,
) -> tuple[float, float]:
    """MRR@10 of the held triplets' positives among all documents of the examples, set `name`, and
    its standard error; all vectors are cut to `width`.

    Other known positives of the query do not count as mistakes: they are left out of its ranking.
    A document as near as the positive stands ahead of it, or a collapsed encoder would be perfect.
    """
    was_learning = model.module.training
    model.module.eval()  # nothing is dropped
    asked = np.unique(examples.query[held])
    rows = shelf.documents(name, np.arange(len(examples.documents)))
    queries, documents = (
        narrowed(
            forward(model, shelf.tokens, part, team=team, is_cached=True, seed=[0])[0].detach(),
            width,
        )
        for part in (shelf.queries(name, asked), rows)
    )
    model.module.train(was_learning)
    gains = []
    for block in _blocks(held):  # all at once would take triplets times documents of memory
        at = torch.from_numpy(np.searchsorted(asked, examples.query[block]))
        similarity = (queries[at.to(queries.device)] @ documents.T).cpu().numpy()
        wanted = similarity[np.arange(len(block)), examples.positive[block]]
        known = examples.known[examples.query[block]].toarray() != 0
        ahead = ((similarity >= wanted[:, None]) & ~known).sum(axis=1)
        gains.append(np.where(ahead < 10, 1.0 / (ahead + 1), 0.0))
    all_gains = np.concatenate(gains)
    return float(all_gains.mean()), float(all_gains.std() / math.sqrt(len(all_gains)))


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, max(1, math.ceil(len(rows) / _BLOCK)))
