"""One sqlite file of the vector cache: 32-byte keys, float32 rows, and a checksum on each."""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np

from perennial.errors import PlaceUnusable, Refused

FORMAT_VERSION = 1
WAIT_SECONDS = 60.0
_SCHEMA = """
create table if not exists about (encoder text not null, dimension integer not null);
create table if not exists vectors (
    digest blob not null unique, vector blob not null, checksum integer not null)
"""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class DamagedFile(Exception):
    """The file is not what this module wrote."""


class VectorFile:
    """An open file; a bit that flipped in a row is noticed when it is read, and the row is lost."""

    def __init__(self, path: Path, *, encoder_digest: str, dimension: int) -> None:
        self.path, self.encoder_digest, self.dimension = path, encoder_digest, dimension
        with _in_words(path):
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        try:
            with _in_words(path):
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    @staticmethod
    def dimension_of(path: Path) -> int:
        """What the file says its rows have; 0 where it cannot be read."""
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                return int(connection.execute("select dimension from about").fetchone()[0])
        except (sqlite3.Error, TypeError, ValueError):
            return 0

    def close(self) -> None:
        self._connection.close()

    def count(self) -> int:
        """How many texts are kept."""
        return int(self._one("select count(*) from vectors"))

    def read(self, keys: Sequence[bytes]) -> tuple[dict[bytes, bytes], int]:
        """({key: float32 bytes} of those that are kept, how many were damaged and are now gone)."""
        marks = ", ".join("?" * len(keys))
        query = f"select digest, vector, checksum from vectors where digest in ({marks})"  # noqa: S608
        with _in_words(self.path):
            found = self._connection.execute(query, keys).fetchall()
        width = 4 * self.dimension
        good = {
            key: vector
            for key, vector, checksum in found
            if len(vector) == width and checksum == _checksum(key, vector)
        }
        if lost := [key for key, _, _ in found if key not in good]:
            self._delete(lost)
        return good, len(lost)

    def write(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Keep (n, d) rows under their keys, all or none; what is kept already stays as it is."""
        vectors = [row.tobytes() for row in np.ascontiguousarray(rows, dtype="<f4")]
        checksums = starmap(_checksum, zip(keys, vectors, strict=True))
        with self._writing() as connection:
            connection.executemany(
                "insert or ignore into vectors values (?, ?, ?)",
                zip(keys, vectors, checksums, strict=True),
            )

    def retain(self, keys: Iterable[bytes]) -> int:
        """Remove every other row; their room is used again. How many they were."""
        with self._writing() as connection:
            connection.execute("create temp table if not exists kept (digest blob primary key)")
            connection.execute("delete from kept")
            connection.executemany("insert or ignore into kept values (?)", ((k,) for k in keys))
            gone = connection.execute(
                "delete from vectors where digest not in (select digest from kept)"
            ).rowcount
        return int(gone)

    def forget(self, keys: Sequence[bytes]) -> int:
        """Remove the rows, what earlier deletions left in free pages, and the log; how many rows.

        Raises Refused where another process keeps a page of them open.
        """
        gone = self._delete(keys)
        with _in_words(self.path):
            self._connection.execute("vacuum")
            busy, _, _ = self._connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        if busy:
            raise Refused(
                f"{self.path} is in use by another process, so that its old pages cannot be "
                "removed yet; run the same command again when that has ended"
            )
        return gone

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("pragma page_size = 16384")  # several rows of 1024 dimensions per page
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")  # a power cut costs rows, never the file
        connection.execute("pragma temp_store = memory")
        connection.execute("pragma secure_delete = on")
        version = int(self._one("pragma user_version"))
        if version not in (0, FORMAT_VERSION):
            raise DamagedFile(f"it has the format {version}, this program reads {FORMAT_VERSION}")
        with self._writing():
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            about = connection.execute("select encoder, dimension from about").fetchall()
            if not about:
                connection.execute(
                    "insert into about values (?, ?)", (self.encoder_digest, self.dimension)
                )
                connection.execute(f"pragma user_version = {FORMAT_VERSION}")
        if about not in ([], [(self.encoder_digest, self.dimension)]):
            raise DamagedFile(f"it says that it is of {about[0]}")

    def _delete(self, keys: Sequence[bytes]) -> int:
        with self._writing() as connection:
            cursor = connection.executemany(
                "delete from vectors where digest = ?", ((key,) for key in keys)
            )
            return int(cursor.rowcount)

    def _one(self, query: str) -> Any:
        with _in_words(self.path):
            return self._connection.execute(query).fetchone()[0]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _in_words(self.path):
            self._connection.execute("begin immediate")
            try:
                yield self._connection
                self._connection.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("rollback")
                raise


def _checksum(key: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(key))


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turns what sqlite refuses into DamagedFile, or into a failure that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _DAMAGED:
            raise DamagedFile(str(error)) from error
        if code in _BUSY:
            raise Refused(
                f"{path} was in use by another process for {WAIT_SECONDS:.0f} s; run again when "
                "that has ended"
            ) from error
        raise PlaceUnusable(
            f"the vector cache {path} cannot be used ({error}); free some space there or make it "
            "writable, then run again to continue"
        ) from error
