"""What of a transformer learns, and how much of it is dropped while it does."""

import re

from torch import nn

from perennial.errors import BadInput

_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\.")
_EMBEDDINGS = re.compile(r"(?:^|\.)(?:embeddings|embed_tokens|wte|wpe|word_embedding)\.")
# Where attention that is computed in one call, and has no module of its own for it, says its share.
_SHARES = ("dropout_prob", "attention_dropout")
# BERT's own, behind which no sentence's vector lies: no gradient ever reaches it.
_UNUSED = re.compile(r"(?:^|\.)pooler\.dense\.")


def freeze(module: nn.Module, layers: int) -> None:
    """Keep the embeddings and the first `layers` layers as they are; none where it is 0.

    Raises BadInput where there are not so many, or nothing would be left to learn.
    """
    if not layers:
        return
    names = [name for name, _ in module.named_parameters()]
    count = len({found[1] for name in names if (found := _LAYER.search(name))})
    if layers > count:
        raise BadInput(
            f"train.freeze_layers is {layers}, but the encoder has {count} layers; choose fewer"
        )
    for name, parameter in module.named_parameters():
        found = _LAYER.search(name)
        if _EMBEDDINGS.search(name) or (found and int(found[1]) < layers):
            parameter.requires_grad_(False)
    if not any(p.requires_grad and not _UNUSED.search(n) for n, p in module.named_parameters()):
        raise BadInput(
            f"train.freeze_layers is {layers}: nothing would be left to learn; choose fewer"
        )


def set_dropout(module: nn.Module, share: float) -> None:
    """Drop this share wherever the module drops anything."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = share
        for name in _SHARES:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, share)


def drops(module: nn.Module) -> bool:
    """Whether a forward, while it learns, is another each time."""
    return module.training and any(
        (isinstance(part, nn.Dropout) and part.p > 0)
        or any(getattr(part, name, 0) for name in _SHARES)
        for part in module.modules()
    )
