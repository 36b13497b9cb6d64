"""Files to S3: at once, or in parts that a later run goes on with."""

import base64
import contextlib
import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import NotThere, NoUpload
from perennial.release.stores.store import Progress
from perennial.release.stores.verified import CHANGED, bytes_digest, check_digest

_MOST_PARTS = 10_000  # S3's limit


def upload(
    bucket: Bucket,
    key: str,
    path: Path,
    *,
    digest: str,
    threshold_bytes: int,
    part_bytes: int,
    workers: int,
    progress: Progress,
) -> None:
    """Put the file's bytes at the key; raises IntegrityError, and keeps nothing, for other bytes.

    Above the threshold it goes in parts: memory holds about `workers` parts at once.
    """
    size = path.stat().st_size
    if size <= threshold_bytes:
        data = path.read_bytes()
        check_digest(path.name, bytes_digest(data), digest, CHANGED)
        bucket.put(key, data, ChecksumSHA256=_base64(bytes.fromhex(digest[7:])))
        progress(len(data))
        return
    part_bytes = max(part_bytes, -(-size // _MOST_PARTS))
    unfinished = _unfinished(bucket, key)
    while True:
        upload_id, there = unfinished or (_begin(bucket, key), {})
        try:
            _send(
                bucket,
                key,
                path,
                digest=digest,
                upload_id=upload_id,
                there=there,
                part_bytes=part_bytes,
                workers=workers,
                progress=progress,
            )
            return
        except NoUpload:  # another publisher of the same bytes completed it, or a sweep removed it
            head = bucket.head(key)
            if head is not None and head["ContentLength"] == size:
                return
            if unfinished is None:
                raise
            unfinished = None


def _send(
    bucket: Bucket,
    key: str,
    path: Path,
    *,
    digest: str,
    upload_id: str,
    there: dict[int, dict[str, Any]],
    part_bytes: int,
    workers: int,
    progress: Progress,
) -> None:
    whole = hashlib.sha256()
    sent: list[dict[str, Any]] = []
    under_way: deque[tuple[int, Future[dict[str, Any]]]] = deque()

    def take() -> None:
        size, part = under_way.popleft()
        sent.append(part.result())
        progress(size)

    with ThreadPoolExecutor(workers) as pool:
        for number, data in enumerate(_parts(path, part_bytes), start=1):
            found = there.get(number)
            part = pool.submit(_send_part, bucket, key, upload_id, number, data, found)
            under_way.append((len(data), part))
            whole.update(data)  # while the parts are on their way
            if len(under_way) > workers:
                take()
        while under_way:
            take()
    actual = f"sha256:{whole.hexdigest()}"
    if actual != digest:
        abort(bucket, key, upload_id)
    check_digest(path.name, actual, digest, CHANGED)
    bucket.call(
        "complete_multipart_upload", key, UploadId=upload_id, MultipartUpload={"Parts": sent}
    )


def _send_part(
    bucket: Bucket,
    key: str,
    upload_id: str,
    number: int,
    data: bytes,
    there: dict[str, Any] | None,
) -> dict[str, Any]:
    checksum = _base64(hashlib.sha256(data).digest())
    if there is not None and _is_right(there, data, checksum):
        etag = there["ETag"]
    else:
        answer = bucket.call(
            "upload_part",
            key,
            UploadId=upload_id,
            PartNumber=number,
            Body=data,
            ChecksumSHA256=checksum,
        )
        etag = answer["ETag"]
    return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum}


def _is_right(part: dict[str, Any], data: bytes, checksum: str) -> bool:
    if part["Size"] != len(data):
        return False
    if "ChecksumSHA256" in part:
        return bool(part["ChecksumSHA256"] == checksum)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return bool(part["ETag"].strip('"') == md5)


def _begin(bucket: Bucket, key: str) -> str:
    parameters = {"ChecksumAlgorithm": "SHA256", **bucket.encryption}
    return str(bucket.call("create_multipart_upload", key, **parameters)["UploadId"])


def _unfinished(bucket: Bucket, key: str) -> tuple[str, dict[int, dict[str, Any]]] | None:
    """The id and the parts, by number, of the newest upload to the key that a break left."""
    found = [row for row in uploads(bucket, key) if row["Key"] == key]
    if not found:
        return None
    upload_id = max(found, key=lambda row: row["Initiated"])["UploadId"]
    try:
        return upload_id, {part["PartNumber"]: part for part in parts(bucket, key, upload_id)}
    except (NoUpload, NotThere):  # completed or aborted meanwhile
        return None


def uploads(bucket: Bucket, folder: str) -> Iterator[dict[str, Any]]:
    """Every unfinished upload below the folder: its Key without the prefix, UploadId, Initiated."""
    for page in bucket.pages("list_multipart_uploads", folder):
        for row in page.get("Uploads", []):
            yield row | {"Key": row["Key"].removeprefix(bucket.prefix)}


def parts(bucket: Bucket, key: str, upload_id: str) -> Iterator[dict[str, Any]]:
    """The parts that an unfinished upload has: PartNumber, Size, ETag, LastModified."""
    marker = 0
    while True:
        page = bucket.call("list_parts", key, UploadId=upload_id, PartNumberMarker=marker)
        yield from page.get("Parts", [])
        if not page.get("IsTruncated"):
            return
        marker = page["NextPartNumberMarker"]


def abort(bucket: Bucket, key: str, upload_id: str) -> None:
    """Give the parts of an unfinished upload up, if they are still there."""
    with contextlib.suppress(NoUpload, NotThere):
        bucket.call("abort_multipart_upload", key, UploadId=upload_id)


def _parts(path: Path, part_bytes: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while data := stream.read(part_bytes):
            yield data


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
