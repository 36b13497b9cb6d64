"""One gain as a share of another, on the same queries: a ratio of paired means, with its bounds."""

from dataclasses import dataclass

import numpy as np

_CHUNK = 4_000_000  # draws at a time: at most 32 MB


@dataclass(frozen=True)
class Share:
    """(after - before) / (best - before) of the means, and the bounds of its interval.

    Bounds are None where a resampling has nothing gained, so that its share means nothing.
    """

    value: float
    low: float | None
    high: float | None


def share_of_gain(
    before: np.ndarray,
    after: np.ndarray,
    best: np.ndarray,
    *,
    of: np.ndarray,
    samples: int,
    confidence: float,
    seed: int,
) -> Share:
    """(n,) scores and the numbers `of` their queries to the share; percentile bootstrap over
    queries.

    A resampling takes a query with all its scores (Efron and Tibshirani 1993, "An Introduction to
    the Bootstrap", ch. 10.3 on ratios): what a query is worth cancels.
    """
    place = np.unique(of, return_inverse=True)[1]
    gained, possible = np.bincount(place, after - before), np.bincount(place, best - before)
    value = float(gained.sum() / possible.sum())
    n = len(gained)
    shares = np.empty(samples)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)
        below = times @ possible
        if (below <= 0).any():
            return Share(value, None, None)
        shares[start : start + rows] = times @ gained / below
    low, high = np.quantile(shares, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Share(value, float(low), float(high))
