"""The objects of a store on a local disk: content-addressed, read-only files."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

from perennial.model.digest import file_digest
from perennial.release.stores.durable import (
    READ_ONLY,
    link_atomically,
    link_durably,
    remove_durably,
    sync_folder,
    usable,
    write_atomically,
    write_durably,
)
from perennial.release.stores.keys import digest_of, object_key
from perennial.release.stores.store import Progress, StoredObject, silent
from perennial.release.stores.verified import CHANGED, DAMAGED, bytes_digest, file_blocks, missing


class LocalObjects:
    """Immutable files below `objects/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_file(
        self,
        path: Path,
        *,
        digest: str | None = None,
        progress: Progress = silent,
        is_given: bool = False,
    ) -> tuple[str, int]:
        """Keep the file's bytes as an object: (digest, bytes); IntegrityError if they are others.

        Without a digest an object that rotted is healed. A file that is given away, which nobody
        writes to any more, becomes the object itself where the file system allows it.
        """
        size = path.stat().st_size
        found = digest or file_digest(path)
        there = self._object(found)
        with usable(self.root):
            if self._is_kept(found, size, read=digest is None):
                sync_folder(there.parent)  # its writer may not have come that far
                progress(size)
            elif not (
                is_given
                and link_durably(
                    path, there, _told(file_blocks(path, found, CHANGED), progress), mode=READ_ONLY
                )
            ):
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
            try:
                about = path.stat()
            except FileNotFoundError:  # not there, or swept a moment ago
                return None
            return about.st_size if S_ISREG(about.st_mode) else None

    def sizes(self, digests: Iterable[str]) -> dict[str, int | None]:
        """The sizes of many objects, None for each that is not there."""
        return {digest: self.size(digest) for digest in digests}

    def fetch(self, digest: str, to: Path, *, progress: Progress = silent) -> None:
        """Put the object at `to`, verified or not at all: a hard link where that can be."""
        path = self._object(digest)
        with usable(to.parent):
            if not path.is_file():
                raise missing(digest, str(self.root))
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
        with usable(self.root):
            remove_durably(self._object(digest))

    def _is_kept(self, digest: str, size: int, *, read: bool) -> bool:
        if self.size(digest) != size:
            return False
        try:
            return not read or file_digest(self._object(digest)) == digest
        except FileNotFoundError:  # swept a moment ago
            return False

    def _blocks(self, digest: str) -> Iterator[bytes]:
        try:
            yield from file_blocks(self._object(digest), digest, DAMAGED)
        except FileNotFoundError:
            raise missing(digest, str(self.root)) from None

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
