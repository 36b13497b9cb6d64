"""Attention by plain products, for texts that are short and a machine without a GPU.

torch's fused attention took 1.7 of the 4.4 s of a step (64 triplets of 128 tokens) on its way back
on a CPU; transformers' own plain one goes over the scores five times. The memory of both plain
ones grows with the square of a text's length.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import Function
from torch.nn.functional import dropout as drop

_NAME = "plain-products"
# Scores and a mask are all that attention is to these; others add sinks, caps or biases to it.
_PLAIN = frozenset({"bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"})


def attend_plainly(model: Any) -> None:
    """Let a transformers model attend so; where its attention is more, by transformers' own."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, _mask)
    model.set_attn_implementation(_NAME if model.config.model_type in _PLAIN else "eager")


def attends_plainly(config: Any) -> bool:
    """Whether a model of this configuration was let attend so."""
    return bool(getattr(config, "_attn_implementation", None) == _NAME)


def _mask(*given: Any, **more: Any) -> torch.Tensor | None:
    """True where a token may look; None where it may look everywhere."""
    from transformers.masking_utils import sdpa_mask

    mask: torch.Tensor | None = sdpa_mask(*given, **more | {"allow_is_causal_skip": False})
    return mask


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """(b, h, n, d) of each to (b, n, h, d)."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if dropout and module.training:
        scores = torch.matmul(query * scale, key.transpose(2, 3))
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
        found = torch.matmul(drop(torch.softmax(scores, dim=-1), dropout), value)
    else:
        given = query, key, value, attention_mask, scale
        found = _Attended.apply(*given)  # type: ignore[no-untyped-call]
    return found.transpose(1, 2).contiguous(), None


class _Attended(Function):
    """The same without dropout, with the scores written once and then overwritten."""

    @staticmethod
    def forward(ctx, query, key, value, mask, scale):  # type: ignore[no-untyped-def]
        rows, heads, length, width = query.shape
        asked = query.reshape(rows * heads, length, width)
        keys = key.reshape(rows * heads, -1, width)
        values = value.reshape(rows * heads, keys.shape[1], -1)
        shares = attention_shares(asked, keys, mask, scale, heads=heads)
        ctx.save_for_backward(asked, keys, values, shares)
        ctx.scale = scale
        return torch.bmm(shares, values).view(rows, heads, length, -1)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        asked, keys, values, shares = ctx.saved_tensors
        arrived = gradient.reshape(len(asked), gradient.shape[2], -1)
        found = [torch.empty_like(each) for each in (asked, keys, values)]
        attention_gradients(arrived, asked, keys, values, shares, ctx.scale, out=found)
        heads = gradient.shape[:2]
        return *(each.view(*heads, *each.shape[1:]) for each in found), None, None


def attention_shares(
    asked: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor | None, scale: float, *, heads: int
) -> torch.Tensor:
    """(b * h, n, d) queries and keys to (b * h, n, n), what each token takes of the others.

    `mask` is (b, 1, 1 or n, n), True where a token may look.
    """
    shares = asked.new_empty(len(asked), asked.shape[1], keys.shape[1])
    shares.baddbmm_(asked, keys.transpose(1, 2), beta=0, alpha=scale)
    if mask is not None:
        every = shares.view(-1, heads, *shares.shape[1:])
        every.masked_fill_(~mask, torch.finfo(shares.dtype).min)
    return torch._softmax(shares, -1, False, out=shares)


def attention_gradients(
    gradient: torch.Tensor,
    asked: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    shares: torch.Tensor,
    scale: float,
    *,
    out: Sequence[torch.Tensor],
) -> None:
    """Write the gradients at queries, keys and values, each (b * h, n, d), into `out`, from the one
    at what attention found."""
    to_asked, to_keys, to_values = out
    torch.bmm(shares.transpose(1, 2), gradient, out=to_values)
    to_scores = torch.bmm(gradient, values.transpose(1, 2))
    torch._softmax_backward_data(to_scores, shares, -1, shares.dtype, grad_input=to_scores)
    to_asked.baddbmm_(to_scores, keys, beta=0, alpha=scale)
    to_keys.baddbmm_(to_scores.transpose(1, 2), asked, beta=0, alpha=scale)
