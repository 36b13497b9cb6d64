"""An encoder: texts in, unit vectors out, identified by the digest of its directory."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from perennial.model.digest import directory_digest
from perennial.model.layout import is_static, refuse_cut
from perennial.model.static import mean_vectors, read_static, tokenize, whole_texts

_CHUNK = 4096  # texts tokenised at a time; bounds memory, changes no vector


class Encoder(Protocol):
    """What every encoder answers; a text's vector does not depend on its neighbours' texts."""

    digest: str
    dimension: int
    max_tokens: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to (n, dimension) float32 unit rows; a text without tokens gives a zero row."""


class StaticEncoder:
    """The mean of token vectors, in numpy."""

    def __init__(self, directory: Path, *, digest: str) -> None:
        self._tokenizer, self._vectors = read_static(directory)
        self.digest = digest
        self.dimension = int(self._vectors.shape[1])
        truncation = self._tokenizer.truncation
        self.max_tokens = int(truncation["max_length"]) if truncation else 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to (n, dimension) float32 unit rows; a text without tokens gives a zero row."""
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK):
            ids, offsets = tokenize(self._tokenizer, texts[start : start + _CHUNK])
            out[start : start + _CHUNK] = mean_vectors(ids, offsets, self._vectors)
        return out


class TransformerEncoder:
    """Any other allowed SentenceTransformer, on CUDA where there is one."""

    def __init__(self, directory: Path, *, digest: str, batch_size: int) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from sentence_transformers import SentenceTransformer

        from perennial.model.widths import full_width

        self._model = SentenceTransformer(
            str(directory), trust_remote_code=False, local_files_only=True
        )
        refuse_cut(directory, width=full_width(self._model))
        self._batch_size = batch_size
        self.digest = digest
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 0)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to (n, dimension) float32 unit rows; sentence-transformers batches by length."""
        vectors = self._model.encode(
            whole_texts(texts),
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dimension)


def load_encoder(directory: Path, *, batch_size: int = 256) -> Encoder:
    """The encoder of a SentenceTransformer directory; raises BadInput for a refused layout."""
    static = is_static(directory)  # checks the layout before anything is loaded
    digest = directory_digest(directory)
    if static:
        return StaticEncoder(directory, digest=digest)
    return TransformerEncoder(directory, digest=digest, batch_size=batch_size)
