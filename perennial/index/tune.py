"""The least nprobe or efSearch that finds what exact search finds, often enough."""

from collections.abc import Callable
from functools import cache

import faiss
import numpy as np

from perennial.index.exact import chunks_of, exact_search
from perennial.index.index import Index

DEPTH = 10
_BATCH = 64
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
    if not isinstance(built, (faiss.IndexIVF, faiss.IndexHNSW)):
        return {}
    k = min(DEPTH, len(vectors))
    bounds, neighbours = exact_search(probes, chunks_of(vectors), k)
    if isinstance(built, faiss.IndexIVF):
        name, most = "nprobe", built.nlist
        least = _least_lists(built.quantizer, vectors, probes, neighbours, recall_target)
    else:
        name, least, most = "ef", k, max(k, min(len(vectors), 1024))

    @cache
    def recall(value: int) -> float:
        found = index.search_rows(probes, k, settings={name: value})
        return true_recall(found.rows, vectors=vectors, probes=probes, bound=bounds[:, -1])

    found = _least(recall, least, most, recall_target)
    if found is None:
        found = _least(recall, 1, most, recall(most) - _NO_GAIN)
    assert found is not None  # the widest is within any tolerance of itself
    return {name: found}


def true_recall(
    rows: np.ndarray, *, vectors: np.ndarray, probes: np.ndarray, bound: np.ndarray
) -> float:
    """Share of (q, k) rows that are as near as the true kth neighbour, by their own vectors."""
    return float(_as_near(rows, vectors, probes, bound).mean())


def true_recalls(
    rows: np.ndarray, *, vectors: np.ndarray, probes: np.ndarray, bound: np.ndarray
) -> np.ndarray:
    """(q,) the same, query by query."""
    return np.asarray(_as_near(rows, vectors, probes, bound).mean(axis=1))


def _as_near(
    rows: np.ndarray, vectors: np.ndarray, probes: np.ndarray, bound: np.ndarray
) -> np.ndarray:
    """(q, k) bool. By score, not by id: documents with equal vectors may stand in any order."""
    near = np.einsum("qkd,qd->qk", vectors[np.maximum(rows, 0)], probes)
    return np.asarray((near >= bound[:, None] - _NEARLY) & (rows >= 0))


def _least_lists(
    coarse: faiss.Index,
    vectors: np.ndarray,
    probes: np.ndarray,
    neighbours: np.ndarray,
    target: float,
) -> int:
    """The least nprobe whose lists hold a `target` share of the probes' (p, k) true neighbours.

    No codes can find more than that, and whole vectors find just that: usually the answer at once.
    """
    lists, k = coarse.ntotal, neighbours.shape[1]
    own = coarse.search(vectors[neighbours.ravel()], 1)[1].reshape(-1, k)
    ranks = np.empty_like(own)
    for start in range(0, len(probes), _BATCH):  # a full ranking of all lists for each probe
        part = slice(start, start + _BATCH)
        order = coarse.search(probes[part], lists)[1]
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(lists)[None, :], axis=1)
        ranks[part] = np.take_along_axis(place, own[part], axis=1)
    needed = int(np.ceil(target * ranks.size)) - 1
    return int(np.sort(ranks, axis=None)[max(needed, 0)]) + 1


def _least(recall: Callable[[int], float], least: int, most: int, target: float) -> int | None:
    """Doubling, then halving the last step; recall grows with the value. None: even `most` fails.

    Never the widest first: it costs more than all the others together.
    """
    low = high = least
    while recall(high) < target:
        if high == most:
            return None
        low, high = high + 1, min(2 * high, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if recall(middle) >= target else (middle + 1, high)
    return high
