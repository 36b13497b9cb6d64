"""The lexical search that a company has today: BM25 over names and texts."""

from collections.abc import Sequence

import bm25s
import numpy as np

from perennial.errors import BadInput


class Lexical:
    """BM25 (Robertson and Walker 1994) by the bm25s library, its defaults, English stop words."""

    def __init__(self, texts: Sequence[str], doc_ids: Sequence[str]) -> None:
        if not doc_ids:
            raise BadInput("there is no document to search; is the catalogue empty?")
        self._doc_ids = np.array(doc_ids, dtype=object)
        words = bm25s.tokenize(list(texts), stopwords="en", show_progress=False)
        self._scorer: bm25s.BM25 | None = None  # texts of nothing but emoji have no word to find
        if any(words.ids):
            self._scorer = bm25s.BM25()
            self._scorer.index(words, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Queries to (scores, doc_ids), both (q, k), best first; no shared word: -inf and None."""
        most = min(k, len(self._doc_ids))
        names = np.full((len(queries), k), None, dtype=object)
        values = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if self._scorer is None or not len(queries):
            return values, names
        tokens = bm25s.tokenize(list(queries), stopwords="en", show_progress=False)
        rows, scores = self._scorer.retrieve(tokens, k=most, show_progress=False)
        hit = scores > 0
        names[:, :most] = np.where(hit, self._doc_ids[rows], None)
        values[:, :most] = np.where(hit, scores, -np.inf)
        return values, names
