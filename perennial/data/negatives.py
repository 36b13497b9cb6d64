"""The miner: unit vectors and pairs to hard negatives, in arrays, some queries at a time.

    mine_negatives(asked=(q, d), documents=(n, d), positives=Pairs, never=Pairs, passed=Pairs,
                   search=lambda queries, k: (scores, rows), count=8, look_at=60) -> Negatives

`search` finds the k nearest documents: `perennial.index.exact.exact_search` over chunks of the
documents, `perennial.index.narrow.narrow_search`, or a search in the champion's index.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perennial.data.chosen import bounds_of, choose, ragged, reranked
from perennial.data.draws import draw_others, sample

ORIGINS = ("log", "ann", "random")
_CHUNK, _SEARCHED = 1024, 16_384  # queries at a time
_PAIRS = 2048
_SAMPLE = 32
_MANY_SHORT = 0.25
Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pairs:
    """Row numbers of queries and documents that belong together; (n,) each."""

    query: np.ndarray
    document: np.ndarray

    def by_query(self) -> "Pairs":
        """The same, sorted by query; those of one query stay in their order."""
        order = np.argsort(self.query, kind="stable")
        return Pairs(self.query[order], self.document[order])

    def keys(self, documents: int) -> np.ndarray:
        """One sorted int64 per distinct pair."""
        return np.unique(self.query.astype(np.int64) * documents + self.document)

    def of(self, numbers: np.ndarray) -> "Pairs":
        """Of pairs sorted by query those of some, also sorted, each named by its place there."""
        low, high = np.searchsorted(self.query, [numbers[0], numbers[-1] + 1])
        query, document = self.query[low:high], self.document[low:high]
        place = np.searchsorted(numbers, query)
        inside = numbers[place] == query
        return Pairs(place[inside], document[inside])


@dataclass(frozen=True)
class Negatives:
    """(q, m) rows padded with -1, their scores, and places in ORIGINS or -1.

    `bounds` is (q,): what a negative of the log or of a search had to score below. The score of a
    random one, which is by the vectors, is NaN where something else judged.
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
    """Per query up to `count` negatives: the nearest of the log, of all, then random ones.

    A negative is no positive, none of the pairs in `never`, and scores below `max_positive_share`
    of the *lowest* positive and `absolute_margin` below it (Moreira et al. 2024, "NV-Retriever",
    4.1). Of the search's ranks the first `skip` are passed by and `look_at` is the last. `score`
    judges (query, document) row numbers in place of the vectors, and so re-ranks; random ones are
    too many for it. These are none of those that were looked at, below the bound by the vectors or
    in the farther half of all, and a function of (seed, query).
    """
    queries, total = len(asked), len(documents)
    by_vectors = dot_scores(asked, documents)
    judge = score if score is not None else by_vectors
    margins = {"share": max_positive_share, "margin": absolute_margin}
    q, d = positives.query, positives.document
    bounds = bounds_of(judge, q, d, queries=queries, **margins)
    far = bounds if score is None else bounds_of(by_vectors, q, d, queries=queries, **margins)
    taken, passed = _joined(never, positives).by_query(), passed.by_query()
    mined = Negatives(
        rows=np.full((queries, count), -1, dtype=np.int64),
        scores=np.full((queries, count), np.nan, dtype=np.float32),
        origins=np.full((queries, count), -1, dtype=np.int8),
        bounds=bounds,
    )

    def fill(missing: np.ndarray, taboo: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Random rows for some queries, far from each."""
        limits, short = far[own], np.flatnonzero(missing)
        # Where the bound is below what most documents score, the farther half is far enough.
        some = sample(own[short], _SAMPLE, documents=total, seed=seed)
        scores = by_vectors(np.repeat(own[short], _SAMPLE), some.ravel()).reshape(some.shape)
        limits[short] = np.maximum(limits[short], np.median(scores, axis=1))
        return draw_others(
            missing,
            taboo,
            documents=total,
            seed=seed,
            numbers=own,
            is_far=lambda place, row: np.asarray(by_vectors(own[place], row) < limits[place]),
        )

    def look(numbers: np.ndarray, depth: int, *, is_last: bool) -> np.ndarray:
        """Note what fits among so many nearest of some queries; which of them are short then."""
        found, near = search(_some(asked, numbers), depth)
        for at in range(0, len(numbers), _CHUNK):
            part = slice(at, at + _CHUNK)
            own, log = numbers[part], passed.of(numbers[part])
            logged = judge(own[log.query], log.document)
            forbidden = taken.of(own).keys(total)
            rows, scores, origins, looked_at = choose(
                *(reranked(near[part], judge, own) if score else (near[part], found[part])),
                *ragged(log.query, log.document, logged, queries=len(own)),
                forbidden=forbidden,
                bounds=bounds[own],
                documents=total,
                count=count,
                skip=skip,
                max_log=max_log,
            )
            if is_last and max_random != 0:
                missing = (rows < 0).sum(axis=1)
                wanted = missing if max_random is None else np.minimum(missing, max_random)
                drawn = fill(wanted, np.union1d(forbidden, looked_at), own)
                place, column = np.nonzero(drawn >= 0)
                to = (place, (count - missing)[place] + column)
                rows[to], origins[to] = drawn[place, column], 2
                if score is None:
                    scores[to] = by_vectors(own[place], rows[to])
            mined.rows[own], mined.scores[own], mined.origins[own] = rows, scores, origins
        return np.asarray(numbers[mined.rows[numbers, -1] < 0])

    deepest = min(look_at, total)
    # Most queries need no more than this; who does is searched for again.
    depth = deepest if score is not None else min(deepest, skip + 2 * count + 8)
    start, width = 0, _CHUNK
    while start < queries:
        numbers = np.arange(start, min(start + width, queries))
        short = look(numbers, depth, is_last=depth == deepest)
        if depth < deepest:
            if len(short):
                look(short, deepest, is_last=True)
            depth = deepest if len(short) > _MANY_SHORT * len(numbers) else depth
        start, width = start + width, _SEARCHED
    return mined


def dot_scores(asked: np.ndarray, documents: np.ndarray) -> Score:
    """Row numbers of queries and documents to their float32 inner products, in chunks."""

    def score(query: np.ndarray, document: np.ndarray) -> np.ndarray:
        out = np.empty(len(query), dtype=np.float32)
        for start in range(0, len(query), _PAIRS):
            part = slice(start, start + _PAIRS)
            out[part] = np.einsum("ij,ij->i", asked[query[part]], documents[document[part]])
        return out

    return score


def _joined(one: Pairs, other: Pairs) -> Pairs:
    both = [one.query, other.query], [one.document, other.document]
    return Pairs(np.concatenate(both[0]), np.concatenate(both[1]))


def _some(asked: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The rows of some queries, without a copy where they follow one another."""
    first, end = int(numbers[0]), int(numbers[-1]) + 1
    return asked[first:end] if end - first == len(numbers) else asked[numbers]
