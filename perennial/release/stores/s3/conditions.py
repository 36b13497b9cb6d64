"""Writes that count only where nobody else wrote meanwhile, on S3 and its look-alikes."""

import contextlib
import secrets
import time

from perennial.errors import PlaceUnusable
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import ConditionFailed

PROBES = "probes"
_NOBODYS = '"00000000000000000000000000000000"'


def put_where(bucket: Bucket, key: str, data: bytes, *, etag: str | None) -> str:
    """Write where the object has the ETag, or does not exist for None: its new ETag.

    Raises ConditionFailed where that is not so.
    """
    if etag is None:
        return bucket.put(key, data, IfNoneMatch="*")
    return bucket.put(key, data, IfMatch=etag)


def check_conditions(bucket: Bucket, *, attempts: int) -> bool:
    """True where ETags go in quotes, as S3 gives them, False where only bare ones are understood.

    Writes and removes a probe; raises PlaceUnusable for an endpoint that ignores conditions.
    """
    for attempt in range(attempts):
        key = f"{PROBES}/{secrets.token_hex(8)}"
        try:
            etag = put_where(bucket, key, b"probe", etag=None)
            if _accepts(bucket, key, None):
                raise _unfit(bucket, "If-None-Match", "one writer would erase what another made")
            if _accepts(bucket, key, _NOBODYS):
                raise _unfit(bucket, "If-Match", "of two writers at once both would win")
            for quoted in (True, False):
                if _accepts(bucket, key, etag if quoted else etag.strip('"')):
                    return quoted
        except ConditionFailed:  # our own first write, whose answer was lost
            pass
        finally:
            with contextlib.suppress(PlaceUnusable):
                bucket.erase(key)
        pause(attempt)
    raise PlaceUnusable(
        f"{bucket.place} refuses If-Match with the right ETag, so that no channel could ever move; "
        "keep the store on a service that follows S3's conditional writes"
    )


def pause(attempt: int) -> None:
    """Wait 50 ms after the first attempt, about twice as long after each one more, 2 s at most."""
    longest = min(2.0, 0.1 * 2**attempt)
    time.sleep(longest * (0.5 + secrets.randbelow(500) / 1000))


def _accepts(bucket: Bucket, key: str, etag: str | None) -> bool:
    try:
        put_where(bucket, key, b"probe", etag=etag)
    except ConditionFailed:
        return False
    return True


def _unfit(bucket: Bucket, header: str, consequence: str) -> PlaceUnusable:
    return PlaceUnusable(
        f"{bucket.place} ignores {header}: {consequence}, and no one would be told; keep the store "
        "on a service that honours conditional writes, such as Amazon S3 or SeaweedFS"
    )
