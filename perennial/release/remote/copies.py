"""Every copy of every file of the remote, also those that only an old version of the bucket has."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.data.scratch import own_folder
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import NotThere

_PARQUET = b"PAR1"
_HEAD_BYTES = 16
_NUMBERS = (b"Ix", b"IB", b"\x93NUMPY")  # FAISS, and NumPy
_SAFETENSORS = b'{"'  # behind eight bytes of length


@dataclass(frozen=True)
class Copies:
    """The copies in a folder of this machine, and the key that each was fetched from; the `seen`
    are the versions that were there."""

    bucket: Bucket
    folder: Path
    keys: dict[Path, str]
    seen: set[tuple[str, str]]

    def erase(self, path: Path) -> None:
        """Remove what the copy was fetched from, in every version that the bucket keeps."""
        key = self.keys[path]
        self.bucket.erase(key)
        self.seen.difference_update([each for each in self.seen if each[0] == key])

    def arrived(self) -> list[str]:
        """The keys that have a version now which nobody looked into: a push was at work."""
        return sorted(
            {str(row["Key"]) for row in self.bucket.versions("") if _name(row) not in self.seen}
        )


@contextmanager
def fetched(bucket: Bucket, *, numbers: bool) -> Iterator[Copies]:
    """All of them, in a folder that goes at the end, or with the next where this one is killed;
    without `numbers` none of the files that hold nothing else, which are most of the bytes."""
    with own_folder(Path(tempfile.gettempdir()), prefix="perennial-remote-") as folder:
        keys, bodies, seen = dict[Path, str](), set[tuple[str, str]](), set[tuple[str, str]]()
        for row in bucket.versions(""):
            key, size = str(row["Key"]), int(row["Size"])
            version = {} if "VersionId" not in row else {"VersionId": row["VersionId"]}
            seen.add(_name(row))
            if not size or (key, row["ETag"]) in bodies:  # another version of the same bytes
                continue
            bodies.add((key, row["ETag"]))
            path = folder / str(len(bodies))  # never by the key, which others choose
            with suppress(NotThere):  # it went meanwhile
                if numbers or not _is_numbers(bucket, key, size, version):
                    bucket.fetch(key, path, **version)
                    keys[_named(path)] = key
        yield Copies(bucket, folder, keys, seen)


def _name(row: dict[str, Any]) -> tuple[str, str]:
    """A version's name, or, in a bucket that keeps none, what stands for it."""
    return str(row["Key"]), str(row.get("VersionId", row["ETag"]))


def _named(path: Path) -> Path:
    """The copy, called a table where it is one: DVC's own names say nothing."""
    with path.open("rb") as stream:
        is_table = stream.read(4) == _PARQUET
    return path.rename(path.with_name(f"{path.name}.parquet")) if is_table else path


def _is_numbers(bucket: Bucket, key: str, size: int, version: dict[str, Any]) -> bool:
    head = bucket.get_range(key, 0, min(size, _HEAD_BYTES), **version)
    if head[8:10] == _SAFETENSORS:
        return int.from_bytes(head[:8], "little") < size
    return head.startswith(_NUMBERS)
