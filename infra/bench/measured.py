"""What a side costs: seconds, bytes that its process writes, and the memory that is its own."""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Cost:
    """Of one piece of work; `bytes` is what went through write(2), `peak_mb` anonymous memory."""

    seconds: float = 0.0
    bytes: int = 0
    peak_mb: float = 0.0


@dataclass
class Side:
    """What was measured of one side; recall by number of updates, latencies in milliseconds."""

    name: str
    build: Cost = field(default_factory=Cost)
    updates: list[Cost] = field(default_factory=list)
    recall: dict[int, float] = field(default_factory=dict)
    fresh_recall: dict[int, float] = field(default_factory=dict)
    before_ms: list[float] = field(default_factory=list)
    after_ms: list[float] = field(default_factory=list)
    factory: str = ""
    more: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@contextmanager
def measured() -> Iterator[Cost]:
    """Fill a Cost while the body runs; nothing else may write in this process meanwhile.

    Counted is every byte that the process hands to the kernel (/proc/self/io, wchar), whether a
    later step overwrites, renames or deletes it: a disk wears by what is written, not by what is
    left. The storage layer's own counter (write_bytes) agrees within a page per file.
    """
    cost = Cost()
    written, began = _written(), time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        cost.bytes = _written() - written


@contextmanager
def watched() -> Iterator[Cost]:
    """As `measured`, and the highest anonymous memory above where it began, looked at every 5 ms.

    Mapped files do not count: the kernel can drop their pages whenever it needs them.
    """
    gc.collect()
    base, highest, done = _anonymous(), [_anonymous()], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            highest[0] = max(highest[0], _anonymous())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        with measured() as cost:
            yield cost
    finally:
        done.set()
        watcher.join()
        cost.peak_mb = (highest[0] - base) / 1e6


def latencies_ms(search: Callable[[np.ndarray], object], queries: np.ndarray) -> list[float]:
    """Milliseconds of each query alone, after one unmeasured round."""
    spent = []
    for query in queries:
        search(query[None])
    for query in queries:
        began = time.perf_counter()
        search(query[None])
        spent.append(1e3 * (time.perf_counter() - began))
    return spent


def _written() -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise OSError("this system keeps no count of written bytes; measure on Linux")


def _anonymous() -> int:
    with open("/proc/self/statm") as stream:  # noqa: PTH123  half the cost of a Path, 200 a second
        fields = stream.read().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
