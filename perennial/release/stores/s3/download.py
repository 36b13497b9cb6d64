"""Objects from S3: ranges in parallel, verified by their digest before anything counts."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from perennial.model.digest import file_digest
from perennial.release.stores.durable import READ_ONLY, write_atomically
from perennial.release.stores.partial import PartialFile, partial_file
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import NotThere
from perennial.release.stores.store import Progress
from perennial.release.stores.verified import DAMAGED, bytes_digest, check_digest, missing

Ranges = list[tuple[int, int, int]]


def download(
    bucket: Bucket,
    key: str,
    to: Path,
    *,
    digest: str,
    threshold_bytes: int,
    part_bytes: int,
    workers: int,
    progress: Progress,
) -> None:
    """Put the object at `to`, verified or not at all; raises IntegrityError.

    Above the threshold a break leaves the parts that are there for the next run.
    """
    try:
        size, data = bucket.get_small(key, most_bytes=threshold_bytes)
        if data is not None:
            check_digest(_name(key), bytes_digest(data), digest, DAMAGED)
            write_atomically(to, [data], mode=READ_ONLY)
            progress(size)
            return
        ranges = _ranges(size, part_bytes)
        what = f"{digest} {size} {part_bytes}"
        for last in (False, True):
            with partial_file(to, name=digest[7:23], what=what) as partial:
                last = last or not partial.done
                _fill(bucket, key, partial, ranges, workers=workers, progress=progress)
                actual = file_digest(partial.path)
                if actual == digest:
                    partial.finish(to)
                    return
                partial.forget()
            if last:  # else what lay there may be to blame: once more, from nothing
                check_digest(_name(key), actual, digest, DAMAGED)
    except NotThere as error:
        raise missing(digest, bucket.place) from error


def _fill(
    bucket: Bucket,
    key: str,
    partial: PartialFile,
    ranges: Ranges,
    *,
    workers: int,
    progress: Progress,
) -> None:
    def bring(number: int, start: int, end: int) -> int:
        data = bucket.get_range(key, start, end)
        partial.write(number, start, data)
        return len(data)

    progress(sum(end - start for number, start, end in ranges if number in partial.done))
    with ThreadPoolExecutor(workers) as pool:
        absent = [part for part in ranges if part[0] not in partial.done]
        try:
            for done in as_completed([pool.submit(bring, *part) for part in absent]):
                progress(done.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def verified_blocks(
    bucket: Bucket, key: str, *, digest: str, part_bytes: int, workers: int
) -> Iterator[bytes]:
    """The object's parts in order; raises IntegrityError after the last one for other bytes."""
    found = hashlib.sha256()
    try:
        for block in _blocks(bucket, key, part_bytes=part_bytes, workers=workers):
            found.update(block)
            yield block
    except NotThere as error:
        raise missing(digest, bucket.place) from error
    check_digest(_name(key), f"sha256:{found.hexdigest()}", digest, DAMAGED)


def _blocks(bucket: Bucket, key: str, *, part_bytes: int, workers: int) -> Iterator[bytes]:
    size, data = bucket.get_small(key, most_bytes=part_bytes)
    if data is not None:
        yield data
        return
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[bytes]] = deque()
        for _, start, end in _ranges(size, part_bytes):
            under_way.append(pool.submit(bucket.get_range, key, start, end))
            if len(under_way) > workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _ranges(size: int, part_bytes: int) -> Ranges:
    """(number, start, end) of every part."""
    starts = range(0, size, part_bytes)
    return [(n, start, min(start + part_bytes, size)) for n, start in enumerate(starts)]


def _name(key: str) -> str:
    return key.rpartition("/")[2]
