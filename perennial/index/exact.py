"""Exact search, in chunks so that memory stays bounded: the oracle of recall."""

from collections.abc import Iterable, Iterator, Sequence

import faiss
import numpy as np

from perennial.index.gpu import device_for, nearest
from perennial.index.lists import list_of, list_sizes
from perennial.index.segment import Segment

CHUNK_ROWS = 50_000


def exact_search(
    queries: np.ndarray, chunks: Iterable[tuple[np.ndarray, np.ndarray]], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """(q, d) queries and chunks of ((n,) row numbers, (n, d) vectors) to the (q, k) best."""
    best = nothing_found(len(queries), k)
    if not len(queries):
        return best
    for numbers, vectors in chunks:
        if not len(numbers):
            continue
        most, cost = min(k, len(numbers)), float(queries.size) * len(numbers)
        if (device := device_for(cost)) is not None:
            near, at = nearest(queries, vectors, most, device=device)
        else:
            near, at = faiss.knn(queries, vectors, most, faiss.METRIC_INNER_PRODUCT)
        best = better_of(best, (near, numbers[at]), k)
    return best


def nothing_found(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(scores, rows), both (q, k), of a search that looked at nothing: -inf and -1."""
    scores = np.full((queries, k), -np.inf, dtype=np.float32)
    return scores, np.full((queries, k), -1, dtype=np.int64)


def better_of(
    best: tuple[np.ndarray, np.ndarray], later: tuple[np.ndarray, np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The (q, k) best of what was found and of what was found in later rows; ties to the former."""
    every = np.concatenate([best[0], later[0]], axis=1)
    every_row = np.concatenate([best[1], later[1]], axis=1)
    order = np.argsort(-every, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(every, order, axis=1), np.take_along_axis(every_row, order, axis=1)


def chunks_of(vectors: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(n, d) vectors in chunks with their row numbers."""
    for start in range(0, len(vectors), CHUNK_ROWS):
        part = vectors[start : start + CHUNK_ROWS]
        yield np.arange(start, start + len(part)), part


def stored_vectors(segment: Segment) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The living rows of a segment and their vectors, as stored or decoded, in chunks."""
    index = segment.rows.vectors
    if not isinstance(index, faiss.IndexIVF):
        for numbers, part in chunks_of(flat_vectors(index)):
            alive = ~segment.dead[numbers]
            yield (numbers, part) if alive.all() else (numbers[alive], part[alive])
        return
    ends = np.cumsum(list_sizes(index))
    start = 0
    while start < index.nlist:  # as many lists as make a chunk, one at least
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + CHUNK_ROWS, side="right")), start + 1)
        yield _decoded(index, range(start, stop), segment.dead)
        start = stop


def flat_vectors(index: faiss.Index) -> np.ndarray:
    """(n, d) view of the vectors of a Flat or HNSW index; lives as long as the index."""
    if isinstance(index, faiss.IndexHNSW):
        index = index.storage
    stored = faiss.downcast_index(index)
    if not index.ntotal:
        return np.empty((0, index.d), dtype=np.float32)
    return np.asarray(
        faiss.rev_swig_ptr(stored.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)
    )


def _decoded(
    index: faiss.IndexIVF, numbers: Sequence[int], dead: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    lists = [list_of(index, number) for number in numbers]
    rows = np.concatenate([rows for rows, _ in lists])
    codes = np.concatenate([codes for _, codes in lists])
    owner = np.repeat(np.array(numbers, dtype=np.int64), [len(rows) for rows, _ in lists])
    alive = ~dead[rows]
    if not alive.all():
        rows, codes, owner = rows[alive], codes[alive], owner[alive]
    if isinstance(index, faiss.IndexIVFFlat):
        return rows, codes.view(np.float32)
    vectors = np.empty((len(rows), index.d), dtype=np.float32)
    if len(rows):
        pointers = faiss.swig_ptr(codes), faiss.swig_ptr(owner), faiss.swig_ptr(vectors)
        index.decode_vectors(len(rows), *pointers)
    return rows, vectors
