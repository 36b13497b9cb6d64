"""The miner: unit vectors and pairs to hard negatives, in arrays, one chunk of queries at a time.

    mine_negatives(asked=(q, d), documents=(n, d), positives=Pairs, never=Pairs, passed=Pairs,
                   search=lambda queries, k: (scores, rows), count=8, look_at=60) -> Negatives

`search` finds the k nearest documents: `perennial.index.exact.exact_search` over chunks of the
documents, `perennial.index.narrow.narrow_search`, or a search in the champion's index.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perennial.data.draws import draw_others, within

ORIGINS = ("log", "ann", "random")
_CHUNK = 1024  # queries at a time
Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pairs:
    """Row numbers of queries and documents that belong together; (n,) each."""

    query: np.ndarray
    document: np.ndarray

    def of(self, start: int, end: int) -> "Pairs":
        """Those of some queries, renumbered from 0."""
        inside = (self.query >= start) & (self.query < end)
        return Pairs(self.query[inside] - start, self.document[inside])

    def keys(self, documents: int) -> np.ndarray:
        """One sorted int64 per distinct pair."""
        return np.unique(self.query.astype(np.int64) * documents + self.document)


@dataclass(frozen=True)
class Negatives:
    """(q, m) rows padded with -1, their scores (NaN if random), and places in ORIGINS or -1.

    `bounds` is (q,): what a negative of the log or of a search had to score below.
    """

    rows: np.ndarray
    scores: np.ndarray
    origins: np.ndarray
    bounds: np.ndarray


def mine_negatives(
    *,
    asked: np.ndarray,
    documents: np.ndarray,
    positives: Pairs,
    never: Pairs,
    passed: Pairs,
    search: Search,
    count: int,
    look_at: int,
    skip: int = 0,
    max_log: int = 0,
    max_random: int | None = None,
    max_positive_share: float = 0.95,
    absolute_margin: float = 0.0,
    seed: int = 0,
    score: Score | None = None,
) -> Negatives:
    """Per query up to `count` negatives: the log's, then the nearest, then random ones.

    A negative is no positive, none of the pairs in `never`, and scores below `max_positive_share`
    of the *lowest* positive and `absolute_margin` below it (Moreira et al. 2024, "NV-Retriever",
    4.1). Of the search's ranks the first `skip` are passed by and `look_at` is the last. `score`
    judges (query, document) row numbers in place of the vectors, and so re-ranks. Random ones are
    none of those that were looked at, and a function of (seed, query) alone.
    """
    queries, total = len(asked), len(documents)
    judge = score if score is not None else dot_scores(asked, documents)
    lowest = np.full(queries, np.inf, dtype=np.float32)
    np.minimum.at(lowest, positives.query, judge(positives.query, positives.document))
    # A share of a negative similarity means nothing: what lies beyond a right angle is safe.
    bounds = max_positive_share * np.maximum(lowest, 0.0)
    bounds = np.minimum(bounds, lowest - absolute_margin if absolute_margin else np.inf)
    bounds = bounds.astype(np.float32)
    rows = np.full((queries, count), -1, dtype=np.int64)
    scores = np.full((queries, count), np.nan, dtype=np.float32)
    origins = np.full((queries, count), -1, dtype=np.int8)
    for start in range(0, queries, _CHUNK):
        end = min(queries, start + _CHUNK)
        log = passed.of(start, end)
        forbidden = _joined(never.of(start, end), positives.of(start, end)).keys(total)
        found, near = search(asked[start:end], min(look_at, total))
        if score is not None:
            found, near = _judged(near, judge, first=start)
        logged, logged_scores = _ragged(log, judge(log.query + start, log.document), end - start)
        every = np.concatenate([logged, near], axis=1)
        every_score = np.concatenate([logged_scores, found], axis=1)
        width = logged.shape[1]
        keys = np.where(every < 0, -1, np.arange(end - start)[:, None] * total + every)
        fits = (every >= 0) & (every_score < bounds[start:end, None]) & ~within(keys, forbidden)
        fits[:, width : width + skip] = False
        fits[:, :width] &= np.cumsum(fits[:, :width], axis=1) <= min(max_log, count)
        fits[:, width:] &= ~within(keys[:, width:], np.unique(keys[:, :width][fits[:, :width]]))
        place = np.cumsum(fits, axis=1) - 1
        at, column = np.nonzero(fits & (place < count))
        to = (at + start, place[at, column])
        rows[to], scores[to] = every[at, column], every_score[at, column]
        origins[to] = np.where(column < width, 0, 1)
        taboo = np.union1d(forbidden, keys[keys >= 0])
        missing = count - (origins[start:end] >= 0).sum(axis=1)
        if max_random is not None:
            missing = np.minimum(missing, max_random)
        drawn = draw_others(missing, taboo, documents=total, seed=seed, first=start)
        at, column = np.nonzero(drawn >= 0)
        to = (at + start, (origins[start:end] >= 0).sum(axis=1)[at] + column)
        rows[to], origins[to] = drawn[at, column], 2
    return Negatives(rows, scores, origins, bounds)


def _joined(first: Pairs, second: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([first.query, second.query]),
        np.concatenate([first.document, second.document]),
    )


def dot_scores(asked: np.ndarray, documents: np.ndarray) -> Score:
    """Row numbers of queries and documents to their float32 inner products, in chunks."""

    def score(query: np.ndarray, document: np.ndarray) -> np.ndarray:
        out = np.empty(len(query), dtype=np.float32)
        for start in range(0, len(query), 65_536):
            part = slice(start, start + 65_536)
            out[part] = np.einsum("ij,ij->i", asked[query[part]], documents[document[part]])
        return out

    return score


def _judged(near: np.ndarray, judge: Score, *, first: int) -> tuple[np.ndarray, np.ndarray]:
    """(b, k) rows, in the order of another judge's scores, best first."""
    scores = np.full(near.shape, -np.inf, dtype=np.float32)
    at, column = np.nonzero(near >= 0)
    scores[at, column] = judge(at + first, near[at, column])
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(near, order, axis=1)


def _ragged(pairs: Pairs, scores: np.ndarray, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """(queries, widest) rows padded with -1 and scores, in the pairs' order; a pair counts once."""
    both = np.stack([pairs.query, pairs.document])
    _, first = np.unique(both, axis=1, return_index=True)
    first.sort()
    query = pairs.query[first]
    order = np.argsort(query, kind="stable")
    query, kept = query[order], first[order]
    counts = np.bincount(query, minlength=queries)
    column = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.full((queries, int(counts.max(initial=0))), -1, dtype=np.int64)
    out = np.full(rows.shape, np.inf, dtype=np.float32)
    rows[query, column], out[query, column] = pairs.document[kept], scores[kept]
    return rows, out
