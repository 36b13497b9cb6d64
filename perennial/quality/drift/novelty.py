"""Which queries resemble nothing that was asked on another day: the first sign of a new topic.

A query is novel that is farther from its nearest neighbour of any other day than all but a few of
the past ones are from theirs. Where a distance of distributions needs thousands of queries to see
that a fifth of them are new, counting those that are far from everything needs hundreds.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_NEVER = -2.0  # less than any cosine


def novel(vectors: Floats, texts: Ints, days: Ints, is_past: Flags, *, share: float) -> Flags:
    """(t, d) unit vectors of distinct texts, and (n,) rows that name one and its day, to flags.

    Of the past rows about `share` are novel, or fewer where many are equally far.
    """
    nearest = nearest_of_other_days(vectors, texts, days, is_past)
    return np.asarray(nearest < np.quantile(nearest[is_past], share))


def nearest_of_other_days(vectors: Floats, texts: Ints, days: Ints, is_past: Flags) -> Floats:
    """(n,) highest cosine of each row's text with one that the past rows have of another day."""
    pairs = np.unique(np.stack([texts[is_past], days[is_past]], axis=1), axis=0)
    known, starts, times = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    often, once = known[times > 1], known[times == 1]
    day_of = pairs[starts, 1][times == 1]
    found = _best(vectors, vectors[often])[texts]
    if not len(once):
        return found
    # Of texts that one day asked only, the nearest, and the nearest of any other such day.
    similar = vectors @ vectors[once].T
    place = similar.argmax(axis=1)
    first, its_day = similar.max(axis=1), day_of[place]
    similar[day_of[None, :] == its_day[:, None]] = _NEVER
    single = np.where(days == its_day[texts], similar.max(axis=1)[texts], first[texts])
    return np.asarray(np.maximum(found, single))


def _best(vectors: Floats, others: Floats) -> Floats:
    if not len(others):
        return np.full(len(vectors), _NEVER, dtype=np.float32)
    return np.asarray((vectors @ others.T).max(axis=1))
