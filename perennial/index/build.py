"""A first index of a whole catalogue: one segment, its description, and its health."""

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from perennial.errors import BadInput
from perennial.index.index import Index, write_description
from perennial.index.segment import build_vectors, write_segment

_SEGMENT = "segment-0000"


def build_index(
    directory: Path,
    *,
    vectors: np.ndarray,
    doc_ids: Sequence[str],
    text_digests: Sequence[str],
    encoder_digest: str,
    factory: str,
    nprobe: int,
    seed: int,
) -> Index:
    """(n, d) unit rows and their ids to an index folder; same input, same bytes."""
    if not np.isfinite(vectors).all():
        bad = doc_ids[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
        raise BadInput(
            f"the vector of document {bad} holds NaN or Inf; the encoder is broken: train again "
            "with a smaller learning rate"
        )
    built = build_vectors(vectors, factory=factory, nprobe=nprobe, seed=seed)
    is_inverted = isinstance(built, faiss.IndexIVF)
    write_segment(
        directory, name=_SEGMENT, vectors=built, doc_ids=doc_ids, text_digests=text_digests
    )
    write_description(
        directory,
        encoder_digest=encoder_digest,
        dimension=vectors.shape[1],
        factory=factory if is_inverted else "Flat",
        nprobe=nprobe if is_inverted else None,
        segments=[
            {
                "vectors": f"{_SEGMENT}.faiss",
                "ids": f"{_SEGMENT}.parquet",
                "tombstones": None,
                "rows": len(doc_ids),
                "live": len(doc_ids),
            }
        ],
    )
    return Index.open(directory, encoder_digest=encoder_digest)


def index_health(
    index: Index,
    *,
    vectors: np.ndarray,
    doc_ids: Sequence[str],
    probes: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Shares in 0..1 of what an index should do: find what exact search finds, hold every document,
    find each document by its own vector; and how uneven its lists are (1 is even).

    `vectors` and `doc_ids` are the catalogue it should hold, `probes` (p, d) unit queries.
    """
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(np.ascontiguousarray(vectors))
    k = min(10, len(doc_ids))
    bounds, _ = exact.search(np.ascontiguousarray(probes), k)
    scores, _ = index.search(probes, k)
    # Compared by score, not by id: documents with equal vectors may stand in any order.
    recall = float((scores >= bounds[:, -1:] - 1e-6).mean())
    held = index.doc_ids()
    sample = np.random.default_rng(seed).choice(len(doc_ids), min(500, len(doc_ids)), replace=False)
    wanted_ids = np.array(doc_ids, dtype=object)[sample]
    near, near_ids = index.search(vectors[sample], k)
    as_near = near >= (vectors[sample] ** 2).sum(axis=1)[:, None] - 1e-4
    # Where every answer is as near as itself, its own id may stand behind its equals.
    itself = (as_near & (near_ids == wanted_ids[:, None])).any(axis=1) | as_near.all(axis=1)
    rows = sum(len(segment.doc_ids) for segment in index.segments)
    unique = set(held)
    wanted = set(doc_ids)
    return {
        "ann_recall@10": recall,
        # Every live document once and no other: anything missing, doubled or foreign lowers it.
        "coverage": len(unique & wanted) / max(len(held), len(wanted)),
        "self_retrieval": float(itself.mean()),
        "dead_share": 1 - index.live / rows,
        "imbalance": _imbalance(index),
    }


def _imbalance(index: Index) -> float:
    """Sum of squared list sizes over that of even lists; 1 for exact search."""
    worst = 1.0
    for segment in index.segments:
        if isinstance(segment.vectors, faiss.IndexIVF):
            sizes = _list_sizes(segment.vectors)
            worst = max(worst, len(sizes) * float((sizes**2).sum()) / float(sizes.sum()) ** 2)
    return worst


def _list_sizes(inverted: faiss.IndexIVF) -> np.ndarray:
    """(lists,) float64: how many rows each inverted list holds."""
    return np.array([inverted.get_list_size(i) for i in range(inverted.nlist)], dtype=np.float64)
