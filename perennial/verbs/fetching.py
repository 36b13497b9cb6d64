"""What lies below a prefix of a bucket, brought to a folder, so that an import reads it there."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from perennial.data.schema import TABLES
from perennial.errors import BadInput, PlaceUnusable
from perennial.release.stores.open import bucket_of
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import ConditionFailed

_WORKERS = 4
_PART_BYTES = 16 << 20
_TIMEOUT_SECONDS, _ATTEMPTS = 30.0, 5


@contextmanager
def brought(place: str, *, beside: Path) -> Iterator[Path]:
    """The folder itself, or that of an `s3://bucket/prefix` while the body runs, with all of its
    tables; raises BadInput for an address that is none, PlaceUnusable for a bucket that is not.
    `drop_fetched` first: what a killed import had brought would be taken for what is there."""
    if "://" not in place:
        yield Path(place)
        return
    name, prefix = bucket_of(place, what="the source")
    bucket = Bucket(
        name,
        prefix,
        sse=None,
        kms_key_id=None,
        connections=_WORKERS,
        timeout_seconds=_TIMEOUT_SECONDS,
        attempts=_ATTEMPTS,
    )
    found = [row for row in bucket.list("") if _is_of_a_table(row["Key"])]
    if not any(row["Key"].startswith(("catalogue.", "catalogue/")) for row in found):
        raise BadInput(
            f"{bucket.place} holds no catalogue.parquet and no catalogue/*.parquet; correct --path"
        )
    folder = _fetched_folder(beside)
    try:
        with ThreadPoolExecutor(_WORKERS) as pool:
            under_way = [pool.submit(_fetch, bucket, row, folder / row["Key"]) for row in found]
            try:
                for each in under_way:
                    each.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        yield folder
    except OSError as error:
        raise PlaceUnusable(
            f"cannot keep {bucket.place} in {folder} meanwhile: {error.strerror or error}; make "
            "the folder writable or free some space, then run the same command again"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drop_fetched(*, beside: Path) -> None:
    """Drop what a killed import had brought: whoever imports next, from wherever, needs none."""
    shutil.rmtree(_fetched_folder(beside), ignore_errors=True)


def _fetched_folder(beside: Path) -> Path:
    return beside.with_name(f".{beside.name}.fetched")


def _fetch(bucket: Bucket, row: dict[str, Any], to: Path) -> None:
    """The object as it was listed: never the parts of two writes of it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    key, size = row["Key"], int(row["Size"])
    try:
        with to.open("wb") as file:
            for start in range(0, size, _PART_BYTES):
                end = min(start + _PART_BYTES, size)
                file.write(bucket.get_range(key, start, end, IfMatch=row["ETag"]))
    except ConditionFailed as error:
        raise PlaceUnusable(
            f"{bucket.place}/{key} was written anew while it was read; run the same command again"
        ) from error


def _is_of_a_table(key: str) -> bool:
    """True for requests/date=2026-01-05/x.parquet, and for no way out of the folder."""
    path = PurePosixPath(key)
    hidden = any(part[0] in "._/" for part in path.parts)
    first = path.parts[0] if path.parts else ""
    is_table = first in TABLES if len(path.parts) > 1 else path.stem in TABLES
    return is_table and path.suffix == ".parquet" and not hidden
