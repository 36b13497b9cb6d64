"""How many times as long one system takes as another, where both answered the same queries."""

import math

import numpy as np

from perennial.quality.paired import Floats, Interval, bootstrap_mean


def latency_ratio(
    ours_ms: Floats, theirs_ms: Floats, *, samples: int, confidence: float, seed: int
) -> Interval:
    """(n,) milliseconds each to the geometric mean of ours / theirs with its interval.

    Paired by query and in logarithms: twice as long and half as long then cancel out.
    """
    logs = np.log(np.maximum(ours_ms, 1e-6)) - np.log(np.maximum(theirs_ms, 1e-6))
    found = bootstrap_mean(logs, samples=samples, confidence=confidence, seed=seed)
    value, low, high = (
        None if end is None else math.exp(end) for end in (found.value, found.low, found.high)
    )
    return Interval(value, low, high, found.n)
