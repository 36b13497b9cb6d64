"""The most memory that a process and everything it started held at one moment."""

import contextlib
import threading
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.5


class PeakMemory:
    """Samples the whole process tree; pages that processes share count once for each of them."""

    def __init__(self, sample_seconds: float = SAMPLE_SECONDS) -> None:
        self.megabytes = 0.0
        self._sample_seconds = sample_seconds
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._sampler.join()

    def _watch(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, tree_megabytes())
            if self._done.wait(self._sample_seconds):
                return


def tree_megabytes() -> float:
    """What this process and everything below it holds now."""
    me, total = psutil.Process(), 0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return float(total / 2**20)
