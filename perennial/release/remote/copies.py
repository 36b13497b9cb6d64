"""Every copy of every file of the remote, also those that only an old version of the bucket has."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import NotThere

_PARQUET = b"PAR1"
_HEAD_BYTES = 16
_NUMBERS = (b"Ix", b"IB", b"\x93NUMPY")  # FAISS, and NumPy
_SAFETENSORS = b'{"'  # behind eight bytes of length


@dataclass(frozen=True)
class Copies:
    """The copies in a folder of this machine, and the key that each was fetched from."""

    bucket: Bucket
    folder: Path
    keys: dict[Path, str]

    def erase(self, path: Path) -> None:
        """Remove what the copy was fetched from, in every version that the bucket keeps."""
        self.bucket.erase(self.keys[path])


@contextmanager
def fetched(bucket: Bucket, *, numbers: bool) -> Iterator[Copies]:
    """All of them, in a folder that goes at the end; without `numbers` none of the files that hold
    nothing else, which are most of the bytes."""
    with tempfile.TemporaryDirectory(prefix="perennial-remote-") as name:
        folder, keys, seen = Path(name), dict[Path, str](), set[tuple[str, str]]()
        for row in bucket.versions(""):
            key, size = str(row["Key"]), int(row["Size"])
            version = {} if "VersionId" not in row else {"VersionId": row["VersionId"]}
            if not size or (key, row["ETag"]) in seen:  # another version of the same bytes
                continue
            seen.add((key, row["ETag"]))
            path = folder / str(len(seen)) / key
            path.parent.mkdir(parents=True)
            with suppress(NotThere):  # it went meanwhile
                if numbers or not _is_numbers(bucket, key, size, version):
                    bucket.fetch(key, path, **version)
                    keys[_named(path)] = key
        yield Copies(bucket, folder, keys)


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
