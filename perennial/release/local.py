"""The store on a local disk: content-addressed files, and channels swapped under a lock."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from perennial.model.digest import file_digest
from perennial.release.durable import (
    READ_ONLY,
    TEMPORARY_SUFFIX,
    link_atomically,
    locked,
    make_folder,
    sync_folder,
    usable,
    write_atomically,
    write_durably,
)
from perennial.release.keys import digest_of, object_key
from perennial.release.named import Named, Question, Swap
from perennial.release.store import Progress, StoredObject, silent
from perennial.release.verified import CHANGED, DAMAGED, bytes_digest, file_blocks, missing

# A file that changed this recently may change again without its time showing it.
_RACY_NANOSECONDS = 100_000_000
_Stamp = tuple[int, int, int]


class LocalStore(Named):
    """A folder; nothing is made in it before the first write."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self._seen: dict[str, tuple[_Stamp, bytes]] = {}

    @property
    def place(self) -> str:
        return str(self.root)

    def put_file(
        self, path: Path, *, digest: str | None = None, progress: Progress = silent
    ) -> tuple[str, int]:
        """Keep the file's bytes as an object: (digest, bytes); IntegrityError if they are others.

        Without a digest an object that rotted is healed.
        """
        size = path.stat().st_size
        found = digest or file_digest(path)
        there = self._object(found)
        with usable(self.root):
            if self._is_kept(found, size, read=digest is None):
                sync_folder(there.parent)  # its writer may not have come that far
                progress(size)
            else:
                blocks = _told(file_blocks(path, found, CHANGED), progress)
                write_durably(there, blocks, mode=READ_ONLY)
        return found, size

    def put_bytes(self, data: bytes) -> tuple[str, int]:
        """Keep the bytes as an object: (digest, bytes)."""
        digest = bytes_digest(data)
        with usable(self.root):
            if self._is_kept(digest, len(data), read=True):
                sync_folder(self._object(digest).parent)
            else:
                write_durably(self._object(digest), [data], mode=READ_ONLY)
        return digest, len(data)

    def has(self, digest: str) -> bool:
        """True where the object is there."""
        return self.size(digest) is not None

    def size(self, digest: str) -> int | None:
        """The object's bytes, None where it is not there."""
        path = self._object(digest)
        with usable(self.root):
            return path.stat().st_size if path.is_file() else None

    def sizes(self, digests: Iterable[str]) -> dict[str, int | None]:
        """The sizes of many objects, None for each that is not there."""
        return {digest: self.size(digest) for digest in digests}

    def fetch(self, digest: str, to: Path, *, progress: Progress = silent) -> None:
        """Put the object at `to`, verified or not at all: a hard link where that can be."""
        path = self._object(digest)
        with usable(to.parent):
            if not path.is_file():
                raise missing(digest, self.place)
            if not link_atomically(path, to, _told(self._blocks(digest), progress)):
                write_atomically(to, _told(self._blocks(digest), progress), mode=READ_ONLY)

    def read(self, digest: str) -> bytes:
        """The object's verified bytes; raises IntegrityError."""
        with usable(self.root):
            return b"".join(self._blocks(digest))

    def check(self, digest: str) -> None:
        """Read the whole object and keep nothing of it; raises IntegrityError."""
        with usable(self.root):
            for _ in self._blocks(digest):
                pass

    def digests(self) -> list[str]:
        """The digests of all objects, sorted."""
        return sorted(digest for digest, _ in self._object_files())

    def objects(self) -> list[StoredObject]:
        """All objects, sorted by digest; one that is deleted meanwhile is left out."""
        found = []
        for digest, path in sorted(self._object_files()):
            with usable(self.root), contextlib.suppress(FileNotFoundError):
                about = path.stat()
                modified = datetime.fromtimestamp(about.st_mtime, UTC)
                found.append(StoredObject(digest, about.st_size, modified))
        return found

    def delete(self, digest: str) -> None:
        """Remove the object if it is there."""
        self._erase(object_key(digest))

    def debris(self, *, before: datetime) -> list[str]:
        """The temporary files that nobody wrote to since `before`, sorted, below the root."""
        found = []
        with usable(self.root):
            for path in self.root.rglob(f".*{TEMPORARY_SUFFIX}"):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before.timestamp():
                        found.append(path.relative_to(self.root).as_posix())
        return sorted(found)

    def remove_debris(self, *, before: datetime) -> None:
        """Remove them."""
        for key in self.debris(before=before):
            self._erase(key)

    def check_conditions(self) -> None:
        """Nothing to check: the lock is the kernel's."""

    def _is_kept(self, digest: str, size: int, *, read: bool) -> bool:
        path = self._object(digest)
        if not path.is_file() or path.stat().st_size != size:
            return False
        return not read or file_digest(path) == digest

    def _read(self, key: str) -> bytes | None:
        with usable(self.root):
            try:
                return (self.root / key).read_bytes()
            except FileNotFoundError:
                return None

    def _read_again(self, key: str) -> bytes | None:
        with usable(self.root), contextlib.suppress(FileNotFoundError):
            about = (self.root / key).stat()
            stamp = about.st_ino, about.st_size, about.st_mtime_ns
            known = self._seen.get(key)
            if known is not None and known[0] == stamp:
                return known[1]
            data = (self.root / key).read_bytes()
            if time.time_ns() - about.st_mtime_ns > _RACY_NANOSECONDS:
                self._seen[key] = stamp, data
            return data
        return None

    def _write(self, key: str, data: bytes) -> None:
        with usable(self.root):
            write_durably(self.root / key, [data])

    def _erase(self, key: str) -> None:
        path = self.root / key
        with usable(self.root), contextlib.suppress(FileNotFoundError):
            path.unlink()
            sync_folder(path.parent)

    def _keys(self, folder: str) -> list[str]:
        found = (self.root / folder).rglob("*.json")
        return [path.relative_to(self.root).as_posix() for path in found]

    def _swap(
        self, key: str, new: bytes | None, *, is_expected: Question, is_ours: Question
    ) -> Swap:
        with usable(self.root), self._lock():
            found = self._read(key)
            if not is_expected(found):
                return Swap(won=False, found=found)
            if new is None:
                self._erase(key)
            else:
                write_durably(self.root / key, [new])
            return Swap(won=True, found=new)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        make_folder(self.root)
        (self.root / ".lock").touch()  # a file, because NFS locks no folder
        with locked(self.root / ".lock"):
            yield

    def _blocks(self, digest: str) -> Iterator[bytes]:
        path = self._object(digest)
        if not path.is_file():
            raise missing(digest, self.place)
        yield from file_blocks(path, digest, DAMAGED)

    def _object(self, digest: str) -> Path:
        return self.root / object_key(digest)

    def _object_files(self) -> Iterator[tuple[str, Path]]:
        for path in self.root.glob("objects/??/*"):
            digest = digest_of(path.relative_to(self.root).as_posix())
            if digest is not None:
                yield digest, path


def _told(blocks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for block in blocks:
        yield block
        progress(len(block))
