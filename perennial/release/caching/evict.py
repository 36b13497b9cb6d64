"""What leaves a reader's cache: folders that nobody serves, objects that nobody links, debris."""

import fcntl
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from perennial.release.caching.cache import ReleaseCache
from perennial.release.stores.durable import usable

_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")
_STABLE = re.compile(rb'"stable": "(rel-[0-9a-f]{12})"')


def evict(cache: ReleaseCache, *, keep: Collection[str]) -> bool:
    """Remove every release that is neither in `keep`, nor in use, nor what a channel served last.

    Then every object that no folder names, and what killed processes left. False, and nothing
    removed, while another process opens a release.
    """
    with usable(cache.root), cache.held("lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        if not alone:
            return False
        channels = [_read(entry.path) for entry in _entries(cache.root / "channels")]
        kept = {*keep, *(match.decode() for data in channels for match in _STABLE.findall(data))}
        left = []
        for folder in _entries(cache.root / "releases"):
            if folder.name in kept or _in_use(folder.path):
                left.append(_read(f"{folder.path}/manifest.json"))
            else:
                shutil.rmtree(folder.path, ignore_errors=True)
        # Read as text: one name too many keeps an object for a while, one too few would lose it.
        named = {match.decode() for data in channels + left for match in _DIGEST.findall(data)}
        for shelf in _entries(cache.root / "objects"):
            for entry in _entries(shelf.path):
                if entry.name not in named:
                    Path(entry).unlink(missing_ok=True)
        cache.trusted.forget_gone({f"sha256:{name}" for name in named})
    return True


def _entries(folder: Path | str) -> "list[os.DirEntry[str]]":
    """What stands in the folder; not by pathlib, which costs live queries a millisecond."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return b""


def _in_use(folder: str) -> bool:
    try:
        descriptor = os.open(f"{folder}/manifest.json", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
