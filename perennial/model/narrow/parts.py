"""The parts of a twin that hold nearly all of its weights: tables of vectors, and products."""

import torch
from torch import nn
from torch.autograd import Function
from torch.nn.functional import embedding, linear


def hand_over(gradient: torch.Tensor, wide: torch.Tensor) -> None:
    """Add a narrow gradient to a float32 weight's, if that learns."""
    if not wide.requires_grad:
        return
    if wide.grad is None:
        wide.grad = torch.empty_like(wide).copy_(gradient)
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
    """The product of one Linear, or of several beside each other, by their narrow weights; what
    they learn is added to the float32 ones."""

    def __init__(self, *wide: nn.Linear, precision: torch.dtype) -> None:
        super().__init__()
        self._wide = list(wide)  # in a list they are no parts: they are the other module's
        self._heights = [len(each.weight) for each in wide]
        weights = torch.cat([each.weight.detach() for each in wide]).to(precision)
        self.weight = nn.Parameter(weights, requires_grad=False)
        self.bias: nn.Parameter | None = None
        if wide[0].bias is not None:
            biases = torch.cat([each.bias.detach() for each in wide]).to(precision)
            self.bias = nn.Parameter(biases, requires_grad=False)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(float32, narrow) of each weight."""
        narrow = torch.split(self.weight.data, self._heights)
        found = list(zip(self.weights(), narrow, strict=True))
        if self.bias is not None:
            narrow = torch.split(self.bias.data, self._heights)
            found += list(zip(self.biases(), narrow, strict=True))
        return found

    def weights(self) -> list[torch.Tensor]:
        """The float32 ones."""
        return [each.weight for each in self._wide]

    def biases(self) -> list[torch.Tensor]:
        """The same of the biases, where there are some."""
        return [each.bias for each in self._wide if each.bias is not None]

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        learning = *self.weights(), *self.biases()
        found: torch.Tensor = _Times.apply(given, self, *learning)  # type: ignore[no-untyped-call]
        return found

    def of(self, given: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        """The same without a way back; (..., out) `plus` is added while it is written."""
        if given.device.type == "cpu" and self.weight.dtype == torch.bfloat16:
            # torch's own product of three dimensions writes the bias first and adds to it.
            product = torch.ops.mkldnn._linear_pointwise
            own = self.weight, self.bias
            found: torch.Tensor = (
                product(given, *own, "none", [], "")
                if plus is None
                else product.binary(given, plus, *own, "add")
            )
            return found
        found = linear(given, self.weight, self.bias)
        return found if plus is None else found + plus

    def learn(self, gradient: torch.Tensor, given: torch.Tensor) -> None:
        """Add what (t, in) rows teach, given the (t, out) gradient at their product."""
        if any(each.requires_grad for each in self.weights()):
            # oneDNN turns the first of the two around: from the wider one it is a third quicker.
            is_wider = gradient.shape[1] >= given.shape[1]
            found = gradient.T @ given if is_wider else (given.T @ gradient).T
            for part, wide in zip(torch.split(found, self._heights), self.weights(), strict=True):
                hand_over(part, wide)
        if any(each.requires_grad for each in self.biases()):
            sums = gradient.sum(dim=0)
            for part, wide in zip(torch.split(sums, self._heights), self.biases(), strict=True):
                hand_over(part, wide)


class _Times(Function):
    @staticmethod
    def forward(ctx, given, product, *learning):  # type: ignore[no-untyped-def]
        ctx.product = product
        ctx.save_for_backward(given)
        return product.of(given)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (given,), product = ctx.saved_tensors, ctx.product
        rows = gradient.reshape(-1, gradient.shape[-1])
        product.learn(rows, given.reshape(-1, given.shape[-1]))
        back = (rows @ product.weight).view(given.shape) if ctx.needs_input_grad[0] else None
        return back, None, *(None for _ in ctx.needs_input_grad[2:])
