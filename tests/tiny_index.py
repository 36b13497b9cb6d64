"""Small real indexes that grow: vectors with neighbours, and brute force as their oracle."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perennial.index.build import build_index
from perennial.index.compact import compact
from perennial.index.description import read_description, write_description
from perennial.index.increment import add_segment, write_tombstones
from perennial.index.index import Index

MADE_BY = "sha256:" + "a" * 64
DIMENSION = 16
# Every tested type, with what a few hundred rows can train; an HNSW stays Flat below 5,000.
SMALL = ("Flat", "IVF8,Flat", "IVF8,SQ8", "HNSW8")
FACTORIES = (*SMALL, pytest.param("IVF8,PQ8", marks=pytest.mark.slow))
LOSSLESS = ("Flat", "IVF8,Flat", "HNSW8")
ROWS = 39 * 256  # the fewest that train a PQ


def unit(count: int, *, dimension: int = DIMENSION, seed: int = 0) -> np.ndarray:
    """(count, dimension) unit rows around twenty centres, the same for every seed."""
    centres = np.random.default_rng(10_000).standard_normal((20, dimension))
    generator = np.random.default_rng(seed)
    rows = centres[generator.integers(0, len(centres), count)]
    rows = rows + 0.8 * generator.standard_normal((count, dimension))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def named(count: int, *, start: int = 0) -> list[str]:
    """doc_ids that sort as they are counted."""
    return [f"d{row:06d}" for row in range(start, start + count)]


def digests(doc_ids: list[str], *, version: int = 0) -> list[str]:
    """A text digest for each document."""
    return [f"sha256:{version}-{doc_id}" for doc_id in doc_ids]


def build(directory: Path, vectors: np.ndarray, doc_ids: list[str], **changes: Any) -> Index:
    """A first index, tuned to find all that its own few probes should unless told otherwise."""
    given: dict[str, Any] = {
        "text_digests": digests(doc_ids),
        "slices": None,
        "encoder_digest": MADE_BY,
        "factory": "Flat",
        "recall_target": 1.0,
        "memory_mb": 100,
        "probes": unit(30, dimension=vectors.shape[1], seed=9),
        "seed": 5,
    }
    return build_index(directory, vectors=vectors, doc_ids=doc_ids, **(given | changes))


def grow(
    directory: Path,
    vectors: np.ndarray,
    doc_ids: list[str],
    *,
    dead: dict[int, list[int]] | None = None,
    slices: list[str | None] | None = None,
    version: int = 1,
) -> Index:
    """The index after one increment; `dead`: all dead rows of a segment, by its number."""
    index, about = opened(directory), read_description(directory)
    rows = [dict(row) for row in about["segments"]]
    for number, gone in (dead or {}).items():
        name = Path(rows[number]["vectors"]).stem
        rows[number]["tombstones"] = write_tombstones(directory, segment=name, rows=gone)
        rows[number]["live"] = rows[number]["rows"] - len(gone)
    if doc_ids:
        row = add_segment(
            directory,
            name=f"segment-{len(rows):04d}",
            template=index.template,
            factory=index.factory,
            vectors=vectors,
            doc_ids=doc_ids,
            text_digests=digests(doc_ids, version=version),
            slices=slices,
            seed=5,
        )
        rows.append(row)
    return described(directory, index, rows)


def merge(directory: Path, to: Path, **changes: Any) -> Index:
    """The index of one segment that all segments of the folder are compacted into."""
    index, about = opened(directory), read_description(directory)
    given: dict[str, Any] = {
        "segments": about["segments"],
        "name": "segment-0099",
        "template": index.template,
        "factory": index.factory,
        "seed": 5,
    }
    row = compact(directory, to, **(given | changes))
    if about["quantizer"]:
        (to / about["quantizer"]).write_bytes((directory / about["quantizer"]).read_bytes())
    return described(to, index, [row])


def described(directory: Path, index: Index, rows: list[dict[str, Any]]) -> Index:
    """The folder's index after its description names those segments."""
    write_description(
        directory,
        encoder_digest=MADE_BY,
        dimension=index.dimension,
        factory=index.factory,
        search=index.settings,
        segments=rows,
        quantizer="quantizer.faiss" if index.template else None,
    )
    return opened(directory)


def opened(directory: Path, **options: Any) -> Index:
    """The index of a folder."""
    return Index.open(directory, encoder_digest=MADE_BY, **options)


def everywhere(index: Index) -> Index:
    """The index that looks at all of its lists, so that it answers exactly."""
    return dataclasses.replace(index, settings={"nprobe": 8, "ef": 10_000})


def nearest(
    live: dict[str, np.ndarray], query: np.ndarray, k: int
) -> tuple[list[float], dict[str, float]]:
    """Brute force: the k best scores, best first, and every document's own."""
    scores = {doc_id: float(vector @ query) for doc_id, vector in live.items()}
    return sorted(scores.values(), reverse=True)[:k], scores
