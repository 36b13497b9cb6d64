"""Exact neighbours while documents come and go, without searching everything each time."""

from collections.abc import Iterable, Iterator

import numpy as np


def nearest_in_each_state(
    queries: np.ndarray,
    initial: np.ndarray,
    changes: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    *,
    k: int,
    keep: int = 400,
) -> Iterator[np.ndarray]:
    """(q, d) queries, (n, d) documents 0..n-1, then (written, their vectors, deleted) per change,
    to (q, k) nearest live documents before the first change and after each.

    Only the nearest `keep` go on to the next state. What was left out is no nearer than `bound`,
    the worst that was ever kept: while the kth live one is nearer, nothing can be missing.
    """
    keep = min(keep, len(initial))
    every = np.broadcast_to(np.arange(len(initial)), (len(queries), len(initial)))
    scores, numbers = _best(queries @ initial.T, every, keep)
    bound = scores[:, -1]
    yield numbers[:, :k]
    for written, vectors, deleted in changes:
        gone = np.isin(numbers, np.concatenate([written, deleted]))
        new = np.broadcast_to(written, (len(queries), len(written)))
        scores, numbers = _best(
            np.concatenate([np.where(gone, -np.inf, scores), queries @ vectors.T], axis=1),
            np.concatenate([numbers, new], axis=1),
            keep,
        )
        bound = np.maximum(bound, scores[:, -1])
        assert (scores[:, k - 1] >= bound).all(), "keep more of them"
        yield numbers[:, :k]


def _best(scores: np.ndarray, numbers: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest of each row, best first."""
    rows = np.argpartition(scores, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(scores, rows, axis=1), axis=1)
    rows = np.take_along_axis(rows, order, axis=1)
    return np.take_along_axis(scores, rows, axis=1), np.take_along_axis(numbers, rows, axis=1)
