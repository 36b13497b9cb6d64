"""The searches that simulated people use: the lexical one of today, or a release."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perennial.data.documents import indexed_texts
from perennial.index.lexical.bm25 import Lexical
from perennial.serving.loaded import LoadedRelease
from perennial.simulation.public import Search

LEXICAL = "lexical-bm25"  # stands where a release_id stands in the log of the search of today


def lexical_search(catalogue: pd.DataFrame) -> Search:
    """The search that the company has today: BM25 over the catalogue."""
    return Lexical(indexed_texts(catalogue), catalogue["doc_id"].tolist()).search


def release_search(release: LoadedRelease) -> Search:
    """A release's own answers as arrays; every query goes through the path that people use."""

    def search(queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        doc_ids = np.full((len(queries), k), None, dtype=object)
        for row, answer in enumerate(release.search_many(queries, k)):
            for hit in answer.hits:
                scores[row, hit.rank - 1], doc_ids[row, hit.rank - 1] = hit.score, hit.doc_id
        return scores, doc_ids

    return search


def remembering(search: Search) -> Search:
    """The same search, which is asked each query once for all batches of people."""
    known: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}

    def remembered(queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        new = [query for query in dict.fromkeys(queries) if (query, k) not in known]
        if new:
            for query, scores, doc_ids in zip(new, *search(new, k), strict=True):
                known[query, k] = scores, doc_ids
        rows = [known[query, k] for query in queries]
        return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])

    return remembered
