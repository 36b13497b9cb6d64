"""A BERT's layer in a narrow twin: forward and back in few passes over the memory.

Beside its products, a step's time on a CPU goes to reading and writing what lies between them. So
queries, keys and values are one product; what is added to a product is added while it is written;
and what a gradient needs no longer is overwritten.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import gelu

from perennial.model.attention import attends_plainly
from perennial.model.narrow.attention import Attention
from perennial.model.narrow.feed import FeedForward

# They are one and the same layer, copied.
_KINDS = frozenset(
    {"BertLayer", "CamembertLayer", "ElectraLayer", "RobertaLayer", "XLMRobertaLayer"}
)


def is_plain_layer(part: nn.Module) -> bool:
    """Whether a module is such a layer of transformers', attends by plain products, bends by GELU,
    looks at no other text and drops nothing."""
    if type(part).__name__ not in _KINDS or not type(part).__module__.startswith("transformers."):
        return False
    layer: Any = part
    return bool(
        attends_plainly(layer.attention.self.config)
        and not (layer.is_decoder or layer.add_cross_attention)
        and getattr(layer.intermediate.intermediate_act_fn, "act", None) is gelu
        and not any(each.p for each in part.modules() if isinstance(each, nn.Dropout))
    )


class Layer(nn.Module):
    """Computes what a plain layer would, narrow; what it learns is added there."""

    def __init__(self, wide: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        layer: Any = wide
        self.attention = Attention(layer.attention, precision)
        self.feed = FeedForward(layer.intermediate.dense, layer.output, precision)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(float32, narrow) of each weight that has a narrow one."""
        return [*self.attention.pairs(), *self.feed.pairs()]

    def forward(
        self, hidden: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> torch.Tensor:
        """(b, n, d) to (b, n, d)."""
        # Named as transformers' own: under another name a keyword would be lost among the rest.
        found: torch.Tensor = self.feed(self.attention(hidden, attention_mask))
        return found
