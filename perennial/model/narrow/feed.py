"""The feed-forward half of a BERT's layer: products, GELU, the sum and its norm in one way back."""

from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from torch.nn.functional import gelu

from perennial.model.narrow.norm import Norm
from perennial.model.narrow.parts import Product
from perennial.model.narrow.rows import everywhere, picked, teaching


class FeedForward(nn.Module):
    """norm(x + out(gelu(into(x))))."""

    def __init__(self, into: nn.Linear, output: Any, precision: torch.dtype) -> None:
        super().__init__()
        self.into = Product(into, precision=precision)
        self.out = Product(output.dense, precision=precision)
        self.norm = Norm(output.LayerNorm)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(float32, narrow) of each weight that has a narrow one."""
        return [*self.into.pairs(), *self.out.pairs()]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., d) to (..., d)."""
        learning = [p for part in (self.into, self.out) for p in (*part.weights(), *part.biases())]
        given = hidden, self, *learning, *self.norm.learning()
        found: torch.Tensor = _Fed.apply(*given)  # type: ignore[no-untyped-call]
        return found


class _Fed(Function):
    @staticmethod
    def forward(ctx, hidden, half, *learning):  # type: ignore[no-untyped-def]
        rows = hidden.reshape(-1, hidden.shape[-1])
        before = half.into.of(rows)
        bent = gelu(before)
        summed = half.out.of(bent, plus=rows)
        found, *moments = half.norm.of(summed)
        ctx.half = half
        # It is bent again on the way back: a fifth of the memory for a fiftieth of the time.
        ctx.save_for_backward(rows, before, summed, *moments)
        return found.view(hidden.shape)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        half, saved, arrived = ctx.half, ctx.saved_tensors, gradient
        if (numbers := teaching(gradient)) is not None:
            saved, arrived = picked(numbers, len(gradient), *saved), gradient[numbers]
        rows, before, summed, *moments = saved
        back = half.norm.back(arrived.reshape(rows.shape), summed, moments)
        half.out.learn(back, gelu(before))
        inner = back @ half.out.weight
        torch.ops.aten.gelu_backward.grad_input(inner, before, grad_input=inner)
        half.into.learn(inner, rows)
        nothing = (None for _ in ctx.needs_input_grad[1:])
        if not ctx.needs_input_grad[0]:
            return None, *nothing
        back = back.addmm_(inner, half.into.weight)
        return everywhere(back, numbers, like=gradient), *nothing
