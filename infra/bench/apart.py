"""Work in a process of its own: its answer, its seconds, and the memory that it had at most."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """What came of it; `peak_mb` is the process's highest resident memory, imports and all."""

    answer: Any
    seconds: float
    peak_mb: float


def apart(work: Callable[..., Any], *given: Any) -> Done:
    """Call `work`, which must not print, and wait; raises what it raises."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measured, work, *given).result()


def _measured(work: Callable[..., Any], *given: Any) -> Done:
    began = time.perf_counter()
    answer = work(*given)
    seconds = time.perf_counter() - began
    return Done(answer, seconds, _peak_mb())


def _peak_mb() -> float:
    # Not getrusage: its maximum is that of the parent, too, which a spawned process inherits.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1e3
    raise OSError("this system keeps no count of a process's memory; measure on Linux")
