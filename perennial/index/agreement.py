"""How much of what exact search under one encoder finds another way of searching finds too."""

from collections.abc import Mapping, Sequence

import numpy as np

from perennial.errors import BadInput
from perennial.index.bridge import Bridge
from perennial.index.linear import fit_bridge

_BLOCK = 4_000_000  # scores held at a time, 16 MB of them
_TIE = 1e-6


def recall_against_exact(
    found: np.ndarray, *, queries: np.ndarray, documents: np.ndarray
) -> np.ndarray:
    """(q, k) found rows of `documents`, -1 for none, to (q,) recall@k against exact search.

    Compared by score, not by row: documents with equal vectors may stand in any order.
    """
    count, k = found.shape
    best = min(k, len(documents))
    recall = np.empty(count)
    step = max(1, _BLOCK // len(documents))
    for start in range(0, count, step):
        scores = queries[start : start + step] @ documents.T
        rows = found[start : start + step]
        bound = np.partition(scores, -best, axis=1)[:, -best, None]
        own = np.take_along_axis(scores, np.maximum(rows, 0), axis=1)
        hit = (rows >= 0) & (own >= bound - _TIE)
        recall[start : start + step] = np.minimum(hit.sum(axis=1) / best, 1.0)
    return recall


def exact_rows(queries: np.ndarray, documents: np.ndarray, k: int) -> np.ndarray:
    """(q, d) and (n, d) unit rows to the (q, min(k, n)) rows of the nearest documents, in order."""
    best = min(k, len(documents))
    rows = np.empty((len(queries), best), dtype=np.int64)
    step = max(1, _BLOCK // len(documents))
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ documents.T
        near = np.argpartition(-scores, best - 1, axis=1)[:, :best]
        order = np.argsort(-np.take_along_axis(scores, near, axis=1), axis=1, kind="stable")
        rows[start : start + step] = np.take_along_axis(near, order, axis=1)
    return rows


def fit_each(
    kinds: Sequence[str],
    *,
    new: np.ndarray,
    old: np.ndarray,
    held: np.ndarray,
    asked: np.ndarray,
    ridge: float,
    rank: int | None,
    k: int,
) -> dict[str, tuple[Bridge, float]]:
    """{kind: (bridge, recall@k)}, best first: fitted where `held` is False, told apart where True.

    `asked` (q, a) are queries of the new encoder: documents in their place would choose another
    kind, since they are longer. Whoever measures the chosen bridge needs other queries.
    """
    if int(held.sum()) <= k:
        raise BadInput(
            f"{int(held.sum())} documents are held out, too few to compare the {k} nearest; embed "
            "more documents under both encoders"
        )
    if not len(asked):
        raise BadInput("there is no query to choose a bridge by; log some searches first")
    pool, target = new[held], old[held]
    tried: dict[str, tuple[Bridge, float]] = {}
    for kind in kinds:
        bridge = fit_bridge(kind, new=new[~held], old=old[~held], ridge=ridge, rank=rank)
        found = exact_rows(bridge.apply(asked), target, k)
        recall = recall_against_exact(found, queries=asked, documents=pool)
        tried[kind] = (bridge, float(recall.mean()))
    return best_first(tried)


def best_first(
    tried: Mapping[str, tuple[Bridge, float]],
) -> dict[str, tuple[Bridge, float]]:
    """The same by falling recall; of equals the one that was named first."""
    return dict(sorted(tried.items(), key=lambda item: -item[1][1]))
