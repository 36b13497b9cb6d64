"""An exported encoder: onnxruntime and tokenizers, no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from perennial.errors import BadInput, EncoderMismatch
from perennial.model.pieces import pieces
from perennial.model.static import whole_texts

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
ENCODER = "perennial.encoder"  # where the graph itself says of which encoder it is
_CHUNK = 4096  # texts tokenised at a time


class OnnxEncoder:
    """Answers as the encoder `digest` does; raises EncoderMismatch for the graph of another.

    The files of `folder` must be verified: what they hold is parsed here.
    """

    def __init__(self, folder: Path, *, digest: str, token_budget: int = 4096) -> None:
        self._session = _open(folder / GRAPH)
        found = self._session.get_modelmeta().custom_metadata_map.get(ENCODER)
        if found != digest:
            raise EncoderMismatch(
                f"{folder / GRAPH} is the graph of encoder {found}, not of {digest}, which made "
                "the index; export that one: `perennial export onnx`"
            )
        self._tokenizer = _read_tokenizer(folder / TOKENIZER)
        self._token_budget = token_budget
        self.digest = digest
        self.dimension = int(self._session.get_outputs()[0].shape[1])
        truncation = self._tokenizer.truncation
        self.max_tokens = int(truncation["max_length"]) if truncation else 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to (n, dimension) float32 unit rows; a text without tokens gives a zero row."""
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK):
            rows = [
                encoding.ids
                for encoding in self._tokenizer.encode_batch_fast(
                    whole_texts(texts[start : start + _CHUNK])
                )
            ]
            lengths = np.array([len(row) for row in rows])
            for cut in pieces(lengths, budget=self._token_budget):
                some = cut[lengths[cut] > 0]
                if len(some):
                    out[start + some] = self._forward([rows[i] for i in some], lengths[some])
        return out

    def _forward(self, rows: list[list[int]], lengths: np.ndarray) -> np.ndarray:
        """Token ids of texts, the longest first, to their vectors."""
        mask = np.arange(lengths[0])[None, :] < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
        given = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        vectors: np.ndarray = self._session.run(["vectors"], given)[0]
        return vectors


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BadInput(
            "onnxruntime is not installed, and PERENNIAL_RUNTIME=onnx needs it; pip install "
            "'perennial[onnx]', or set PERENNIAL_RUNTIME=torch"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Between two queries the cores are for others, such as the index.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises nothing more special
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{path} does not load in onnxruntime {onnxruntime.__version__} ({reason}); export it "
            "again with `perennial export onnx`, or set PERENNIAL_RUNTIME=torch"
        ) from error


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises nothing more special
        raise BadInput(
            f"{path} cannot be read ({error}); export again with `perennial export onnx`"
        ) from error
