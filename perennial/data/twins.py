"""Near-duplicate texts, every pair of them: rare shingles find candidates, all shingles decide.

The resemblance is Broder's (1997), the share of common three-word sequences of all of both. Of two
texts that resemble each other by t, the rarest (1 - t) of the sequences have one in common
(prefix filter: Chaudhuri et al. 2006; Bayardo et al. 2007, "Scaling up all pairs similarity
search", 3.2). Boilerplate is common, so that it makes no candidates, and nothing is left to chance.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_array

_WORD = re.compile(r"\w+")
_SHINGLE = 3  # words
_PAIRWISE = 4  # times what a product takes, per sequence, to compare one pair after another
_PAIRS = 4_000_000  # candidates, or sequences to compare, in memory at once: some 100 MB


def near_duplicates(
    texts: Sequence[str], wanted: np.ndarray, *, min_resemblance: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) texts and row numbers to pairs (wanted row, other row) of nearly the same words.

    Memory is bounded by the texts and the pairs that are found, however much the texts share.
    """
    shingles = _shingles(texts)
    size = np.diff(shingles.indptr).astype(np.int64)
    ones, others = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for a, b, common in _overlaps(shingles, size, wanted, min_resemblance):
        near = (common >= min_resemblance * (size[a] + size[b] - common)) & (a != b)
        ones.append(a[near])
        others.append(b[near])
    return np.concatenate(ones), np.concatenate(others)


Overlaps = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _overlaps(
    shingles: csr_array, size: np.ndarray, wanted: np.ndarray, min_resemblance: float
) -> Overlaps:
    """(wanted rows, other rows, sequences in common), of every pair that may be near at least."""
    rarest = _rarest(shingles, size, min_resemblance)
    having_rarest, having = csr_array(rarest.T), csr_array(shingles.T)
    cost = rarest[wanted] @ np.diff(having_rarest.indptr).astype(np.int64)
    whole = shingles[wanted] @ np.diff(having.indptr).astype(np.int64)
    for part in _within_budget(cost):
        chosen = wanted[part]
        meeting = csr_array(rarest[chosen] @ having_rarest).tocoo()
        one, other = chosen[meeting.row], meeting.col.astype(np.int64)
        smaller, larger = np.minimum(size[one], size[other]), np.maximum(size[one], size[other])
        maybe = smaller >= min_resemblance * larger
        one, other = one[maybe], other[maybe]
        if _PAIRWISE * (size[one] + size[other]).sum() > whole[part].sum():
            yield from _by_product(shingles, having, chosen, whole[part])
        else:
            yield from _by_pair(shingles, size, one, other)


def _by_pair(shingles: csr_array, size: np.ndarray, one: np.ndarray, other: np.ndarray) -> Overlaps:
    for few in _within_budget(size[one] + size[other]):
        a, b = one[few], other[few]
        yield a, b, np.asarray(shingles[a].multiply(shingles[b]).sum(axis=1)).ravel()


def _by_product(
    shingles: csr_array, having: csr_array, chosen: np.ndarray, whole: np.ndarray
) -> Overlaps:
    """With all texts at once: cheaper where most of them are candidates."""
    for few in _within_budget(np.minimum(whole, shingles.shape[0])):
        product = csr_array(shingles[chosen[few]] @ having).tocoo()
        yield chosen[few][product.row], product.col.astype(np.int64), product.data


def _within_budget(cost: np.ndarray) -> Iterator[slice]:
    """Slices in order that cost at most _PAIRS together, or are one row."""
    until, start = np.cumsum(cost), 0
    while start < len(cost):
        spent = until[start - 1] if start else 0
        end = max(int(np.searchsorted(until, spent + _PAIRS, side="right")), start + 1)
        yield slice(start, end)
        start = end


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
    distinct = int(column.max()) + 1
    row, column = np.divmod(np.unique(owner[:-2][whole] * distinct + column), distinct)
    ones = np.ones(len(row), dtype=np.int32)
    return csr_array((ones, (row, column)), shape=(len(texts), distinct))


def _rarest(shingles: csr_array, size: np.ndarray, min_resemblance: float) -> csr_array:
    """Of each text the sequences that so near a twin must share one of, the rarest of all texts."""
    texts, distinct = shingles.shape
    owner = np.repeat(np.arange(texts), size)
    often = np.bincount(shingles.indices, minlength=distinct)
    order = np.lexsort((shingles.indices, often[shingles.indices], owner))
    place = np.arange(len(owner)) - shingles.indptr[owner]
    # A little less than the product: rounding must not shorten what is looked at.
    needed = np.ceil(min_resemblance * size * (1 - 1e-12)).astype(np.int64)
    kept = place < (size - needed + 1)[owner]
    column = shingles.indices[order][kept]
    ones = np.ones(len(column), dtype=np.int32)
    return csr_array((ones, (owner[kept], column)), shape=shingles.shape)
