"""Wakes a flow that waits: whoever hears of something rings, and a waiter looks at once.

A bell is a file whose change is the ring. A lost one costs nothing but time, since who waits looks
again by itself after a while.
"""

import time
from collections.abc import Callable
from pathlib import Path

from tasks.notes import write_json

_STEP_SECONDS = 0.2


def bell_of(home: Path, name: str) -> Path:
    """The bell of this name."""
    return home / "bells" / name


def ring(bell: Path) -> None:
    """Wake everybody who waits for this bell now."""
    write_json(bell, {"format_version": 1, "rung": time.time_ns()})


def heard(bell: Path) -> str | None:
    """What tells this ring from the next one; None where it never rang."""
    try:
        return bell.read_text(encoding="utf-8")
    except OSError:
        return None


def wait_for_ring(
    bell: Path,
    since: str | None,
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Whether the bell rang since `since` was heard; returns at the ring, or after `seconds`."""
    end = clock() + seconds
    while heard(bell) == since:
        left = end - clock()
        if left <= 0:
            return False
        sleep(min(_STEP_SECONDS, left))
    return True
