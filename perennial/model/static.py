"""A static encoder: the mean of its tokens' vectors. Read and run without torch.

The directory is the one that SentenceTransformer saves for [StaticEmbedding, Normalize], so that
everything else in the ecosystem loads it. Importing torch and sentence-transformers costs seven
seconds; this file costs a tenth of one, in every stage and in every `perennial search`.
"""

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from perennial.errors import BadInput
from perennial.model.first_tokens import first_tokens
from perennial.model.layout import read_modules, refuse_cut

_PACKAGE = "sentence_transformers"
_MODULES = [
    {
        "idx": 0,
        "name": "0",
        "path": "",
        "type": f"{_PACKAGE}.sentence_transformer.modules.static_embedding.StaticEmbedding",
    },
    {
        "idx": 1,
        "name": "1",
        "path": "1_Normalize",
        "type": f"{_PACKAGE}.base.modules.normalize.Normalize",
    },
]
_NORMALIZE = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
}
_CONFIG = {
    "default_prompt_name": None,
    "model_type": "SentenceTransformer",
    "prompts": {"document": "", "query": ""},
    "similarity_fn_name": "cosine",
}


def read_static(directory: Path) -> tuple[Tokenizer, np.ndarray]:
    """The tokenizer and the (vocabulary, dimension) float32 vectors of a static encoder.

    Raises BadInput for files that are missing or torn, and for weights that are no numbers.
    """
    root = directory / read_modules(directory)[0]["path"]
    path = root / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
        path = root / "model.safetensors"
        weights = load_file(path)
    except Exception as error:  # tokenizers raises nothing more special
        raise BadInput(
            f"{path} cannot be read ({error}); save the encoder again with SentenceTransformer.save"
        ) from error
    tokenizer.no_padding()
    if "embedding.weight" not in weights:
        raise BadInput(
            f"{path} has no embedding.weight; load it once with SentenceTransformer and save it "
            "again"
        )
    vectors = np.ascontiguousarray(weights["embedding.weight"], dtype=np.float32)
    broken = int((~np.isfinite(vectors).all(axis=1)).sum())
    if broken:
        raise BadInput(
            f"{path} holds NaN or Inf in {broken} of {len(vectors)} token vectors; give an encoder "
            "whose training went well, or train again with a smaller learning rate"
        )
    refuse_cut(directory, width=vectors.shape[1])
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= len(vectors):
        raise BadInput(
            f"{directory} has a token number {largest} but only {len(vectors)} token vectors; its "
            "tokenizer and its weights are of two encoders: save it again from one"
        )
    return tokenizer, vectors


def write_static(
    directory: Path, tokenizer: Tokenizer, vectors: np.ndarray, *, max_tokens: int
) -> None:
    """Write the directory; the cut at `max_tokens` travels inside the tokenizer."""
    (directory / "1_Normalize").mkdir(parents=True, exist_ok=True)
    cut = Tokenizer.from_str(tokenizer.to_str())
    cut.no_padding()
    cut.enable_truncation(max_length=max_tokens)
    # Written by Python itself, whose error on a full disk names the file.
    (directory / "tokenizer.json").write_text(cut.to_str(pretty=True), encoding="utf-8")
    weights = {"embedding.weight": np.ascontiguousarray(vectors, dtype=np.float32)}
    (directory / "model.safetensors").write_bytes(save(weights))
    _write_json(directory / "modules.json", _MODULES)
    _write_json(directory / "1_Normalize" / "config.json", _NORMALIZE)
    _write_json(directory / "config_sentence_transformers.json", _CONFIG)


def whole_texts(texts: Sequence[str]) -> list[str]:
    """The texts with `?` for half a surrogate pair, which a terminal may pass on and no tokenizer
    takes."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts to (token ids of all texts in a row, (n + 1,) offsets into them), both int64."""
    rows = first_tokens(tokenizer, whole_texts(texts))
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=offsets[-1])
    return ids, offsets


def mean_vectors(ids: np.ndarray, offsets: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n, d) float32 unit means of each text's token vectors; a text without tokens is zero.

    A sparse product, because gathering the rows first would take tokens × d floats of memory.
    Each row is summed in the order of its own tokens: its value depends on its own text alone.
    """
    counts = csr_array(
        (np.ones(len(ids), dtype=np.float32), ids, offsets),
        shape=(len(offsets) - 1, len(vectors)),
    )
    sums = np.asarray(counts @ vectors, dtype=np.float32)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    means: np.ndarray = np.divide(sums, norms, out=np.zeros_like(sums), where=norms > 0)
    return means


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
