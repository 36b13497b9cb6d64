"""From the place that the environment names to the store that is there."""

import re
from pathlib import Path

from perennial.errors import BadInput
from perennial.release.stores.local import LocalStore
from perennial.release.stores.s3.store import S3Store
from perennial.release.stores.store import Store
from perennial.workspace import s3_encryption

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def open_store(place: str) -> Store:
    """The store of a folder, `file://` or `s3://bucket/prefix`; raises BadInput for others.

    Endpoint, region and credentials of S3 are boto3's to find in the environment.
    """
    scheme, separator, rest = place.partition("://")
    if not separator:
        return LocalStore(Path(place).absolute())
    if scheme == "file":
        return LocalStore(Path(rest).absolute())
    if scheme == "s3":
        bucket, prefix = bucket_of(place, what="the store")
        sse, kms_key_id = s3_encryption()
        return S3Store(bucket, prefix, sse=sse, kms_key_id=kms_key_id)
    raise BadInput(
        f"the store {place!r} is neither a folder nor an address that is understood; write a path, "
        "file:// or s3://bucket/prefix"
    )


def bucket_of(place: str, *, what: str) -> tuple[str, str]:
    """(bucket, prefix) of `s3://bucket/prefix`; raises BadInput for another address."""
    scheme, _, rest = place.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or _BUCKET.fullmatch(bucket) is None:
        raise BadInput(
            f"{what} {place!r} names no bucket; write s3://bucket/prefix, the bucket in lower case"
        )
    return bucket, prefix.strip("/")
