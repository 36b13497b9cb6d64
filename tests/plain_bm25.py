"""BM25 by plain loops: the oracle of every lexical index."""

import math
from collections import Counter

from perennial.index.lexical.search import K1, B
from perennial.index.lexical.words import words_of


def plain_bm25(documents: dict[str, str], query: str) -> dict[str, float]:
    """Every document that shares a word with the query, and its score; idf as in Lucene."""
    counted = {doc_id: Counter(words_of(text)) for doc_id, text in documents.items()}
    mean = sum(each.total() for each in counted.values()) / max(len(counted), 1)
    scores: Counter[str] = Counter()
    for word in words_of(query):
        holding = sum(word in each for each in counted.values())
        idf = math.log(1 + (len(counted) - holding + 0.5) / (holding + 0.5))
        for doc_id, each in counted.items():
            if each[word]:
                norm = K1 * (1 - B + B * each.total() / mean)
                scores[doc_id] += idf * each[word] / (each[word] + norm)
    return dict(scores)
