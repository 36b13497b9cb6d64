"""Encoders as torch modules: tokenised once, embedded by row, saved as a SentenceTransformer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import normalize

from perennial.model.layout import is_static
from perennial.model.static import read_static, tokenize, write_static


class Trainable(Protocol):
    """What the training loop asks of an encoder."""

    @property
    def module(self) -> nn.Module:
        """What learns."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """Tokenise a list of texts once; the answer is only ever given back to `embed`."""

    def embed(self, texts: Any, rows: np.ndarray) -> torch.Tensor:
        """Rows of prepared texts to (n, d) unit vectors, with gradient."""

    def save(self, directory: Path) -> None:
        """Write the SentenceTransformer directory."""


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

    def save(self, directory: Path) -> None:
        """Write the SentenceTransformer directory."""
        vectors = self.module.weight.detach().cpu().numpy()
        write_static(directory, self._tokenizer, vectors, max_tokens=self._max_tokens)


class TrainableTransformer:
    """Any other allowed SentenceTransformer."""

    def __init__(self, directory: Path, *, max_tokens: int, device: torch.device) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(
            str(directory), trust_remote_code=False, local_files_only=True, device=str(device)
        )
        self._model.max_seq_length = min(self._model.max_seq_length or max_tokens, max_tokens)
        self._device = device
        self.module = cast(nn.Module, self._model)

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """The texts as they are: its tokenizer pads per batch."""
        return list(texts)

    def embed(self, texts: list[str], rows: np.ndarray) -> torch.Tensor:
        """Rows of prepared texts to (n, d) unit vectors, with gradient."""
        features = self._model.preprocess([texts[row] for row in rows])
        on_device = {
            key: value.to(self._device) if isinstance(value, torch.Tensor) else value
            for key, value in features.items()
        }
        return normalize(self._model(on_device)["sentence_embedding"], dim=1, eps=1e-6)

    def save(self, directory: Path) -> None:
        """Write the SentenceTransformer directory, without its generated model card."""
        self._model.save(str(directory), create_model_card=False, safe_serialization=True)


def load_trainable(directory: Path, *, max_tokens: int, device: torch.device) -> Trainable:
    """The encoder of a directory, ready to learn."""
    if is_static(directory):
        tokenizer, vectors = read_static(directory)
        return TrainableStatic(tokenizer, vectors, max_tokens=max_tokens, device=device)
    return TrainableTransformer(directory, max_tokens=max_tokens, device=device)
