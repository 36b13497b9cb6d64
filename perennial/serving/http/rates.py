"""Rate limits: a bucket of tokens for each asker, filled at a rate (a token bucket)."""

import math
from collections import OrderedDict
from collections.abc import Callable

_ASKERS = 10_000  # remembered; the one unseen longest is forgotten first, with a full bucket


class Rates:
    """`per_second` queries of each asker, and `burst` at once; not for several threads."""

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_second, self._burst, self._clock = per_second, float(burst), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, asker: str, queries: int) -> float:
        """0, and the queries are counted; or how long to wait before they may be asked."""
        now = self._clock()
        tokens, at = self._buckets.pop(asker, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        # More than a full bucket is let in when it is full, and is paid for afterwards.
        needed = min(float(queries), self._burst)
        allowed = tokens >= needed
        self._buckets[asker] = (tokens - queries if allowed else tokens, now)
        if len(self._buckets) > _ASKERS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else max((needed - tokens) / self._per_second, math.ulp(1.0))
