"""What an index costs to ask, and which of several nothing beats in everything at once."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
GIGABYTE = 1e9
HOUR = 3600.0
QUERIES = 1000


def undominated(costs: Floats) -> npt.NDArray[np.bool_]:
    """(n, m) costs, less is better, to (n,): no other row is as good in all and better in one."""
    no_worse = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    better = (costs[:, None, :] < costs[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))


def cost_of_queries(
    *, seconds: float, memory: int, rate: float, per_core_hour: float, per_gigabyte_hour: float
) -> float:
    """Money for 1,000 queries that keep one core busy for `seconds` each, and for the `memory` in
    bytes over the time in which so many come at `rate` a second."""
    working = QUERIES * seconds / HOUR * per_core_hour
    waiting = QUERIES / rate / HOUR * memory / GIGABYTE * per_gigabyte_hour
    return working + waiting
