"""Random documents for many queries at once: a function of (seed, query), whatever the chunk."""

import numpy as np

_MORE = 16  # draws beyond what is missing; whoever is short after them draws from what is left


def draw_others(
    missing: np.ndarray, taboo: np.ndarray, *, documents: int, seed: int, first: int
) -> np.ndarray:
    """(b,) numbers of missing rows to (b, w) distinct rows, -1 behind the last.

    None is in `taboo`, the sorted keys (query in the chunk) * documents + row; `first` is the
    number of the chunk's first query. Fewer than are missing only where no more documents are left.
    """
    most = int(missing.max(initial=0))
    out = np.full((len(missing), most), -1, dtype=np.int64)
    short = np.flatnonzero(missing > 0)
    if not len(short):
        return out
    tries = np.arange(2 * most + _MORE, dtype=np.uint64)
    base = _mixed(np.uint64(seed) + (short + first + 1).astype(np.uint64) * np.uint64(2**32))
    drawn = _mixed(base[:, None] + tries[None, :]) % np.uint64(documents)
    rows = drawn.astype(np.int64)
    keys = short[:, None] * documents + rows
    bad = within(keys, taboo)
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    again = np.zeros(rows.shape, dtype=bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    repeated = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(repeated, order, again, axis=1)
    fits = ~bad & ~repeated
    place = np.cumsum(fits, axis=1) - 1
    at, column = np.nonzero(fits & (place < missing[short][:, None]))
    out[short[at], place[at, column]] = rows[at, column]
    # Only where nearly every document is taboo: a small catalogue, or a query that knows it all.
    for query in short[(fits.sum(axis=1) < missing[short])].tolist():
        low, high = np.searchsorted(taboo, [query * documents, (query + 1) * documents])
        free = np.setdiff1d(np.arange(documents), taboo[low:high] - query * documents)
        mixed = np.random.default_rng([seed, first + query]).permutation(free)
        out[query] = -1
        out[query, : min(len(free), missing[query])] = mixed[: missing[query]]
    return out


def within(keys: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which of the keys, of any shape, are among the sorted ones."""
    if not len(ordered):
        return np.zeros(keys.shape, dtype=bool)
    found = ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys
    return np.asarray(found)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Splitmix64's finaliser (Steele et al. 2014): neighbouring numbers become unrelated ones."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
