"""The folder that a reindex works in: one process at a time, and empty at the start."""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.errors import Refused
from perennial.release.caching.cache import ReleaseCache
from perennial.release.stores.durable import usable
from perennial.release.stores.store import Store

_OBJECTS = "cache"


@contextmanager
def alone_in(folder: Path) -> Iterator[tuple[Path, ReleaseCache]]:
    """An empty folder to work in and the objects of earlier calls; what a killed one left is gone.

    Raises Refused where another process works there, and PlaceUnusable.
    """
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another reindex works in {folder}; wait until it has ended, its result is the "
                "same"
            ) from None
        work = folder / "work"
        with usable(folder):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
        try:
            yield work, ReleaseCache(folder / _OBJECTS)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(lock)


def keep_only(cache: ReleaseCache, digests: Collection[str]) -> None:
    """Let go of every object that the next comparison will not ask for."""
    kept = {digest.removeprefix("sha256:") for digest in digests}
    with usable(cache.root), cache.held("lock", fcntl.LOCK_EX):
        for path in cache.root.glob("objects/??/*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)


def lineages_of_channels(store: Store) -> set[str]:
    """The encoders that some channel's history names: their vectors may be asked for again."""
    channels = [store.read_channel(name) for name in store.channel_names()]
    moves = [move for channel in channels if channel is not None for move in channel.history]
    return {move.lineage for move in moves if move.lineage is not None}
