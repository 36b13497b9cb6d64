"""Near-duplicate texts: MinHash finds candidates, shingles decide (Broder 1997)."""

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

_WORD = re.compile(r"\w+")
_SHINGLE = 3  # words
_BANDS, _ROWS = 20, 3  # two texts of resemblance 0.6 meet in a band with probability 0.99
_CHUNK = 2048  # wanted texts at a time
_SEED = 0


def near_duplicates(
    texts: Sequence[str], wanted: np.ndarray, *, min_resemblance: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) texts and row numbers to pairs (wanted row, other row) of nearly the same words.

    The resemblance is the share of common three-word sequences, of all of both (Jaccard).
    """
    shingles = _shingles(texts)
    bands = _bands(shingles)
    size = np.diff(shingles.indptr)
    ones, others = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for start in range(0, len(wanted), _CHUNK):
        chosen = wanted[start : start + _CHUNK]
        meeting = csr_array(bands[chosen] @ bands.T).tocoo()
        one, other = chosen[meeting.row], meeting.col.astype(np.int64)
        for begin in range(0, len(one), 50_000):
            a, b = one[begin : begin + 50_000], other[begin : begin + 50_000]
            common = np.asarray(shingles[a].multiply(shingles[b]).sum(axis=1)).ravel()
            near = (common >= min_resemblance * (size[a] + size[b] - common)) & (a != b)
            ones.append(a[near])
            others.append(b[near])
    return np.concatenate(ones), np.concatenate(others)


def _shingles(texts: Sequence[str]) -> csr_array:
    """(n, s) of ones: which text has which sequence of three words; a short text has its own."""
    vocabulary: dict[str, int] = {}
    words = [
        [vocabulary.setdefault(w, len(vocabulary)) for w in _WORD.findall(text.casefold())]
        for text in texts
    ]
    padded = [row if len(row) >= _SHINGLE else row + [-1] * (_SHINGLE - len(row)) for row in words]
    lengths = np.array([len(row) for row in padded], dtype=np.int64)
    flat = np.fromiter((w for row in padded for w in row), np.int64, int(lengths.sum()))
    owner = np.repeat(np.arange(len(texts)), lengths)
    if not len(texts):
        return csr_array((0, 0), dtype=np.int32)
    a, b, c = flat[:-2], flat[1:-1], flat[2:]
    whole = owner[:-2] == owner[2:]
    base = np.uint64(len(vocabulary) + 2)
    names = ((a + 1).astype(np.uint64) * base + (b + 1).astype(np.uint64)) * base
    names += (c + 1).astype(np.uint64)
    column = np.unique(names[whole], return_inverse=True)[1]
    both = np.unique(np.stack([owner[:-2][whole], column]), axis=1)
    ones = np.ones(both.shape[1], dtype=np.int32)
    return csr_array((ones, (both[0], both[1])), shape=(len(texts), int(column.max()) + 1))


def _bands(shingles: csr_array) -> csr_array:
    """(n, buckets) of ones: texts whose MinHash agrees in all rows of a band share a bucket."""
    texts, distinct = shingles.shape
    generator = np.random.default_rng(_SEED)
    buckets, columns = 0, []
    for _ in range(_BANDS):
        marks = (
            [
                np.minimum.reduceat(
                    generator.permutation(distinct)[shingles.indices], shingles.indptr[:-1]
                )
                for _ in range(_ROWS)
            ]
            if texts
            else [np.empty(0, dtype=np.int64)] * _ROWS
        )
        place = np.unique(np.stack(marks), axis=1, return_inverse=True)[1].ravel()
        columns.append(place + buckets)
        buckets += int(place.max(initial=-1)) + 1
    column = np.concatenate(columns)
    row = np.tile(np.arange(texts), _BANDS)
    return csr_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(texts, buckets))
