"""What leaves a reader's cache: folders that nobody serves, objects that nobody links, debris."""

import fcntl
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from perennial.release.cache import ReleaseCache
from perennial.release.durable import usable

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
        channels = [path.read_bytes() for path in cache.root.glob("channels/*.json")]
        kept = {*keep, *(match.decode() for data in channels for match in _STABLE.findall(data))}
        for folder in cache.root.glob("releases/*"):
            if folder.name not in kept and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
        # Read as text: one name too many keeps an object for a while, one too few would lose it.
        manifests = [path.read_bytes() for path in cache.root.glob("releases/*/manifest.json")]
        named = {match.decode() for data in channels + manifests for match in _DIGEST.findall(data)}
        for path in cache.root.glob("objects/??/*"):
            if path.name not in named:
                path.unlink(missing_ok=True)
        cache.trusted.forget_gone({f"sha256:{name}" for name in named})
    return True


def _in_use(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "manifest.json", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
