"""A transformer that learns: tokenised once, forwarded by like length, in bfloat16 if asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from perennial.model.attention import attend_plainly
from perennial.model.freed import keep_freed_memory
from perennial.model.layers import freeze, set_dropout
from perennial.model.layout import refuse_cut
from perennial.model.narrow.twin import Twin
from perennial.model.pieces import columns, padding_share, pieces, rounded
from perennial.model.widths import full_width, with_width

_CHUNK = 4096  # texts tokenised at a time: the tokenizer pads each chunk to its longest
_SHORT = 256  # tokens up to which plain products attend quicker on a CPU


@dataclass(frozen=True)
class TokenRows:
    """What a tokenizer says of n texts, without padding: per key all values in a row."""

    values: dict[str, np.ndarray]
    offsets: np.ndarray  # (n + 1,)


class TrainableTransformer:
    """Any allowed SentenceTransformer that is not static."""

    def __init__(
        self,
        directory: Path,
        *,
        max_tokens: int,
        device: torch.device,
        budget: int = 4_096,
        precision: torch.dtype = torch.float32,
        dropout: float | None = None,
        freeze_layers: int = 0,
    ) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(
            str(directory), trust_remote_code=False, local_files_only=True, device=str(device)
        )
        refuse_cut(directory, width=full_width(self._model))
        self._model.max_seq_length = min(self._model.max_seq_length or max_tokens, max_tokens)
        if device.type == "cpu":
            keep_freed_memory()
        if device.type == "cpu" and self._model.max_seq_length <= _SHORT:
            attend_plainly(self._model[0].auto_model)
        self._padding = int(getattr(self._model.tokenizer, "pad_token_id", 0) or 0)
        self._most = int(self._model.max_seq_length)
        self._device, self._budget = device, budget
        self.module = cast(nn.Module, self._model)
        if dropout is not None:
            set_dropout(self.module, dropout)
        freeze(self.module, freeze_layers)
        self._twin = None if precision == torch.float32 else Twin(self.module, precision)

    def prepare(self, texts: Sequence[str]) -> TokenRows:
        """Tokenise once; the answer keeps no padding."""
        found: dict[str, list[np.ndarray]] = {}
        lengths = [np.zeros(1, dtype=np.int64)]
        for start in range(0, len(texts), _CHUNK):
            features = self._model.preprocess(list(texts[start : start + _CHUNK]))
            mask = features["attention_mask"].numpy().astype(bool)
            lengths.append(mask.sum(axis=1, dtype=np.int64))
            for key, value in features.items():
                if isinstance(value, torch.Tensor) and value.shape == mask.shape:
                    found.setdefault(key, []).append(value.numpy()[mask].astype(np.int32))
        offsets = np.cumsum(np.concatenate(lengths))
        return TokenRows({key: np.concatenate(parts) for key, parts in found.items()}, offsets)

    def lengths(self, texts: TokenRows) -> np.ndarray:
        """(n,) tokens of each prepared text."""
        return np.diff(texts.offsets)

    def cut(self, lengths: np.ndarray) -> list[np.ndarray]:
        """(n,) token counts to the positions that are forwarded together."""
        wide = [columns(length, most=self._most) for length in lengths.tolist()]
        return pieces(np.array(wide, dtype=np.int64), budget=self._budget)

    def padding_share(self, lengths: np.ndarray) -> float:
        """Of all places in the forwards of such texts, those that hold no token."""
        return padding_share(lengths, self.cut(lengths), most=self._most)

    def embed(self, texts: TokenRows, rows: np.ndarray) -> torch.Tensor:
        """Rows of prepared texts to (n, d) unit vectors, with gradient, in one padded forward."""
        count = len(rows)
        rows = np.pad(rows, (0, rounded(count) - count), mode="edge")
        lengths = texts.offsets[rows + 1] - texts.offsets[rows]
        width = columns(int(lengths.max(initial=1)), most=self._most)
        inside = np.arange(width)[None, :] < lengths[:, None]
        gather = (texts.offsets[rows][:, None] + np.arange(width))[inside]
        features = {}
        for key, values in texts.values.items():
            padded = np.full(inside.shape, self._padding if key == "input_ids" else 0, np.int64)
            padded[inside] = values[gather]
            features[key] = torch.from_numpy(padded).to(self._device)
        model = self.module if self._twin is None else self._twin.current()
        found = model(features)["sentence_embedding"][:count]
        return normalize(found if self._twin is None else found.float(), dim=1, eps=1e-6)

    def save(self, directory: Path, *, width: int | None = None) -> None:
        """Write the SentenceTransformer directory, without its generated model card."""
        model = with_width(self._model, width)
        model.save(str(directory), create_model_card=False, safe_serialization=True)
