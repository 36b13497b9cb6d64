"""The texts of a forward that teach: on the way back the others are left out."""

from collections.abc import Sequence

import torch

from perennial.model.pieces import rounded

_FEW = 0.9  # above this share of them, to pick them costs more than it saves


def teaching(gradient: torch.Tensor) -> torch.Tensor | None:
    """(b, n, d) gradients to the numbers of the texts that any reaches, and of as many others as
    make a round number; None: as good as all."""
    bits = gradient.flatten(1)
    if bits.shape[1] * bits.element_size() % 8 == 0:
        bits = bits.view(torch.int64)  # twenty times as quick as any() of narrow numbers
    reached = (bits.amax(dim=1) != 0) | (bits.amin(dim=1) != 0)
    wanted = rounded(max(1, int(reached.sum())))
    if wanted > _FEW * len(gradient):
        return None
    return reached.argsort(descending=True, stable=True)[:wanted].sort().values


def picked(numbers: torch.Tensor, texts: int, *saved: torch.Tensor) -> Sequence[torch.Tensor]:
    """Tensors of (texts * any, ...) to the same of some texts."""
    return [
        each.view(texts, -1).index_select(0, numbers).view(-1, *each.shape[1:]) for each in saved
    ]


def everywhere(
    back: torch.Tensor, numbers: torch.Tensor | None, like: torch.Tensor
) -> torch.Tensor:
    """The gradients of those texts (None: of all) to those of all, zero for the others."""
    if numbers is None:
        return back.view(like.shape)
    every = torch.zeros_like(like)
    every[numbers] = back.view(-1, *like.shape[1:])
    return every
