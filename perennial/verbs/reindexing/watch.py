"""Where the time of a reindex goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

PHASES = ("compare", "words", "embed", "build", "compact", "check", "publish", "swap")


class Stopwatch:
    """Seconds per phase; a phase that is entered twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        assert name in PHASES
        began = monotonic()
        try:
            yield
        finally:
            spent = self.seconds.get(name, 0.0) + monotonic() - began
            self.seconds[name] = round(spent, 4)


class Counter:
    """Counts texts that have their vector, and says how many they are every few seconds."""

    def __init__(
        self, role: str, say: Callable[[str], None], *, every_seconds: float = 2.0
    ) -> None:
        self.count = 0
        self._role, self._say, self._every, self._said = role, say, every_seconds, monotonic()

    def __call__(self, done: int) -> None:
        self.count += done
        if monotonic() - self._said >= self._every:
            self._said = monotonic()
            self._say(f"{self._role}: {self.count:,} texts have their vector so far")
