"""An index's health: shares of what it should do, measured against exact search."""

from collections.abc import Sequence

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.index.exact import chunks_of, exact_search, stored_vectors
from perennial.index.fidelity import codes_similarity, is_lossy
from perennial.index.index import Index
from perennial.index.lists import list_sizes
from perennial.index.tune import DEPTH, true_recall

_SAMPLE = 500


def index_health(
    index: Index,
    *,
    doc_ids: Sequence[str],
    probes: np.ndarray,
    seed: int,
    vectors: np.ndarray | None = None,
) -> dict[str, float]:
    """Shares in 0..1 of what an index should do: find what exact search finds, hold every document,
    find each document by its own vector; and how uneven its lists are (1 is even).

    `doc_ids` are the catalogue it should hold, `probes` (p, d) unit queries. Recall is measured
    against `vectors` (n, d), the catalogue's own, else against those that the index stores: then
    `recall_on_codes` is 1 where these are lossy, and recall says nothing of what the codes lost;
    `codes_similarity` does, and is left out where nothing can tell it.
    """
    held = index.doc_ids()
    unique, wanted = set(held), set(doc_ids)
    rows = sum(len(segment.rows) for segment in index.segments)
    k = max(1, min(DEPTH, index.live))
    if vectors is not None:
        recall = _recall_on_vectors(index, vectors, doc_ids, probes, k)
    else:
        recall = _recall_on_stored(index, probes, k)
    fidelity = {}
    if vectors is not None or not is_lossy(index):
        own = np.empty((0, index.dimension)) if vectors is None else vectors
        fidelity = codes_similarity(index, doc_ids=doc_ids, vectors=own)
    return fidelity | {
        "ann_recall@10": recall,
        "recall_on_codes": float(vectors is None and is_lossy(index)),
        # Every live document once and no other: anything missing, doubled or foreign lowers it.
        "coverage": len(unique & wanted) / max(len(held), len(wanted), 1),
        "self_retrieval": _self_retrieval(index, k, vectors=vectors, doc_ids=doc_ids, seed=seed),
        "dead_share": 1 - index.live / rows if rows else 0.0,
        "imbalance": imbalance(index),
        "segments": float(len(index.segments)),
    }


def imbalance(index: Index) -> float:
    """Sum of squared list sizes over that of even lists, of all segments together; 1 for none."""
    sizes = [
        list_sizes(s.rows.vectors)
        for s in index.segments
        if isinstance(s.rows.vectors, faiss.IndexIVF)
    ]
    total = np.array(sizes, dtype=np.float64).sum(axis=0) if sizes else np.zeros(0)
    return float(len(total) * (total**2).sum() / total.sum() ** 2) if total.any() else 1.0


def needs_new_quantizer(
    health: dict[str, float],
    *,
    max_imbalance: float,
    min_recall: float,
    min_codes_similarity: float = 0.0,
) -> tuple[str, ...]:
    """Why the lists no longer fit the documents, in sentences; none while they do.

    Each bound is reached when documents come that the quantizer was not trained on.
    """
    reasons = []
    if (uneven := health["imbalance"]) > max_imbalance:
        reasons.append(f"the lists are uneven by {uneven:.2f}, above {max_imbalance:g}")
    if (recall := health["ann_recall@10"]) < min_recall:
        reasons.append(f"recall against exact search is {recall:.4f}, below {min_recall:g}")
    if (near := health.get("codes_similarity", 1.0)) < min_codes_similarity:
        reasons.append(
            f"the codes of new documents are {near:.4f} similar to their vectors, below "
            f"{min_codes_similarity:.4f}"
        )
    return tuple(reasons)


def _recall_on_vectors(
    index: Index, vectors: np.ndarray, doc_ids: Sequence[str], probes: np.ndarray, k: int
) -> float:
    k = min(k, len(vectors))
    bounds, _ = exact_search(probes, chunks_of(vectors), k)
    _, names = index.search(probes, k)
    found = pc.index_in(pa.array(names.ravel(), pa.string()), pa.array(doc_ids, pa.string()))
    rows = found.fill_null(-1).to_numpy(zero_copy_only=False).reshape(names.shape)
    return true_recall(rows, vectors=vectors, probes=probes, bound=bounds[:, -1])


def _recall_on_stored(index: Index, probes: np.ndarray, k: int) -> float:
    chunks = (chunk for segment in index.segments for chunk in stored_vectors(segment))
    bounds, _ = exact_search(probes, chunks, k)
    scores, _ = index.search(probes, k)
    return float((scores >= bounds[:, -1:] - 1e-5).mean())


def _self_retrieval(
    index: Index, k: int, *, vectors: np.ndarray | None, doc_ids: Sequence[str], seed: int
) -> float:
    """Share of sampled documents that their own vector finds among the nearest k."""
    generator = np.random.default_rng(seed)
    if vectors is not None:
        rows = generator.choice(len(doc_ids), min(_SAMPLE, len(doc_ids)), replace=False)
        sample, names = vectors[rows], np.array(doc_ids, dtype=object)[rows]
    else:
        sample, names = _stored_sample(index, generator)
    if not len(sample):
        return 1.0
    near, near_ids = index.search(sample, k)
    bound = 1e-2 if is_lossy(index) else 1e-4
    as_near = near >= (sample**2).sum(axis=1)[:, None] - bound
    # Where every answer is as near as itself, its own id may stand behind its equals.
    own = near_ids == names[:, None]
    itself = ((as_near | is_lossy(index)) & own).any(axis=1) | as_near.all(axis=1)
    return float(itself.mean())


def _stored_sample(index: Index, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """((m, d) stored vectors, (m,) doc_ids) of some living rows of every segment."""
    vectors: list[np.ndarray] = [np.empty((0, index.dimension), dtype=np.float32)]
    names: list[str] = []
    for segment in index.segments:
        share = _SAMPLE * segment.live / max(index.live, 1)
        for rows, part in stored_vectors(segment):
            count = min(len(rows), int(np.ceil(share * len(rows) / max(segment.live, 1))))
            chosen = np.sort(generator.choice(len(rows), count, replace=False))
            vectors.append(part[chosen])
            names += segment.rows.doc_ids.take(pa.array(rows[chosen])).to_pylist()
    return np.concatenate(vectors), np.array(names, dtype=object)
