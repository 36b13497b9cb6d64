"""Random documents for many queries at once: a function of (seed, query), whatever the chunk."""

from collections.abc import Callable

import numpy as np

_MORE = 16  # draws beyond twice what is missing, at first
_MANY = 256  # draws for who is short after them; who is short after these gets no more


def draw_others(
    missing: np.ndarray,
    taboo: np.ndarray,
    *,
    documents: int,
    seed: int,
    numbers: np.ndarray,
    is_far: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """(b,) numbers of missing rows to (b, w) distinct rows, -1 behind the last.

    None is in `taboo`, the sorted keys (place in the chunk) * documents + row, and of each `is_far`
    says so, which takes (c,) places in the chunk and (c,) rows. `numbers` (b,) name the queries.
    """
    out = np.full((len(missing), int(missing.max(initial=0))), -1, dtype=np.int64)
    free = np.zeros(len(missing), dtype=np.int64)
    for tries in (2 * out.shape[1] + _MORE, _MANY):
        short = _short(out, missing)
        if not len(short):
            return out
        rows = sample(numbers[short], tries, documents=documents, seed=seed)
        fits = ~within(short[:, None] * documents + rows, taboo) & ~_repeated(rows)
        free[short] = fits.sum(axis=1)
        at, column = np.nonzero(fits)
        fits[at, column] = is_far(short[at], rows[at, column])
        place = np.cumsum(fits, axis=1) - 1
        at, column = np.nonzero(fits & (place < missing[short][:, None]))
        out[short[at], place[at, column]] = rows[at, column]
    # Only in a small catalogue, or for a query that knows nearly all: every document is looked at.
    short = _short(out, missing)
    if documents > 4 * _MANY:
        short = short[free[short] < _MANY // 2]
    for line in short.tolist():
        low, high = np.searchsorted(taboo, [line * documents, (line + 1) * documents])
        left = np.setdiff1d(np.arange(documents), taboo[low:high] - line * documents)
        left = np.random.default_rng([seed, int(numbers[line])]).permutation(left)
        left = left[is_far(np.full(len(left), line), left)][: missing[line]]
        out[line] = -1
        out[line, : len(left)] = left
    return out


def within(keys: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which of the keys, of any shape, are among the sorted ones."""
    if not len(ordered):
        return np.zeros(keys.shape, dtype=bool)
    found = ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys
    return np.asarray(found)


def _short(out: np.ndarray, missing: np.ndarray) -> np.ndarray:
    return np.flatnonzero((out >= 0).sum(axis=1) < missing)


def sample(numbers: np.ndarray, tries: int, *, documents: int, seed: int) -> np.ndarray:
    """(b,) queries to (b, tries) rows, some of them twice; more tries begin with the same ones."""
    base = _mixed(np.uint64(seed) + (numbers + 1).astype(np.uint64) * np.uint64(2**32))
    drawn = _mixed(base[:, None] + np.arange(tries, dtype=np.uint64)[None, :])
    return (drawn % np.uint64(documents)).astype(np.int64)


def _repeated(rows: np.ndarray) -> np.ndarray:
    """Which of each line's entries stand in it before."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    again = np.zeros(rows.shape, dtype=bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    repeated = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(repeated, order, again, axis=1)
    return repeated


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Splitmix64's finaliser (Steele et al. 2014): neighbouring numbers become unrelated ones."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
