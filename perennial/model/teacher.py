"""Who says how near a document is to a query: an encoder's vectors, or a cross-encoder."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from perennial.errors import BadInput
from perennial.model.layout import UNSAFE_SUFFIXES

_CHUNK = 8192  # pairs per call, so that their texts are never all in memory


def is_cross_encoder(directory: Path) -> bool:
    """True for a folder that CrossEncoder.save wrote; raises BadInput where nothing readable is."""
    for name in ("config_sentence_transformers.json", "config.json"):
        try:
            config = json.loads((directory / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise BadInput(
                f"the teacher {directory} has no readable {name} ({error}); save it again"
            ) from error
        if config.get("model_type") == "CrossEncoder":
            return True
        if any("SequenceClassification" in str(a) for a in config.get("architectures") or []):
            return True
    return False


def load_cross_encoder(
    directory: Path, *, queries: Sequence[str], documents: Sequence[str], batch_size: int
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Row numbers of queries and of documents, (n,) each, to (n,) float32 scores from 0 to 1."""
    unsafe = sorted(p.name for p in directory.rglob("*") if p.suffix.lower() in UNSAFE_SUFFIXES)
    if unsafe:
        raise BadInput(
            f"the teacher {directory} holds {unsafe[0]}, which can carry code; save it as "
            "safetensors and remove that file"
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(directory), trust_remote_code=False, local_files_only=True)

    def score(query: np.ndarray, document: np.ndarray) -> np.ndarray:
        out = np.empty(len(query), dtype=np.float32)
        for start in range(0, len(query), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = zip(query[part].tolist(), document[part].tolist(), strict=True)
            out[part] = model.predict(
                [(queries[q], documents[d]) for q, d in rows],
                batch_size=batch_size,
                activation_fn=torch.nn.Sigmoid(),
                show_progress_bar=False,
            )
        return out

    return score
