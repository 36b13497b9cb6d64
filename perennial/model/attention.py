"""Attention by plain products, for texts that are short and a machine without a GPU.

torch's fused attention took 1.7 of the 4.4 s of a step (64 triplets of 128 tokens) on its way back
on a CPU; transformers' own plain one goes over the scores five times. The memory of both plain
ones grows with the square of a text's length.
"""

from typing import Any

import torch
from torch.nn.functional import dropout as drop

_NAME = "plain-products"


def attend_plainly(model: Any) -> None:
    """Let a transformers model attend so; one that brings attention of its own is left alone."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)  # True where it may look, None for all
    if model._can_set_attn_implementation():
        model.set_attn_implementation(_NAME)


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
    if (groups := query.shape[1] // key.shape[1]) > 1:
        key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    shares = drop(torch.softmax(scores, dim=-1), dropout, module.training)
    return torch.matmul(shares, value).transpose(1, 2).contiguous(), None
