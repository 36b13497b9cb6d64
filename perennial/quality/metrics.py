"""Ranking metrics per query, computed on whole arrays of grades.

A judgement of grade 1 or more is relevant. A document without a judgement counts as not relevant,
so `judged@10` stands beside the metrics and says how much of the top was judged at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from perennial.errors import BadInput

METRICS = ("recall@1", "recall@10", "recall@100", "mrr@10", "ndcg@10", "map")
JUDGED = "judged@10"
TITLES = {
    "recall@1": "Recall@1",
    "recall@10": "Recall@10",
    "recall@100": "Recall@100",
    "mrr@10": "MRR@10",
    "ndcg@10": "nDCG@10",
    "map": "MAP",
    JUDGED: "Judged@10",
}
DEPTH = 100

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]
Rankings = Objects | Sequence[Sequence[str | None]]
Judgements = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Graded:
    """Rankings seen through judgements: all (q, k) in ranked order, `ideal` (q, i) best first."""

    grades: Integers  # 0 where unjudged or missing
    is_judged: npt.NDArray[np.bool_]
    is_returned: npt.NDArray[np.bool_]
    ideal: Integers

    @property
    def relevant(self) -> Integers:
        """(q,) number of relevant documents per query, at least 1."""
        return np.asarray((self.ideal > 0).sum(axis=1), dtype=np.int64)


def answerable(queries: Iterable[str], judgements: Judgements) -> list[str]:
    """The queries that have at least one relevant judgement, in order: the ones to evaluate on."""
    return [q for q in queries if any(grade > 0 for grade in judgements.get(q, {}).values())]


def grade(queries: Sequence[str], ranked: Rankings, judgements: Judgements) -> Graded:
    """q queries and their rankings (None where nothing came) to Graded; raises BadInput.

    Refused: a query without a relevant judgement, a document twice in one ranking.
    """
    table = as_table(ranked)
    if len(table) != len(queries):
        raise BadInput(f"{len(queries)} queries came with {len(table)} rankings; give one each.")
    unanswerable = len(queries) - len(answerable(queries, judgements))
    if unanswerable:
        first = next(q for q in queries if not answerable([q], judgements))
        raise BadInput(
            f"{unanswerable} of {len(queries)} queries have no relevant judgement (the first: "
            f"{first[:80]!r}); evaluate on metrics.answerable(queries, judgements) only."
        )
    counts = np.array([len(judgements[q]) for q in queries], dtype=np.int64)
    rows = np.repeat(np.arange(len(queries)), counts)
    judged_docs = list(chain.from_iterable(judgements[q] for q in queries))
    judged_grades = np.fromiter(
        chain.from_iterable(judgements[q].values() for q in queries), np.int64, len(judged_docs)
    )
    every = np.concatenate([np.array(judged_docs, dtype=object), table.ravel()])
    codes, names = pd.factorize(every)  # None becomes -1
    returned = codes[len(judged_docs) :].reshape(table.shape)
    _refuse_duplicates(queries, returned, names)

    judged_keys = rows * len(names) + codes[: len(judged_docs)]
    order = np.argsort(judged_keys)
    keys = np.arange(len(queries))[:, None] * len(names) + returned
    is_returned = returned >= 0
    if len(order):
        place = np.minimum(np.searchsorted(judged_keys[order], keys), len(order) - 1)
        is_judged = (judged_keys[order][place] == keys) & is_returned
        grades = np.where(is_judged, judged_grades[order][place], 0)
    else:
        is_judged, grades = np.zeros_like(is_returned), np.zeros(keys.shape, np.int64)
    return Graded(grades, is_judged, is_returned, _ideal(rows, judged_grades, counts))


def per_query_metrics(
    queries: Sequence[str], ranked: Rankings, judgements: Judgements
) -> dict[str, Floats]:
    """Each of METRICS and judged@10 to (q,) values in 0..1; see `grade` for what is refused.

    nDCG takes the grade itself as the gain (linear, as trec_eval does), MAP the top 100; a ranking
    shorter than k is scored as if nothing relevant followed.
    """
    graded = grade(queries, ranked, judgements)
    return {
        "recall@1": recall_at(graded, [1])[:, 0],
        "recall@10": recall_at(graded, [10])[:, 0],
        "recall@100": recall_at(graded, [100])[:, 0],
        "mrr@10": reciprocal_rank(graded, 10),
        "ndcg@10": ndcg(graded, 10),
        "map": average_precision(graded, DEPTH),
        JUDGED: judged_share(graded, 10),
    }


def recall_at(graded: Graded, ks: Sequence[int]) -> Floats:
    """(q, len(ks)) relevant documents in the top k, divided by all relevant ones."""
    found = np.cumsum(_pad(graded.grades > 0, max(ks)), axis=1)
    return np.asarray(found[:, np.array(ks) - 1] / graded.relevant[:, None], dtype=np.float64)


def reciprocal_rank(graded: Graded, k: int) -> Floats:
    """(q,) one divided by the rank of the first relevant document, 0 where none is in the top k."""
    hits = _pad(graded.grades > 0, k)[:, :k]
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def ndcg(graded: Graded, k: int) -> Floats:
    """(q,) sum of grade / log2(rank + 1) over the top k, divided by that of the best ranking."""
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    found = _pad(graded.grades, k)[:, :k] @ discount
    best = _pad(graded.ideal, k)[:, :k] @ discount
    return np.asarray(found / best, dtype=np.float64)


def average_precision(graded: Graded, k: int) -> Floats:
    """(q,) mean precision at the ranks of the relevant documents; those below k count as 0."""
    hits = _pad(graded.grades > 0, k)[:, :k]
    precision = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    return np.asarray((precision * hits).sum(axis=1) / graded.relevant, dtype=np.float64)


def judged_share(graded: Graded, k: int) -> Floats:
    """(q,) share of the returned top k that has a judgement of any grade, 0 where nothing came."""
    returned = graded.is_returned[:, :k].sum(axis=1)
    return np.asarray(graded.is_judged[:, :k].sum(axis=1) / np.maximum(returned, 1), np.float64)


def as_table(ranked: Rankings) -> Objects:
    """Rankings of any lengths to one (q, k) object array, None where nothing came."""
    if isinstance(ranked, np.ndarray) and ranked.ndim == 2:
        return ranked.astype(object)
    width = max((len(ranking) for ranking in ranked), default=0)
    table = np.full((len(ranked), width), None, dtype=object)
    for row, ranking in enumerate(ranked):
        table[row, : len(ranking)] = ranking
    return table


def _pad(table: npt.NDArray[np.generic], width: int) -> Integers:
    wide = np.zeros((len(table), max(width, table.shape[1])), dtype=np.int64)
    wide[:, : table.shape[1]] = table
    return wide


def _ideal(rows: Integers, grades: Integers, counts: Integers) -> Integers:
    order = np.lexsort((-grades, rows))
    column = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    ideal = np.zeros((len(counts), int(counts.max(initial=0))), dtype=np.int64)
    ideal[rows[order], column] = grades[order]
    return ideal


def _refuse_duplicates(queries: Sequence[str], returned: Integers, names: Objects) -> None:
    ordered = np.sort(returned, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row, column = np.argwhere(twice)[0]
        raise BadInput(
            f"{names[ordered[row, column]]!r} stands twice in the ranking for "
            f"{queries[row][:80]!r}; the index holds a document more than once: rebuild it."
        )
