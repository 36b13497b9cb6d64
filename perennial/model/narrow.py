"""A module's bfloat16 twin, which computes, beside the float32 weights, which learn.

Autocast narrows the weights anew for every forward, and keeps what lies between the products in
float32; a twin narrows them once a step, and everything in it is half as wide.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import embedding


class Twin:
    """The twin of a module whose parameters are float32; gradients arrive at these."""

    def __init__(self, wide: nn.Module, precision: torch.dtype) -> None:
        self._wide = wide
        # What is in the memo is taken and not copied: no second float32 copy is ever made.
        memo: dict[int, object] = {}
        self._pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
        for part in wide.modules():
            if isinstance(part, nn.Embedding) and part.max_norm is None:
                memo[id(part)] = _Rows(part, precision)
                continue
            for own in part.parameters(recurse=False):
                if id(own) not in memo and own.dtype == torch.float32:
                    narrow = nn.Parameter(own.detach().to(precision), own.requires_grad)
                    memo[id(own)] = narrow
                    self._pairs.append((own, narrow))
                    if own.requires_grad:
                        hook = _handing_over(own)
                        narrow.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
        self._module = copy.deepcopy(wide, memo)
        self._seen = self._versions()

    def current(self) -> nn.Module:
        """The twin with the weights of now."""
        if (versions := self._versions()) != self._seen:
            with torch.no_grad():
                torch._foreach_copy_([n for _, n in self._pairs], [w for w, _ in self._pairs])
            self._seen = versions
        if self._module.training != self._wide.training:
            self._module.train(self._wide.training)
        return self._module

    def _versions(self) -> list[int]:
        """A parameter counts its changes in place; an optimizer's step is one."""
        return [wide._version for wide, _ in self._pairs]


def _handing_over(wide: nn.Parameter) -> Callable[[torch.Tensor], None]:
    def hand_over(narrow: torch.Tensor) -> None:
        assert narrow.grad is not None
        if wide.grad is None:
            wide.grad = narrow.grad.to(wide.dtype)
        else:
            wide.grad += narrow.grad
        narrow.grad = None

    return hand_over


class _Rows(nn.Module):
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


class _Lookup(torch.autograd.Function):
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
