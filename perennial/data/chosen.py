"""Which of the documents that were looked at become a query's negatives, and by what bound."""

from collections.abc import Callable

import numpy as np

from perennial.data.draws import within


def choose(
    near: np.ndarray,
    found: np.ndarray,
    logged: np.ndarray,
    logged_scores: np.ndarray,
    *,
    forbidden: np.ndarray,
    bounds: np.ndarray,
    documents: int,
    count: int,
    skip: int,
    max_log: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the search (b, k) and of the log (b, l), -1 for none, with scores, to negatives.

    Those of the log come first, then the nearest, but for the first `skip`; each scores below its
    query's of the (b,) `bounds` and is none of `forbidden`, sorted keys (place * documents + row).
    (b, count) rows, scores, and origins as places in ORIGINS, -1 for none; and the keys of all.
    """
    every, scores = np.hstack([logged, near]), np.hstack([logged_scores, found])
    width = logged.shape[1]
    keys = np.where(every < 0, -1, np.arange(len(every))[:, None] * documents + every)
    fits = (every >= 0) & (scores < bounds[:, None]) & ~within(keys, forbidden)
    fits[:, width : width + skip] = False
    fits[:, :width] &= np.cumsum(fits[:, :width], axis=1) <= min(max_log, count)
    fits[:, width:] &= ~within(keys[:, width:], np.unique(keys[:, :width][fits[:, :width]]))
    place = np.cumsum(fits, axis=1) - 1
    at, column = np.nonzero(fits & (place < count))
    to = (at, place[at, column])
    rows = np.full((len(every), count), -1, dtype=np.int64)
    chosen = np.full(rows.shape, np.nan, dtype=np.float32)
    origins = np.full(rows.shape, -1, dtype=np.int8)
    rows[to], chosen[to] = every[at, column], scores[at, column]
    origins[to] = np.where(column < width, 0, 1)
    return rows, chosen, origins, keys[keys >= 0]


def ragged(
    query: np.ndarray, document: np.ndarray, scores: np.ndarray, *, queries: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs, sorted by query, to (queries, widest) rows padded with -1, the nearest first, and
    scores; a pair once."""
    _, first = np.unique(np.stack([query, document]), axis=1, return_index=True)
    first.sort()  # of equally near ones, the first that was named
    order = first[np.lexsort((-scores[first], query[first]))]
    query = query[order]
    counts = np.bincount(query, minlength=queries)
    column = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.full((queries, int(counts.max(initial=0))), -1, dtype=np.int64)
    out = np.full(rows.shape, np.inf, dtype=np.float32)
    rows[query, column], out[query, column] = document[order], scores[order]
    return rows, out


def reranked(
    near: np.ndarray,
    judge: Callable[[np.ndarray, np.ndarray], np.ndarray],
    numbers: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(b, k) rows found for queries, in the order of another judge's scores; and these."""
    scores = np.full(near.shape, -np.inf, dtype=np.float32)
    at, column = np.nonzero(near >= 0)
    scores[at, column] = judge(numbers[at], near[at, column])
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(scores, order, axis=1)


def bounds_of(
    judge: Callable[[np.ndarray, np.ndarray], np.ndarray],
    query: np.ndarray,
    positive: np.ndarray,
    *,
    queries: int,
    share: float,
    margin: float,
) -> np.ndarray:
    """(queries,): what a negative has to score below by the judge; infinite without a positive.

    It is a share of the lowest positive, and a margin below it.
    """
    lowest = np.full(queries, np.inf, dtype=np.float32)
    np.minimum.at(lowest, query, judge(query, positive))
    # A share of a negative similarity means nothing: what lies beyond a right angle is safe.
    bounds = share * np.maximum(lowest, 0.0)
    bounds = np.minimum(bounds, lowest - margin if margin else np.inf)
    return np.asarray(bounds.astype(np.float32))
