"""What a demo has taken so far, kept where it continues: a kill must not make it look quick."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from tasks.notes import write_json


class RunningTotals:
    """Seconds, those of each verb, and the most memory, over all the times a demo was started."""

    def __init__(self, mark: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._mark, self._clock, self._began = mark, clock, clock()
        self._said = dict(json.loads(mark.read_text()))
        self._earlier = float(self._said.get("seconds", 0.0))
        self.verbs: dict[str, float] = dict(self._said.get("verbs", {}))
        self.peak_memory_mb = float(self._said.get("peak_memory_mb", 0.0))

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._earlier + self._clock() - self._began

    def add(self, verb: str, seconds: float) -> None:
        """One verb has ended."""
        self.verbs[verb] = self.verbs.get(verb, 0.0) + seconds

    def save(self, *, peak_memory_mb: float) -> None:
        """Keeps everything until now in the mark; its other fields stay."""
        self.peak_memory_mb = max(self.peak_memory_mb, peak_memory_mb)
        kept = {
            "seconds": round(self.seconds, 3),
            "verbs": self.verbs,
            "peak_memory_mb": round(self.peak_memory_mb, 1),
        }
        write_json(self._mark, {**self._said, **kept})
