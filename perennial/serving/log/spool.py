"""A spool: the log's newest rows as Arrow streams, which a killed process leaves to the next.

A write reaches the operating system before it returns: only a power cut takes it away. The lock is
the kernel's, and free as soon as its holder is dead.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa

from perennial.data.schema import TABLES
from perennial.release.stores.durable import make_folder, usable

# The order in which they become visible: only a request makes the rest count.
ORDER = ("events", "impressions", "requests")
_LOCK, _STREAM = ".lock", ".arrows"


class Spool:
    """The streams of one process and one day, at `folder`/<day>.<name>.<table>.arrows."""

    def __init__(self, folder: Path, *, day: date, name: str) -> None:
        with usable(folder):
            make_folder(folder)
            self.path, self.day = folder / f"{day}.{name}", day
            new = self.path.with_name(self.path.name + ".new")
            self._lock = os.open(new, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                new.rename(_lock_of(self.path))  # held before anybody else can see it
            except OSError:
                os.close(self._lock)
                raise
        self._open = contextlib.ExitStack()
        self._writers: dict[str, tuple[pa.ipc.RecordBatchStreamWriter, pa.OSFile]] = {}
        self.rows = 0

    def append(self, table: str, rows: pa.RecordBatch) -> None:
        """Write the rows; raises OSError where the disk refuses, and is then of no more use."""
        if table not in self._writers:
            file = self._open.enter_context(pa.OSFile(str(stream_of(self.path, table)), "wb"))
            stream = pa.ipc.new_stream(file, TABLES[table])
            self._writers[table] = stream, file
        self._writers[table][0].write_batch(rows)
        self.rows += int(rows.num_rows)

    def close(self) -> None:
        """Write no more; the lock stays until `remove`, so that nobody else takes it over."""
        # Without the streams' end marks, which a full disk might refuse: readers do not need them.
        with contextlib.suppress(OSError):
            self._open.close()
        self._writers = {}

    def remove(self) -> None:
        """Delete the streams, then the lock: their rows lie elsewhere."""
        try:
            remove(self.path)
        finally:
            os.close(self._lock)


@contextlib.contextmanager
def abandoned(folder: Path) -> Iterator[list[Path]]:
    """The spools whose processes are dead, held until the end so that two do not take one."""
    held: list[int] = []
    found: list[Path] = []
    try:
        for lock in sorted(folder.glob(f"*{_LOCK}")):
            try:
                descriptor = os.open(lock, os.O_RDWR)
            except FileNotFoundError:  # another process has taken it over meanwhile
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # its process lives
                os.close(descriptor)
                continue
            held.append(descriptor)
            found.append(lock.with_name(lock.name.removesuffix(_LOCK)))
        yield found
    finally:
        for descriptor in held:
            os.close(descriptor)


def batches(path: Path, table: str) -> Iterator[pa.RecordBatch]:
    """What was written whole of one stream: its process may have died within a write."""
    file = stream_of(path, table)
    if not file.is_file():
        return
    with pa.OSFile(str(file)) as source:
        try:
            yield from pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError):
            return


def remove(path: Path) -> None:
    """Delete the files of a spool; the requests' first, which make the rest count."""
    for table in reversed(ORDER):
        stream_of(path, table).unlink(missing_ok=True)
    _lock_of(path).unlink(missing_ok=True)


def stream_of(path: Path, table: str) -> Path:
    """The file of one table."""
    return path.with_name(f"{path.name}.{table}{_STREAM}")


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)
