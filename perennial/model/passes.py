"""A batch's way through the encoder and back: in pieces, on one process or shared by several.

The loss sees all vectors of a batch at once and needs no graph behind them; the graphs live one
piece at a time. With gradient caching (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch
Size under Memory Limited Setup") a piece is forwarded twice, and memory no longer grows with the
batch; without it all graphs wait for the gradient. Both give the same gradient.

A text at whose vector the gradient is zero teaches nothing: no query of the batch has it for its
nearest negative, or its triplet keeps the margin. Cached, it is not forwarded again.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from perennial.model.layers import drops
from perennial.model.team import Team
from perennial.model.trainable import Trainable


def forward(
    model: Trainable, tokens: Any, rows: np.ndarray, *, team: Team, is_cached: bool, seed: list[int]
) -> tuple[torch.Tensor, Callable[[torch.Tensor], None]]:
    """Rows of prepared texts to (n, d) unit vectors that are a leaf, and the way back.

    Every process gets all n vectors and has embedded its share of them. The way back takes the
    gradient at the vectors, equal on every process, to this process's share of the weights'.
    Dropout is a function of (seed, process, piece): a piece forwarded again drops the same.
    """
    lengths = model.lengths(tokens)[rows]
    shares = team.shares(lengths)
    own = shares[team.rank]
    cuts = [own[cut] for cut in model.cut(lengths[own])]

    def embed(number: int) -> torch.Tensor:
        torch.manual_seed(_number([*seed, team.rank, number]))
        return model.embed(tokens, rows[cuts[number]])

    with torch.set_grad_enabled(not is_cached):
        graphs: list[torch.Tensor | None] = [embed(number) for number in range(len(cuts))]
    vectors = team.gather([graph.detach() for graph in graphs if graph is not None], cuts, shares)
    if is_cached:
        graphs = []

    def back(gradient: torch.Tensor) -> None:
        if not is_cached:
            for number, cut in enumerate(cuts):
                graph, graphs[number] = graphs[number], None  # so that it is freed behind us
                assert graph is not None
                _pass_back(graph, gradient[_at(cut, gradient)])
            return
        teaches = (gradient != 0).any(dim=1).cpu().numpy()
        if not teaches[own].any():
            teaches[own[0]] = True  # a gradient of zero is not none: moments fade, weights decay
        if drops(model.module):
            for number, cut in enumerate(cuts):
                if teaches[cut].any():
                    _pass_back(embed(number), gradient[_at(cut, gradient)])
            return
        teaching = own[teaches[own]]
        for cut in model.cut(lengths[teaching]):
            again = model.embed(tokens, rows[teaching[cut]])
            _pass_back(again, gradient[_at(teaching[cut], gradient)])

    return vectors.requires_grad_(), back


def _pass_back(vectors: torch.Tensor, gradient: torch.Tensor) -> None:
    """(n, d) vectors' gradient to the weights behind them.

    Through a sum, whose own gradient is one: given a gradient, torch imports a second of symbolic
    algebra to compare two shapes.
    """
    assert vectors.shape == gradient.shape
    torch.autograd.backward((vectors * gradient).sum())


def _at(cut: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(cut).to(like.device)


def _number(seed: list[int]) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))
