"""Judgements and neighbours to triplets: hard negatives that are really negatives."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

NEGATIVE = pa.struct([("doc_id", pa.string()), ("origin", pa.string()), ("score", pa.float32())])
TRIPLETS = pa.schema(
    [
        ("query", pa.string()),
        ("positive", pa.string()),
        ("positive_score", pa.float32()),
        ("negatives", pa.list_(NEGATIVE)),
    ]
)


def mine_triplets(
    *,
    queries: Sequence[str],
    positives: Sequence[np.ndarray],
    known: Sequence[np.ndarray],
    log_negatives: Sequence[np.ndarray],
    positive_scores: Sequence[np.ndarray],
    log_scores: Sequence[np.ndarray],
    neighbours: np.ndarray,
    neighbour_scores: np.ndarray,
    doc_ids: np.ndarray,
    documents: int,
    negatives: int,
    max_log: int,
    max_positive_share: float,
    seed: int,
) -> pd.DataFrame:
    """Per query and positive one triplet: (query, positive, positive_score, negatives).

    `positives`, `known` and `log_negatives` hold row numbers per query, `neighbours` is (q, k),
    nearest first. A negative is none of the `known` (documents that somebody wanted, or may have
    wanted, for this query or one that asks the same) and scores below `max_positive_share` of the
    *lowest* positive (Moreira et al. 2024, "NV-Retriever", positive-aware mining): a document as
    near as the answer itself is more likely an unseen answer than a mistake. First the log's, then
    the nearest, then random ones until there are `negatives`; a random one is none of those that
    were just found too near, and has no score.
    """
    rows = []
    for number, query in enumerate(queries):
        never = np.union1d(known[number], positives[number])
        near = neighbours[number]
        # A share of a negative similarity means nothing: what lies beyond a right angle is safe.
        bound = max_positive_share * max(0.0, float(positive_scores[number].min()))
        chosen: dict[int, tuple[str, float]] = {}
        passed, passed_scores = log_negatives[number], log_scores[number]
        _take(chosen, passed, passed_scores, never, bound, min(max_log, negatives), "log")
        _take(chosen, near, neighbour_scores[number], never, bound, negatives, "ann")
        if len(chosen) < negatives:
            taboo = {*never.tolist(), *near.tolist(), *passed.tolist(), *chosen}
            drawn = np.random.default_rng([seed, number]).choice(
                documents, min(documents, negatives + len(taboo)), replace=False
            )
            free = [row for row in drawn.tolist() if row not in taboo]
            chosen |= dict.fromkeys(free[: negatives - len(chosen)], ("random", float("nan")))
        mined = [
            {"doc_id": doc_ids[row], "origin": origin, "score": None if score != score else score}
            for row, (origin, score) in chosen.items()
        ]
        for row, score in zip(positives[number], positive_scores[number], strict=True):
            rows.append((query, doc_ids[row], float(score), mined))
    return pd.DataFrame(rows, columns=TRIPLETS.names)


def _take(
    chosen: dict[int, tuple[str, float]],
    rows: np.ndarray,
    scores: np.ndarray,
    never: np.ndarray,
    bound: float,
    most: int,
    origin: str,
) -> None:
    """Add up to `most` in all of the admissible rows to `chosen`, in order."""
    admissible = (scores < bound) & (rows >= 0) & ~np.isin(rows, never)
    for row, score in zip(rows[admissible], scores[admissible], strict=True):
        if len(chosen) >= most:
            return
        chosen.setdefault(int(row), (origin, float(score)))
