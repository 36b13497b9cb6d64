"""The least nprobe or efSearch that finds what exact search finds, often enough."""

from collections.abc import Callable

import faiss
import numpy as np

from perennial.index.exact import chunks_of, exact_search
from perennial.index.index import Index

DEPTH = 10
_NEARLY = 1e-6  # float32 sums differ in their last bits with the order of their terms
_NO_GAIN = 0.002


def tune(
    index: Index, *, vectors: np.ndarray, probes: np.ndarray, recall_target: float
) -> dict[str, int]:
    """{"nprobe": n}, {"ef": n} or {} of an index of one segment whose row i is vectors[i].

    Cost grows with either, so that the least is the fastest; no clock is asked, and the same input
    gives the same answer. Where lossy codes keep even the widest search below the target, the least
    that comes within 0.002 of the widest.
    """
    built = index.segments[0].rows.vectors
    k = min(DEPTH, len(vectors))
    if isinstance(built, faiss.IndexIVF):
        name, least, most = "nprobe", 1, built.nlist
    elif isinstance(built, faiss.IndexHNSW):
        name, least, most = "ef", k, max(k, min(len(vectors), 1024))
    else:
        return {}
    bounds, _ = exact_search(probes, chunks_of(vectors), k)

    def recall(value: int) -> float:
        found = index.search_rows(probes, k, settings={name: value})
        return true_recall(found.rows, vectors=vectors, probes=probes, bound=bounds[:, -1])

    target = min(recall_target, recall(most) - (_NO_GAIN if recall(most) < recall_target else 0))
    return {name: _least(recall, least, most, target)}


def true_recall(
    rows: np.ndarray, *, vectors: np.ndarray, probes: np.ndarray, bound: np.ndarray
) -> float:
    """Share of (q, k) rows that are as near as the true kth neighbour, by their own vectors.

    Compared by score, not by id: documents with equal vectors may stand in any order.
    """
    near = np.einsum("qkd,qd->qk", vectors[np.maximum(rows, 0)], probes)
    return float(((near >= bound[:, None] - _NEARLY) & (rows >= 0)).mean())


def _least(recall: Callable[[int], float], least: int, most: int, target: float) -> int:
    """Doubling, then halving the last step; recall grows with the value."""
    low, high = least, least
    while high < most and recall(high) < target:
        low, high = high + 1, min(2 * high, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if recall(middle) >= target else (middle + 1, high)
    return high
