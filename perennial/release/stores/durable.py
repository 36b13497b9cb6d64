"""Writing so that a reader, whenever anything is killed, finds the old file or the new one."""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from perennial.errors import PlaceUnusable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOT_A_FOLDER = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}
TEMPORARY_SUFFIX = ".tmp"
WRITABLE, READ_ONLY = 0o666, 0o444  # less what the umask takes away


@contextlib.contextmanager
def usable(place: Path) -> Iterator[None]:
    """Turns what the operating system refuses below `place` into PlaceUnusable with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            problem = "is full; free some space there, then run the same command again"
        elif error.errno in _FORBIDDEN:
            problem = (
                "is read-only or closed to this user; change its permissions or set another place"
            )
        elif error.errno in _NOT_A_FOLDER:
            problem = f"is not a usable folder ({error.filename} is in the way); remove that file"
        else:
            problem = f"cannot be used ({error.strerror or error}); look at the disk and its mount"
        raise PlaceUnusable(f"{place} {problem}") from error


def make_folder(folder: Path) -> None:
    """Make the folder and its parents, each one durable in its own parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another writer was first
        folder.mkdir()
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the file or folder for one writer; the kernel frees it when its holder is killed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_durably(path: Path, blocks: Iterable[bytes], *, mode: int = WRITABLE) -> None:
    """Put the blocks at `path`: temporary file, fsync, rename, fsync of the folder.

    Where a block raises, or the disk refuses, nothing is left and `path` is as it was.
    """
    make_folder(path.parent)
    _write_and_rename(path, blocks, mode=mode, sync=True)
    sync_folder(path.parent)


def write_atomically(path: Path, blocks: Iterable[bytes], *, mode: int = WRITABLE) -> None:
    """The same for what can be made again after a power cut: whole or absent, but not synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_and_rename(path, blocks, mode=mode, sync=False)


def remove_durably(path: Path) -> None:
    """Remove the file, if it is there, so that no power cut brings it back."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def link_atomically(source: Path, path: Path, check: Iterable[bytes]) -> bool:
    """Give the file `path` as a second name; False where the file system allows no such name.

    `check` is read to its end before the name appears; where it raises, nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        temporary.hardlink_to(source)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    try:
        for _ in check:
            pass
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # no rename happens onto another name of the same file
    return True


def link_durably(source: Path, path: Path, check: Iterable[bytes], *, mode: int) -> bool:
    """The same for good: bytes and name survive a power cut, and both names have the mode."""
    make_folder(path.parent)
    source.chmod(mode)
    os.utime(source)  # its age is that of its new name
    descriptor = os.open(source, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not link_atomically(source, path, check):
        return False
    sync_folder(path.parent)
    return True


def temporary_beside(path: Path) -> Path:
    """A new hidden name in the same folder, which everybody knows as unfinished work."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")


def _write_and_rename(path: Path, blocks: Iterable[bytes], *, mode: int, sync: bool) -> None:
    temporary = temporary_beside(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            for block in blocks:
                stream.write(block)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
