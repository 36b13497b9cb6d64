"""The attention half of a BERT's layer: products, scores, the sum and its norm in one way back."""

from typing import Any

import torch
from torch import nn
from torch.autograd import Function

from perennial.model.attention import attention_gradients, attention_shares
from perennial.model.narrow.norm import Norm
from perennial.model.narrow.parts import Product
from perennial.model.narrow.rows import everywhere, picked, teaching


class Attention(nn.Module):
    """norm(x + out(attention(x))), its heads without dropout."""

    def __init__(self, wide: Any, precision: torch.dtype) -> None:
        super().__init__()
        own = wide.self
        self.heads, self.scale = int(own.num_attention_heads), float(own.scaling)
        # One product of queries, keys and values reads its rows once.
        self.into = Product(own.query, own.key, own.value, precision=precision)
        self.out = Product(wide.output.dense, precision=precision)
        self.norm = Norm(wide.output.LayerNorm)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(float32, narrow) of each weight that has a narrow one."""
        return [*self.into.pairs(), *self.out.pairs()]

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(b, n, d) to (b, n, d); `mask` is (b, 1, 1 or n, n), True where a token may look."""
        learning = [p for part in (self.into, self.out) for p in (*part.weights(), *part.biases())]
        given = hidden, mask, self, *learning, *self.norm.learning()
        found: torch.Tensor = _Attended.apply(*given)  # type: ignore[no-untyped-call]
        return found


class _Attended(Function):
    @staticmethod
    def forward(ctx, hidden, mask, half, *learning):  # type: ignore[no-untyped-def]
        texts, length, width = hidden.shape
        rows = hidden.reshape(-1, width)
        # (3, b * h, n, e): queries, keys and values of each head.
        parts = half.into.of(rows).view(texts, length, 3, half.heads, -1).permute(2, 0, 3, 1, 4)
        parts = parts.contiguous().view(3, texts * half.heads, length, -1)
        asked, keys, values = parts
        shares = attention_shares(asked, keys, mask, half.scale, heads=half.heads)
        found = torch.bmm(shares, values).view(texts, half.heads, length, -1)
        found = found.transpose(1, 2).reshape(len(rows), -1)
        summed = half.out.of(found, plus=rows)
        normed, *moments = half.norm.of(summed)
        ctx.half, ctx.mask = half, mask
        # Shares are the square of a text's length: they are worked out again on the way back.
        ctx.save_for_backward(rows, asked, keys, values, found, summed, *moments)
        return normed.view(hidden.shape)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        half, saved, arrived, mask = ctx.half, ctx.saved_tensors, gradient, ctx.mask
        if (numbers := teaching(gradient)) is not None:
            saved, arrived = picked(numbers, len(gradient), *saved), gradient[numbers]
            mask = mask if mask is None or len(mask) == 1 else mask[numbers]
        rows, asked, keys, values, found, summed, *moments = saved
        shares = attention_shares(asked, keys, mask, half.scale, heads=half.heads)
        texts, length, _ = arrived.shape
        back = half.norm.back(arrived.reshape(rows.shape), summed, moments)
        half.out.learn(back, found)
        arrived = (back @ half.out.weight).view(texts, length, half.heads, -1)
        arrived = arrived.transpose(1, 2).reshape(asked.shape)
        inner = torch.empty(3, *asked.shape, dtype=asked.dtype)
        attention_gradients(arrived, asked, keys, values, shares, half.scale, out=inner.unbind())
        inner = inner.view(3, texts, half.heads, length, -1).permute(1, 3, 0, 2, 4)
        inner = inner.reshape(len(rows), -1)
        half.into.learn(inner, rows)
        nothing = (None for _ in ctx.needs_input_grad[1:])
        if not ctx.needs_input_grad[0]:
            return None, *nothing
        back = back.addmm_(inner, half.into.weight)
        return everywhere(back, numbers, like=gradient), *nothing
