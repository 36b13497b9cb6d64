"""When the machine itself stood still: a process that only sleeps notes where it overslept.

python -m infra.bench.pauses FILE writes a line `began ended` for each pause until it is ended. A
virtual machine's host takes its cores away for tens of milliseconds, unseen by the guest's own
count of stolen time; a 99th percentile of single milliseconds measures that and nothing else.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_SLEEP_SECONDS, _LONG_SECONDS = 0.001, 0.006
# Who was asked just before has not answered yet, and who comes just after stands in a queue.
_BEFORE_SECONDS, _AFTER_SECONDS = 0.005, 0.05


@contextmanager
def pauses_watched(file: Path) -> Iterator[Callable[[], np.ndarray]]:
    """Gives what to call for the (n, 2) pauses until now, on the clock of time.perf_counter."""
    file.touch()
    process = subprocess.Popen([sys.executable, "-m", "infra.bench.pauses", str(file)])
    try:
        yield lambda: np.array(file.read_text().split(), dtype=float).reshape(-1, 2)
    finally:
        process.kill()
        process.wait()


def undisturbed(due: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """(n,) whether no pause fell on what was due then, or left it a queue: asked of when it was
    due alone, never of how long it took."""
    pauses = pauses[np.argsort(pauses[:, 0])]
    begun = np.searchsorted(pauses[:, 0] - _BEFORE_SECONDS, due, side="right")
    ended = np.maximum.accumulate(np.concatenate([[-np.inf], pauses[:, 1]]))[begun]
    undisturbed: np.ndarray = due > ended + _AFTER_SECONDS
    return undisturbed


def _watch(file: Path) -> None:
    with file.open("a") as out:
        before = time.perf_counter()
        while True:
            time.sleep(_SLEEP_SECONDS)
            now = time.perf_counter()
            if now - before > _LONG_SECONDS:
                out.write(f"{before:.6f} {now:.6f}\n")
                out.flush()
            before = time.perf_counter()


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
