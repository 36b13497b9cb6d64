"""What the stage mine and the fresh mining of train have in common: the rules of params.mine."""

import numpy as np

from perennial.data.negatives import Negatives, Pairs, Score, Search, mine_negatives
from perennial.index.exact import chunks_of, exact_search
from perennial.index.narrow import is_quick, narrow_search
from perennial.params.mine import Mine

# Below it, five seconds of two cores in float32, bfloat16 does not earn back torch's import.
_WORTH_MULTIPLICATIONS = 3e11


def mine_by(
    section: Mine,
    *,
    asked: np.ndarray,
    documents: np.ndarray,
    positives: Pairs,
    never: Pairs,
    passed: Pairs,
    search: Search,
    score: Score | None,
) -> Negatives:
    """Negatives of (q, d) queries among (n, d) documents, as many and as hard as params.mine say.

    `score` judges in place of the vectors, and so ranks anew.
    """
    return mine_negatives(
        asked=asked,
        documents=documents,
        positives=positives,
        never=never,
        passed=passed,
        search=search,
        count=section.negatives,
        look_at=section.neighbours,
        skip=section.skip_neighbours,
        max_log=section.log_negatives,
        max_random=section.random_negatives,
        max_positive_share=section.max_positive_share,
        absolute_margin=section.absolute_margin,
        seed=section.seed,
        score=score,
    )


def is_narrow(precision: str, *, multiplications: float) -> bool:
    """Whether who may be near is found by bfloat16: as params.mine says, or where this CPU is
    sooner done with so many multiplications; infinitely many for whoever needs torch anyway."""
    if precision != "auto":
        return precision == "bf16"
    return multiplications >= _WORTH_MULTIPLICATIONS and is_quick()


def in_all(vectors: np.ndarray, *, narrow: bool) -> Search:
    """A search among all (n, d) vectors, by bfloat16 or float32: the same but for ties."""
    if narrow:
        return lambda queries, k: narrow_search(queries, vectors, k)
    return lambda queries, k: exact_search(queries, chunks_of(vectors), k)
