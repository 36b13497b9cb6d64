"""The references of a release without the vectors of forgotten documents."""

import io
import shutil
from pathlib import Path

import numpy as np

from perennial.index.factory import parse
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store

# How near a decoded vector is to the one that was encoded. A sample that loses a neighbour too many
# still says how the space looks; one that keeps a forgotten vector says too much.
_NEAR = {"Flat": 0.99999, "SQ8": 0.99, "PQ": 0.8}


def references_without(
    store: Store, manifest: Manifest, vectors: np.ndarray, to: Path
) -> tuple[Path | None, int]:
    """Write the references folder without rows near the (h, d) vectors: (folder, rows left out).

    None, and nothing written, where no row goes.
    """
    part = manifest.references
    if part is None or not len(vectors):
        return None, 0
    kept = np.load(io.BytesIO(store.read(part.vectors.digest)), allow_pickle=False)
    is_near = near_to(kept, vectors, factory=manifest.index.factory)
    if not is_near.any():
        return None, 0
    to.mkdir(parents=True)
    np.save(to / part.vectors.path, kept[~is_near], allow_pickle=False)
    store.fetch(part.queries.digest, to / "fetched")
    shutil.move(to / "fetched", to / part.queries.path)
    return to, int(is_near.sum())


def near_to(kept: np.ndarray, vectors: np.ndarray, *, factory: str) -> np.ndarray:
    """(r,) bool: which (r, d) references are one of the (h, d) vectors, as far as codes tell."""
    if not len(vectors):
        return np.zeros(len(kept), dtype=bool)
    near = _NEAR[parse(factory, dimension=vectors.shape[1]).codes]
    return np.asarray((_unit(kept) @ _unit(vectors).T >= near).any(axis=1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)
