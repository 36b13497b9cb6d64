"""Folders that are being made, or were when their maker was killed: whose they are, nobody knows.

Whoever makes one shares a lock of the folder around it, which the kernel frees when he is killed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INCOMING, REPRODUCING = ".incoming-", ".reproducing-"
_OF_RUNS = (f"{INCOMING}*", f"{REPRODUCING}*")
_OF_CHECKOUT = (".snapshot.partial", ".snapshot.old")


@contextmanager
def making(place: Path) -> Iterator[None]:
    """While something is made in the place; waits until nobody forgets a session there."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def nobody_makes(place: Path) -> Iterator[bool]:
    """Whether nothing is being made there, and nothing begins to be while the body runs."""
    if not place.is_dir():
        yield True
        return
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def half_made(place: Path) -> list[Path]:
    """What lies there and was not made to its end, or not yet."""
    found = (path for name in (*_OF_RUNS, *_OF_CHECKOUT) for path in place.glob(name))
    return sorted(path for path in found if path.is_dir())
