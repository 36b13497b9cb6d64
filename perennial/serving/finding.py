"""From vectors and words to answers: by the nearest vectors, and by words where those say nothing.

Words alone answer a query that found nothing by its vector (none of its tokens is known to the
encoder, or it failed on it); documents that have no vector yet stand where the ranking by words has
them; and with `fuse` both rankings decide about every query.
"""

from collections.abc import Sequence

import numpy as np

from perennial.index.fusion import reciprocal_rank_fusion
from perennial.index.index import Index
from perennial.serving.answer import Answer

_FUSED_DEPTH = 100  # of either ranking: what both hold far down may come first


def find_answers(
    release_id: str,
    index: Index,
    vectors: np.ndarray,
    k: int,
    *,
    slice: str | None,
    queries: Sequence[str] | None,
    fuse: bool,
) -> list[Answer]:
    """The k best documents for each of the (q, d) vectors and their texts; without texts, or where
    the index has no words, the nearest vectors."""
    lexical = None if queries is None else index.lexical
    # No more rows than there are: what is asked for is not what is reserved.
    depth = max(k, _FUSED_DEPTH) if fuse and lexical is not None else k
    nearest = _nearest(index, vectors, min(depth, max(index.live, 1)), slice)
    answers = [Answer(release_id, names[:k], scores[:k]) for names, scores in nearest]
    if lexical is None or queries is None:
        return answers
    merges = fuse or bool(index.waiting)
    asked = [at for at, answer in enumerate(answers) if merges or not answer.doc_ids]
    if not asked:
        return answers
    wanted = min(depth, max(index.findable, 1))
    found = lexical.search([queries[at] for at in asked], wanted, slice=slice)
    rows = zip(found.doc_ids.tolist(), found.scores.tolist(), found.waits.tolist(), strict=True)
    for at, (names, scores, waits) in zip(asked, rows, strict=True):
        count = len(names) - names.count(None)
        if not answers[at].doc_ids:
            if count:
                count = min(count, k)
                answers[at] = Answer(release_id, names[:count], scores[:count], "lexical")
            continue
        # At their ranks among all documents: one that waits is no better for it.
        counted = zip(range(1, count + 1), names, waits, strict=False)
        by_words = {name: rank for rank, name, is_waiting in counted if fuse or is_waiting}
        if by_words:
            near = {name: rank for rank, name in enumerate(nearest[at][0], start=1)}
            fused = reciprocal_rank_fusion([near, by_words])[:k]
            names, scores = [name for name, _ in fused], [score for _, score in fused]
            answers[at] = Answer(release_id, names, scores, "fused")
    return answers


def _nearest(
    index: Index, vectors: np.ndarray, k: int, slice: str | None
) -> list[tuple[list[str], list[float]]]:
    """(doc_ids, cosines) of each vector, best first; none for one that points nowhere."""
    # A query without a single known token has no direction: everything would be as near.
    pointing = np.any(vectors != 0, axis=1)
    if not np.isfinite(vectors.sum()):  # nor has one that the encoder failed on
        pointing &= np.isfinite(vectors).all(axis=1)
        vectors = np.where(pointing[:, None], vectors, 0)
    scores, doc_ids = index.search(vectors, k, slice=slice)
    # Whatever is absent stands behind all that was found.
    counts = np.where(pointing, (scores > -np.inf).sum(axis=1), 0).tolist()
    return [
        (names[:count], row[:count])
        for names, row, count in zip(doc_ids.tolist(), scores.tolist(), counts, strict=True)
    ]
