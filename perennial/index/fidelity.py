"""What lossy codes lost: what an index keeps of documents, beside the vectors that they have."""

from collections.abc import Collection, Sequence

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.index.exact import stored_vectors
from perennial.index.index import Index

_SPREADS = 3  # by which a mean of few documents may differ by chance


def is_lossy(index: Index) -> bool:
    """True where the index keeps codes and no whole vectors."""
    return any(
        isinstance(s.rows.vectors, faiss.IndexIVF)
        and not isinstance(s.rows.vectors, faiss.IndexIVFFlat)
        for s in index.segments
    )


def codes_similarity(
    index: Index,
    *,
    doc_ids: Sequence[str],
    vectors: np.ndarray,
    segments: Collection[int] | None = None,
) -> dict[str, float]:
    """Mean `codes_similarity` and standard deviation `codes_spread` of documents' stored rows to
    their (n, d) unit vectors, looked for in all or some segments; empty where none is found.

    One minus half the squared distance: the cosine, less what the codes lost of the length. A code
    is clipped where a vector lies outside of the range that the quantizer was trained on.
    """
    if not is_lossy(index):
        return {"codes_similarity": 1.0, "codes_spread": 0.0}
    names, found = pa.array(doc_ids, pa.string()), [np.empty(0)]
    for number, segment in enumerate(index.segments):
        if segments is not None and number not in segments:
            continue
        for rows, stored in stored_vectors(segment):
            own = segment.rows.doc_ids.take(pa.array(rows))
            at = pc.index_in(own, value_set=names).fill_null(-1).to_numpy(zero_copy_only=False)
            gap = stored[at >= 0] - vectors[at[at >= 0]]
            found.append(1 - 0.5 * np.einsum("nd,nd->n", gap, gap))
    every = np.concatenate(found)
    if not len(every):
        return {}
    return {"codes_similarity": float(every.mean()), "codes_spread": float(every.std())}


def least_similarity(*, trained: float, spread: float, max_loss: float, documents: int) -> float:
    """The mean similarity of so many documents below which more than `max_loss` was surely lost
    since the quantizer was trained."""
    return trained - max_loss - _SPREADS * spread / float(np.sqrt(max(documents, 1)))
