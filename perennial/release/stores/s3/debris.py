"""What killed writers leave in a bucket: unfinished uploads, and probes of the conditions."""

from collections.abc import Iterator
from datetime import datetime

from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.conditions import PROBES
from perennial.release.stores.s3.errors import NotThere, NoUpload
from perennial.release.stores.s3.upload import abort, parts, uploads


def debris(bucket: Bucket, *, before: datetime) -> Iterator[tuple[str, str | None]]:
    """(key, upload id or None for a probe) of what nobody touched since then."""
    for row in bucket.list(f"{PROBES}/"):
        if row["LastModified"] < before:
            yield row["Key"], None
    for row in uploads(bucket, ""):
        if row["Initiated"] < before:
            try:
                sent = [part["LastModified"] for part in parts(bucket, row["Key"], row["UploadId"])]
            except (NoUpload, NotThere):  # it ended meanwhile
                continue
            if max(sent, default=row["Initiated"]) < before:
                yield row["Key"], row["UploadId"]


def remove(bucket: Bucket, *, before: datetime) -> None:
    """Remove it."""
    for key, upload_id in list(debris(bucket, before=before)):
        if upload_id is None:
            bucket.erase(key)
        else:
            abort(bucket, key, upload_id)
