"""A file that arrives in parts, in any order, and goes on after a break where it stopped."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.release.stores.durable import READ_ONLY, TEMPORARY_SUFFIX, temporary_beside


class PartialFile:
    """The parts that are there stand in a journal beside it, each line written after its part.

    Nothing is synced: after a power cut the journal may say more than the disk holds, so that the
    whole is checked by its digest before it counts.
    """

    def __init__(self, path: Path, descriptor: int, what: str) -> None:
        self.path, self._descriptor = path, descriptor
        self._journal = path.with_name(
            path.name.replace(TEMPORARY_SUFFIX, f".parts{TEMPORARY_SUFFIX}")
        )
        self.done = self._read_journal(what)
        if not self.done:
            os.ftruncate(descriptor, 0)
            self._journal.write_text(f"{what}\n", encoding="ascii")

    def write(self, number: int, offset: int, data: bytes) -> None:
        """Keep part `number`; safe for many threads."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written
        with self._journal.open("a", encoding="ascii") as journal:  # one write, at the end
            journal.write(f"{number}\n")

    def forget(self) -> None:
        """Remove the file and its journal."""
        self.path.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def finish(self, to: Path) -> None:
        """Give the file its name, closed to writers."""
        os.fchmod(self._descriptor, READ_ONLY & os.fstat(self._descriptor).st_mode)
        self.path.replace(to)
        self._journal.unlink(missing_ok=True)

    def _read_journal(self, what: str) -> frozenset[int]:
        try:
            first, *lines = self._journal.read_text(encoding="ascii").split("\n")[:-1]
        except (FileNotFoundError, ValueError):  # ValueError: empty, or bytes that no journal has
            return frozenset()
        whole = first == what and all(line.isdecimal() for line in lines)
        return frozenset(int(line) for line in lines) if whole else frozenset()


@contextmanager
def partial_file(to: Path, *, name: str, what: str) -> Iterator[PartialFile]:
    """The unfinished file of that name beside `to`, or a new one where another process has it.

    `what` says what arrives, in one line: a journal of something else starts anew.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    shared = to.with_name(f".{to.name}.{name}{TEMPORARY_SUFFIX}")
    descriptor, path = _open_alone(shared), shared
    if descriptor is None:
        path = temporary_beside(to)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        partial = PartialFile(path, descriptor, what)
        try:
            yield partial
        except BaseException:
            if path != shared:  # nobody would find it again
                partial.forget()
            raise
    finally:
        os.close(descriptor)


def _open_alone(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        try:  # its last holder may have finished it, and given it its name, before we had the lock
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
