"""The parts of a twin that hold nearly all of its weights: tables of vectors, and products."""

import torch
from torch import nn
from torch.autograd import Function
from torch.nn.functional import embedding, linear


def hand_over(gradient: torch.Tensor, wide: torch.Tensor) -> None:
    """Add a narrow gradient to a float32 weight's."""
    if wide.grad is None:
        wide.grad = gradient.to(wide.dtype)
    else:
        wide.grad += gradient


class Rows(nn.Module):
    """The rows of a float32 table, narrow; what they learn is added where they stand.

    A table's own gradient is as large as the table, for every piece of a batch: 47 MB of zeros
    for the 30,522 words of a BERT. And in bfloat16 the sum over a frequent word would stand still.
    """

    def __init__(self, table: nn.Embedding, precision: torch.dtype) -> None:
        super().__init__()
        self._table = [table]  # in a list it is no part: its weights are the other module's
        self._precision = precision

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids of any shape to (..., d) narrow rows."""
        table = self._table[0]
        given = table.weight, ids, table.padding_idx, self._precision
        found: torch.Tensor = _Lookup.apply(*given)  # type: ignore[no-untyped-call]
        return found


class _Lookup(Function):
    @staticmethod
    def forward(ctx, weight, ids, padding, precision):  # type: ignore[no-untyped-def]
        ctx.weight, ctx.padding = weight, padding
        ctx.save_for_backward(ids)
        return embedding(ids, weight).to(precision)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (ids,) = ctx.saved_tensors
        weight = ctx.weight
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        wide = gradient.reshape(-1, weight.shape[1]).to(weight.dtype)
        seen = ids.reshape(-1)
        if ctx.padding is not None:
            wide[seen == ctx.padding] = 0
        weight.grad.index_add_(0, seen, wide)
        return None, None, None, None


class Product(nn.Module):
    """A Linear's product by its narrow weights; what it learns is added to the float32 ones."""

    def __init__(self, wide: nn.Linear, precision: torch.dtype) -> None:
        super().__init__()
        self._wide = [wide]
        self.weight = nn.Parameter(wide.weight.detach().to(precision), requires_grad=False)
        self.bias: nn.Parameter | None = None
        if wide.bias is not None:
            self.bias = nn.Parameter(wide.bias.detach().to(precision), requires_grad=False)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(float32, narrow) of each weight."""
        wide = self._wide[0]
        if self.bias is None:
            return [(wide.weight, self.weight)]
        return [(wide.weight, self.weight), (wide.bias, self.bias)]

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        wide = self._wide[0]
        parts = given, wide.weight, wide.bias, self.weight, self.bias
        found: torch.Tensor = _Times.apply(*parts)  # type: ignore[no-untyped-call]
        return found


class _Times(Function):
    @staticmethod
    def forward(ctx, given, wide_weight, wide_bias, weight, bias):  # type: ignore[no-untyped-def]
        ctx.wide = wide_weight, wide_bias
        ctx.save_for_backward(given, weight)
        if given.device.type == "cpu" and weight.dtype == torch.bfloat16:
            # torch's own product of three dimensions writes the bias first and adds to it.
            return torch.ops.mkldnn._linear_pointwise(given, weight, bias, "none", [], "")
        return linear(given, weight, bias)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        given, weight = ctx.saved_tensors
        wide_weight, wide_bias = ctx.wide
        rows = gradient.reshape(-1, weight.shape[0])
        if wide_weight.requires_grad:
            hand_over(rows.T @ given.reshape(-1, weight.shape[1]), wide_weight)
        if wide_bias is not None and wide_bias.requires_grad:
            hand_over(rows.sum(dim=0), wide_bias)
        back = (rows @ weight).view(given.shape) if ctx.needs_input_grad[0] else None
        return back, None, None, None, None
