"""The store on a local disk: content-addressed files, and channels swapped under a lock."""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from perennial.release.stores.durable import (
    TEMPORARY_SUFFIX,
    locked,
    make_folder,
    remove_durably,
    usable,
    write_durably,
)
from perennial.release.stores.local_objects import LocalObjects
from perennial.release.stores.named import Named, Question, Swap
from perennial.release.stores.verified import check_small

# A file that changed this recently may change again without its time showing it.
_RACY_NANOSECONDS = 100_000_000
_Stamp = tuple[int, int, int]


class LocalStore(LocalObjects, Named):
    """A folder; nothing is made in it before the first write."""

    def __init__(self, root: Path) -> None:
        Named.__init__(self)
        LocalObjects.__init__(self, root)
        self._seen: dict[str, tuple[_Stamp, bytes]] = {}

    @property
    def place(self) -> str:
        return str(self.root)

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

    def _read(self, key: str) -> bytes | None:
        with usable(self.root):
            try:
                check_small(key, (self.root / key).stat().st_size, self.place)
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
            check_small(key, about.st_size, self.place)
            data = (self.root / key).read_bytes()
            if time.time_ns() - about.st_mtime_ns > _RACY_NANOSECONDS:
                self._seen[key] = stamp, data
            return data
        return None

    def _write(self, key: str, data: bytes) -> None:
        with usable(self.root):
            write_durably(self.root / key, [data])

    def _drop(self, key: str) -> None:
        with usable(self.root):
            remove_durably(self.root / key)

    def _erase(self, key: str) -> None:
        self._drop(key)

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
