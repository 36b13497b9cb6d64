"""Judgements and mined rows to triplets: hard negatives that are really negatives."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_array

from perennial.data.negatives import ORIGINS, Negatives, Pairs

NEGATIVE = pa.struct([("doc_id", pa.string()), ("origin", pa.string()), ("score", pa.float32())])
TRIPLETS = pa.schema(
    [
        ("query", pa.string()),
        ("positive", pa.string()),
        ("positive_score", pa.float32()),
        ("negatives", pa.list_(NEGATIVE)),
    ]
)
_ALIKE = 50  # other queries looked at, of those that ask nearly the same


def make_triplets(
    queries: Sequence[str],
    doc_ids: np.ndarray,
    *,
    positives: Pairs,
    positive_scores: np.ndarray,
    mined: Negatives,
) -> pa.Table:
    """Per query and positive one triplet with all the query's negatives, as TRIPLETS says."""
    owner = positives.query
    kept = mined.rows[owner] >= 0
    scores = mined.scores[owner][kept]
    struct = pa.StructArray.from_arrays(
        [
            pa.array(doc_ids[mined.rows[owner][kept]], pa.string()),
            pa.array(np.array(ORIGINS, dtype=object)[mined.origins[owner][kept]], pa.string()),
            pa.array(scores, pa.float32(), mask=np.isnan(scores)),
        ],
        fields=list(NEGATIVE),
    )
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    columns = [
        pa.array(np.array(queries, dtype=object)[owner], pa.string()),
        pa.array(doc_ids[positives.document], pa.string()),
        pa.array(positive_scores, pa.float32()),
        pa.ListArray.from_arrays(pa.array(offsets), struct, type=TRIPLETS.field("negatives").type),
    ]
    return pa.Table.from_arrays(columns, schema=TRIPLETS)


def forbidden_pairs(
    wanted: csr_array,
    keys: Sequence[str],
    asked: np.ndarray,
    *,
    queries: np.ndarray,
    twins: tuple[np.ndarray, np.ndarray],
    similar_query: float,
    search: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]],
) -> Pairs:
    """What is never a negative of the rows `queries`: what anybody may have wanted, and its twins.

    `wanted` is (a, n) over all judged queries, `keys` and `asked` (a, d) what they ask. Queries of
    one key ask the same, and so do those whose vectors `search` finds at least `similar_query`
    near; `twins` are pairs of (wanted row, row with nearly the same text).
    """
    every, documents = wanted.shape
    place = np.unique(np.array(keys, dtype=object), return_inverse=True)[1]
    by_key = _ones(np.arange(every), place, (every, int(place.max(initial=-1)) + 1))
    scores, near = search(asked[queries], min(_ALIKE, every))
    at, column = np.nonzero((scores >= similar_query) & (near >= 0))
    # Nothing to compare where a query has no known word: its vector is zero.
    alike = _ones(at, near[at, column], (len(queries), every))
    alike = alike + _ones(np.arange(len(queries)), queries, alike.shape)
    known = (alike @ by_key) @ (by_key.T @ wanted)
    known = known + known @ _ones(*twins, (documents, documents))
    pairs = csr_array(known).tocoo()
    return Pairs(pairs.row.astype(np.int64), pairs.col.astype(np.int64))


def _ones(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(row), dtype=np.int64), (row, column)), shape=shape)


def surest(positives: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows per query: labels by people first, then the highest lower bound."""
    ranked = positives.sort_values(
        ["query", "low", "doc_id"], ascending=[True, False, True], na_position="first"
    )
    return ranked[ranked.groupby("query").cumcount() < most]
