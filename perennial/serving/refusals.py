"""What could not be loaded, and when it is tried again: ever more rarely."""

import math
from collections.abc import Callable, Hashable

from perennial.serving.polling import wait_seconds


class Refusals:
    """Remembers the last thing that was refused; anything else may be tried at once."""

    def __init__(self, *, poll_seconds: float, clock: Callable[[], float]) -> None:
        self._poll_seconds, self._clock = poll_seconds, clock
        self._refused: Hashable = None
        self._count, self._retry_at = 0, -math.inf

    def waits(self, wanted: Hashable) -> bool:
        """True where this was refused, and it is not yet time for it again."""
        return wanted == self._refused and self._clock() < self._retry_at

    def refuse(self, wanted: Hashable) -> None:
        """Count one more refusal of it."""
        self._count = self._count + 1 if wanted == self._refused else 1
        self._refused = wanted
        self._retry_at = self._clock() + wait_seconds(self._poll_seconds, self._count)

    def forget(self) -> None:
        """Nothing is refused any more."""
        self._refused = None
