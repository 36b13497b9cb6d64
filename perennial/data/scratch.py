"""A folder that goes with its process: by itself, or with the next one's where it was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_folder(place: Path, *, prefix: str) -> Iterator[Path]:
    """A new folder in `place` that nobody else reads, removed in the end; those whose processes
    were killed go first.

    Whoever lives holds a lock on its own, which the kernel takes away with the process.
    """
    with _locked(place):
        for left in place.glob(f"{prefix}*"):
            _remove_if_free(left)
        # mkdtemp's mode is 0700: what is worked on are people's own words.
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_if_free(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # it went, or is another user's
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
