"""The most memory that a process and everything it started held at one moment."""

import threading
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.5


class PeakMemory:
    """Samples the whole process tree; pages that processes share count once for each of them."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

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

    def _sample(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.megabytes = max(self.megabytes, total / 2**20)
            if self._done.wait(SAMPLE_SECONDS):
                return
