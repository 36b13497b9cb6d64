"""The store on S3 or a service that speaks it: no lock, only conditional writes."""

import threading
from datetime import datetime

from perennial.errors import BadInput, PlaceUnusable
from perennial.release.stores.named import Named, Question, Swap
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.conditions import check_conditions, pause, put_where
from perennial.release.stores.s3.debris import debris, remove
from perennial.release.stores.s3.errors import ConditionFailed, NotModified, NotThere, Uncertain
from perennial.release.stores.s3.objects import S3Objects

_SWAP_ATTEMPTS = 8
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")


class S3Store(S3Objects, Named):
    """A prefix of a bucket; safe for many threads, and nothing is sent before the first request."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        sse: str | None = None,
        kms_key_id: str | None = None,
        threshold_bytes: int = 32 << 20,
        part_bytes: int = 16 << 20,
        workers: int = 8,
        timeout_seconds: float = 30.0,
        attempts: int = 5,
    ) -> None:
        if sse not in (None, *_ENCRYPTIONS):
            raise BadInput(f"PERENNIAL_S3_SSE is {sse!r}; choose one of {', '.join(_ENCRYPTIONS)}")
        if kms_key_id is not None and sse in (None, "AES256"):
            raise BadInput("PERENNIAL_S3_KMS_KEY_ID needs PERENNIAL_S3_SSE=aws:kms; set both")
        Named.__init__(self)
        S3Objects.__init__(
            self,
            Bucket(
                bucket,
                prefix,
                sse=sse,
                kms_key_id=kms_key_id,
                connections=2 * workers,
                timeout_seconds=timeout_seconds,
                attempts=attempts,
            ),
            threshold_bytes=threshold_bytes,
            part_bytes=part_bytes,
            workers=workers,
        )
        self._attempts = attempts
        self._seen: dict[str, tuple[bytes, str]] = {}
        self._quoted: bool | None = None
        self._checking = threading.Lock()

    @property
    def place(self) -> str:
        return self.bucket.place

    def check_conditions(self) -> None:
        """Raises PlaceUnusable where If-Match or If-None-Match is ignored; asks the place once."""
        with self._checking:
            if self._quoted is None:
                self._quoted = check_conditions(self.bucket, attempts=self._attempts)

    def debris(self, *, before: datetime) -> list[str]:
        """Unfinished uploads and probes that nobody touched since `before`, sorted."""
        return sorted(key for key, _ in debris(self.bucket, before=before))

    def remove_debris(self, *, before: datetime) -> None:
        """Remove them."""
        remove(self.bucket, before=before)

    def _read(self, key: str) -> bytes | None:
        try:
            return self.bucket.get(key)[0]
        except NotThere:
            return None

    def _read_again(self, key: str) -> bytes | None:
        return self._tagged(key)[0]

    def _tagged(self, key: str) -> tuple[bytes | None, str | None]:
        """The file and its ETag; one that did not change since the last look is not sent again."""
        known = self._seen.get(key)
        try:
            if known is None:
                known = self.bucket.get(key)
            else:
                known = self.bucket.get(key, IfNoneMatch=known[1])
        except NotModified:
            return known if known is not None else (None, None)
        except NotThere:
            self._seen.pop(key, None)
            return None, None
        self._seen[key] = known
        return known

    def _write(self, key: str, data: bytes) -> None:
        self.bucket.put(key, data)

    def _drop(self, key: str) -> None:
        self.bucket.call("delete_object", key)

    def _erase(self, key: str) -> None:
        self.bucket.erase(key)

    def _keys(self, folder: str) -> list[str]:
        # an empty file is a record that was removed: not every service can delete conditionally
        return [row["Key"] for row in self.bucket.list(f"{folder}/") if row["Size"]]

    def _swap(
        self, key: str, new: bytes | None, *, is_expected: Question, is_ours: Question
    ) -> Swap:
        self.check_conditions()
        lost: PlaceUnusable | None = None
        for attempt in range(_SWAP_ATTEMPTS):
            if lost is not None:
                pause(attempt - 1)
            try:
                found, etag = self._tagged(key)
                if lost is not None and is_ours(found):
                    return Swap(won=True, found=found)
                if not is_expected(found):
                    return Swap(won=False, found=found)
                quoted = etag if etag is None or self._quoted else etag.strip('"')
                lost = _sent(self.bucket, key, new or b"", etag=quoted)
            except Uncertain as error:
                if lost is None:  # nothing was sent yet
                    raise
                lost = error
            if lost is None:
                return Swap(won=True, found=new)
        raise PlaceUnusable(
            f"{self.place} does not say whether the write of {key} counted ({lost}); look at "
            "`perennial status`, and run the same command again if it did not"
        ) from lost


def _sent(bucket: Bucket, key: str, data: bytes, *, etag: str | None) -> PlaceUnusable | None:
    """None where the write counted; otherwise why that is not known: it may have counted."""
    try:
        put_where(bucket, key, data, etag=etag)
    except (ConditionFailed, NotThere, Uncertain) as error:  # Amazon's 404 for If-Match on nothing
        return error
    return None
