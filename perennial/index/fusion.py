"""One ranking from several: what each of them puts high comes high."""

from collections.abc import Mapping, Sequence

RANK_CONSTANT = 60


def reciprocal_rank_fusion(
    rankings: Sequence[Mapping[str, int]], *, constant: int = RANK_CONSTANT
) -> list[tuple[str, float]]:
    """Rankings, each {doc_id: rank from 1}, to (doc_id, score), best first: the sum of
    1 / (constant + rank) over the rankings that hold it (Cormack, Clarke and Buettcher 2009).

    Of equal scores what an earlier ranking holds comes first. Ranks may have gaps.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for doc_id, rank in ranking.items():
            scores[doc_id] = scores.get(doc_id, 0.0) + 1 / (constant + rank)
    return sorted(scores.items(), key=lambda item: -item[1])
