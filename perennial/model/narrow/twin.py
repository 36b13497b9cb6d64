"""A module's bfloat16 twin, which computes, beside the float32 weights, which learn.

Autocast narrows the weights anew for every forward, and keeps what lies between the products in
float32; a twin narrows them once a step, and everything in it is half as wide. Gradients of tables
and products are added to the float32 ones at once, so that none is kept twice.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn

from perennial.model.narrow.layer import Layer, is_plain_layer
from perennial.model.narrow.parts import Product, Rows, hand_over


class Twin:
    """The twin of a module whose parameters are float32; gradients arrive at these."""

    def __init__(self, wide: nn.Module, precision: torch.dtype) -> None:
        self._wide = wide
        # What is in the memo is taken and not copied: no second float32 copy is ever made.
        memo: dict[int, object] = {}
        self._pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        inside: set[nn.Module] = set()
        for part in wide.modules():
            if part in inside:
                continue
            if is_plain_layer(part):
                memo[id(part)] = layer = Layer(part, precision)
                self._pairs += layer.pairs()
                inside |= {*part.modules()}
            elif type(part) is nn.Embedding and part.max_norm is None:
                memo[id(part)] = Rows(part, precision)
            elif type(part) is nn.Linear:
                memo[id(part)] = product = Product(part, precision=precision)
                self._pairs += product.pairs()
            else:
                for own in part.parameters(recurse=False):
                    if id(own) not in memo and own.dtype == torch.float32:
                        memo[id(own)] = narrow = _narrow(own, precision)
                        self._pairs.append((own, narrow))
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


def _narrow(wide: nn.Parameter, precision: torch.dtype) -> nn.Parameter:
    narrow = nn.Parameter(wide.detach().to(precision), wide.requires_grad)
    if wide.requires_grad:
        narrow.register_post_accumulate_grad_hook(_handing_over(wide))  # type: ignore[no-untyped-call]
    return narrow


def _handing_over(wide: nn.Parameter) -> Callable[[torch.Tensor], None]:
    def hook(narrow: torch.Tensor) -> None:
        assert narrow.grad is not None
        hand_over(narrow.grad, wide)
        narrow.grad = None

    return hook
