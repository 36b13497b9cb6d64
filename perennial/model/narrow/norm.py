"""A layer norm over narrow rows, by its float32 weights."""

from collections.abc import Sequence

import torch
from torch import nn

from perennial.model.narrow.parts import hand_over


class Norm(nn.Module):
    """Without a graph of its own: the halves of a layer call it on their way, and back."""

    def __init__(self, wide: nn.LayerNorm) -> None:
        super().__init__()
        self._wide = [wide]  # in a list it is no part: its weights are the other module's

    def learning(self) -> list[nn.Parameter]:
        """The float32 weights."""
        return [self._wide[0].weight, self._wide[0].bias]

    def of(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(t, d) rows to (t, d), and their means and inverse deviations."""
        wide = self._wide[0]
        given = list(wide.normalized_shape), wide.weight, wide.bias, wide.eps
        found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = torch.native_layer_norm(
            rows, *given
        )
        return found

    def back(
        self, gradient: torch.Tensor, rows: torch.Tensor, moments: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The (t, d) gradient at the rows; what the weights learn is added to theirs."""
        wide = self._wide[0]
        given = list(wide.normalized_shape), *moments, wide.weight, wide.bias, [True, True, True]
        back: torch.Tensor
        back, *learned = torch.ops.aten.native_layer_norm_backward(gradient, rows, *given)
        for found, weight in zip(learned, self.learning(), strict=True):
            hand_over(found, weight)
        return back
