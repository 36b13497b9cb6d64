"""Vectors cut to their first coordinates, and the encoder that makes them so by itself.

A release holds the cut encoder and no width beside it: what embeds documents, what embeds queries,
and what is exported are the same files, so that no two of them can be cut differently.
"""

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def narrowed(vectors: torch.Tensor, width: int | None) -> torch.Tensor:
    """(n, d) unit vectors to their first `width` coordinates, unit length again; None keeps all."""
    if width is None or width >= vectors.shape[1]:
        return vectors
    return normalize(vectors[:, :width], dim=1, eps=1e-6)


def full_width(model: "SentenceTransformer") -> int:
    """The coordinates of its vectors before any truncate_dim."""
    with model.truncate_embeddings(None):
        return int(model.get_embedding_dimension() or 0)


def with_width(model: "SentenceTransformer", width: int | None) -> "SentenceTransformer":
    """The same encoder with a projection to its first `width` coordinates behind it.

    A module and not sentence-transformers' truncate_dim, which its forward, and so a graph of it,
    knows nothing of.
    """
    full = full_width(model)
    if width is None or width >= full:
        return model
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize

    modules = list(model)
    if isinstance(modules[-1], Normalize):
        modules.pop()  # it comes last again
    first = Dense(
        full, width, bias=False, activation_function=None, init_weight=torch.eye(width, full)
    )
    return SentenceTransformer(
        modules=[*modules, first, Normalize()],
        prompts=model.prompts,
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
        device=str(model.device),
    )
