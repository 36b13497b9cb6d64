"""What one query is answered with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Found = Literal["dense", "lexical", "fused"]


@dataclass(frozen=True)
class Hit:
    """One document found; rank counts from 1."""

    doc_id: str
    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one release found for one query, best first; fewer than k where it holds fewer.

    Columns, because a service would spend more time on an object for each hit than on finding it.
    A score is what `found` it says: a cosine, a BM25 score, or a sum of reciprocal ranks.
    """

    release_id: str
    doc_ids: Sequence[str]
    scores: Sequence[float]
    found: Found = "dense"

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The same, document by document."""
        both = enumerate(zip(self.doc_ids, self.scores, strict=True), start=1)
        return tuple(Hit(doc_id, score, rank) for rank, (doc_id, score) in both)
