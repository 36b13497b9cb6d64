"""Encoders as torch modules: tokenised once, embedded by row, saved as a SentenceTransformer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import normalize

from perennial.errors import BadInput
from perennial.model.layout import is_static
from perennial.model.static import read_static, tokenize, write_static
from perennial.model.transformer import TrainableTransformer


class Trainable(Protocol):
    """What the training loop asks of an encoder."""

    @property
    def module(self) -> nn.Module:
        """What learns."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """Tokenise a list of texts once; the answer is only ever given back to this encoder."""

    def lengths(self, texts: Any) -> np.ndarray:
        """(n,) tokens of each prepared text."""

    def cut(self, lengths: np.ndarray) -> list[np.ndarray]:
        """(n,) token counts to the positions that are forwarded together."""

    def padding_share(self, lengths: np.ndarray) -> float:
        """Of all places in the forwards of such texts, those that hold no token."""

    def embed(self, texts: Any, rows: np.ndarray) -> torch.Tensor:
        """Rows of prepared texts to (n, d) unit vectors, with gradient."""

    def save(self, directory: Path, *, width: int | None = None) -> None:
        """Write the SentenceTransformer directory; its vectors are cut to `width` coordinates."""


class TrainableStatic:
    """The mean of token vectors; no sentence-transformers needed."""

    def __init__(
        self, tokenizer: Tokenizer, vectors: np.ndarray, *, max_tokens: int, device: torch.device
    ) -> None:
        # With two threads, 3 of 20 runs of one small training ended with other bytes; with one
        # thread 18 of 18 were equal. Which operation differs is not known.
        torch.set_num_threads(1)
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.enable_truncation(max_length=max_tokens)
        self._max_tokens = max_tokens
        self._device = device
        self.module = nn.EmbeddingBag.from_pretrained(
            torch.from_numpy(vectors.copy()), freeze=False, mode="mean"
        ).to(device)

    def prepare(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(token ids of all texts in a row, offsets)."""
        return tokenize(self._tokenizer, texts)

    def lengths(self, texts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """(n,) tokens of each prepared text."""
        return np.diff(texts[1])

    def cut(self, lengths: np.ndarray) -> list[np.ndarray]:
        """All at once: a mean pads nothing and keeps no activations."""
        return [np.arange(len(lengths))]

    def padding_share(self, lengths: np.ndarray) -> float:
        """None."""
        return 0.0

    def embed(self, texts: tuple[np.ndarray, np.ndarray], rows: np.ndarray) -> torch.Tensor:
        """Rows of prepared texts to (n, d) unit vectors, with gradient."""
        ids, offsets = texts
        lengths = offsets[rows + 1] - offsets[rows]
        starts = np.zeros(len(rows), dtype=np.int64)
        np.cumsum(lengths[:-1], out=starts[1:])
        gather = np.repeat(offsets[rows] - starts, lengths) + np.arange(lengths.sum())
        tokens = torch.from_numpy(ids[gather]).to(self._device)
        means = self.module(tokens, torch.from_numpy(starts).to(self._device))
        return normalize(means, dim=1, eps=1e-6)

    def save(self, directory: Path, *, width: int | None = None) -> None:
        """Write the SentenceTransformer directory; a mean of cut vectors is the cut mean."""
        vectors = self.module.weight.detach().cpu().numpy()[:, :width]
        write_static(directory, self._tokenizer, vectors, max_tokens=self._max_tokens)


def load_trainable(
    directory: Path,
    *,
    max_tokens: int,
    device: torch.device,
    budget: int = 4_096,
    precision: torch.dtype = torch.float32,
    dropout: float | None = None,
    freeze_layers: int = 0,
) -> Trainable:
    """The encoder of a directory, ready to learn.

    A transformer forwards at most `budget` tokens at once, padding included, its products in
    `precision`; it drops `dropout` of its activations (None: as it was made), and its embeddings
    and first `freeze_layers` layers stay as they are. A static encoder has none of these; raises
    BadInput where it, or a transformer of fewer layers, should freeze some.
    """
    if is_static(directory):
        if freeze_layers:
            raise BadInput(
                f"{directory} is a static encoder and has no layers to freeze; set "
                "train.freeze_layers to 0"
            )
        tokenizer, vectors = read_static(directory)
        return TrainableStatic(tokenizer, vectors, max_tokens=max_tokens, device=device)
    return TrainableTransformer(
        directory,
        max_tokens=max_tokens,
        device=device,
        budget=budget,
        precision=precision,
        dropout=dropout,
        freeze_layers=freeze_layers,
    )
