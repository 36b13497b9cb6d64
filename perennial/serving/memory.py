"""Letting go of a release: after its last query, and back to the operating system."""

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

_PAUSE_SECONDS = 0.005
_HELD_BY_THE_LIST = 2  # the list, and the argument of getrefcount


def let_go(held: list[Any], *, timeout_seconds: float) -> bool:
    """Empty the list of one once nobody else holds its object, or when the time is up.

    So the thread that swaps pays for freeing, never the query that is answered last. True where the
    object is gone with it.
    """
    until = time.monotonic() + timeout_seconds
    while (count := sys.getrefcount(held[0])) > _HELD_BY_THE_LIST and time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
    held.clear()
    return count <= _HELD_BY_THE_LIST


def give_back() -> None:
    """Return free pages to the operating system where the C library is glibc, which keeps them."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return trim
    except (OSError, AttributeError):
        return None
