"""The tables that training reads, as examples: triplets of ids to rows of texts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from perennial.data.documents import indexed_texts
from perennial.data.negatives import ORIGINS
from perennial.data.split import content_key
from perennial.model.examples import Examples


def make_examples(
    triplets: pd.DataFrame, catalogue: pd.DataFrame, *, doc_ids: Sequence[str] | None = None
) -> Examples:
    """Triplets of ids to row numbers: of distinct queries, and of the documents they name or of
    `doc_ids`."""
    named = [[n["doc_id"] for n in row] for row in triplets["negatives"]]
    if doc_ids is None:
        doc_ids = sorted({*triplets["positive"], *(d for row in named for d in row)})
    places = pd.Index(doc_ids)
    texts = dict(zip(catalogue["doc_id"], indexed_texts(catalogue), strict=True))
    queries = pd.Index(sorted(triplets["query"].unique()))
    widest = max((len(row) for row in named), default=0)
    negatives = np.full((len(triplets), widest), -1, dtype=np.int64)
    for number, row in enumerate(named):
        negatives[number, : len(row)] = places.get_indexer(pd.Index(row))
    origins = np.full(negatives.shape, -1, dtype=np.int8)
    for number, listed in enumerate(triplets["negatives"]):
        origins[number, : len(listed)] = [ORIGINS.index(n["origin"]) for n in listed]
    query, positive = (
        queries.get_indexer(triplets["query"]),
        places.get_indexer(pd.Index(triplets["positive"])),
    )
    # Queries that ask the same share their answers: none of them is a negative of the others.
    keys, key_of = np.unique([content_key(text) for text in queries], return_inverse=True)
    answers = csr_array(
        (np.ones(len(query), dtype=np.int8), (key_of[query], positive)),
        shape=(len(keys), len(places)),
    )
    known = csr_array(answers[key_of])
    return Examples(
        queries=list(queries),
        documents=[texts[d] for d in places],
        query=query,
        positive=positive,
        negatives=negatives,
        known=known,
        origins=origins,
    )
