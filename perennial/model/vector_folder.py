"""The folder of the vector cache: who uses it, and how files in it are let go."""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.errors import PlaceUnusable, Refused

_BESIDE = ("", "-wal", "-shm")


def file_of(folder: Path, encoder_digest: str) -> Path:
    """Where the vectors of an encoder are kept."""
    return folder / f"{encoder_digest.removeprefix('sha256:')}.sqlite"


@contextmanager
def shared(folder: Path) -> Iterator[int]:
    """Holds the folder together with others that use it, so that nobody removes a file meanwhile.

    Yields the lock; raises PlaceUnusable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise PlaceUnusable(
            f"the vector cache {folder} cannot be used ({error.strerror}); make it writable or "
            "set PERENNIAL_CACHE to another folder"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock
    finally:
        os.close(lock)


def remove_damaged(lock: int, path: Path, problem: object) -> None:
    """Remove a file that sqlite cannot read; raises Refused while another process uses it."""
    if not _alone(lock):
        raise Refused(
            f"the vector cache {path} is damaged ({problem}) and another process uses it; run "
            "again when that has ended"
        )
    _remove(path)
    fcntl.flock(lock, fcntl.LOCK_SH)


def prune(folder: Path, *, keep: Collection[str], max_bytes: int) -> list[str]:
    """Remove the files of encoders that are not in `keep`, then, longest unused first, those of
    others while all are over `max_bytes`; the encoder digests. Removes none while one is in use."""
    if not folder.is_dir():
        return []
    gone = []
    with shared(folder) as lock:
        if not _alone(lock):
            return []
        files = sorted(folder.glob("*.sqlite"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        for path in sorted(files, key=lambda path: f"sha256:{path.stem}" in keep):
            if f"sha256:{path.stem}" not in keep or total > max_bytes:
                total -= path.stat().st_size
                _remove(path)
                gone.append(f"sha256:{path.stem}")
    return gone


def _remove(path: Path) -> None:
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _alone(lock: int) -> bool:
    """True, and the folder is held against everybody, where nobody else holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(lock, fcntl.LOCK_SH)
        return False
    return True
