"""The objects of a store on S3: content-addressed, whole at once or in parts."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path

from perennial.errors import IntegrityError
from perennial.model.digest import file_digest
from perennial.release.stores.durable import usable
from perennial.release.stores.keys import digest_of, object_key
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.download import download, verified_blocks
from perennial.release.stores.s3.upload import upload
from perennial.release.stores.store import Progress, StoredObject, silent
from perennial.release.stores.verified import bytes_digest


class S3Objects:
    """Immutable bytes below `objects/`; above `threshold_bytes` they travel in parts."""

    def __init__(
        self, bucket: Bucket, *, threshold_bytes: int, part_bytes: int, workers: int
    ) -> None:
        self.bucket = bucket
        self._threshold_bytes, self._part_bytes = threshold_bytes, part_bytes
        self._workers = workers

    def put_file(
        self,
        path: Path,
        *,
        digest: str | None = None,
        progress: Progress = silent,
        is_given: bool = False,
    ) -> tuple[str, int]:
        """Keep the file's bytes as an object: (digest, bytes); IntegrityError if they are others.

        Without a digest an object that rotted is healed; `is_given` changes nothing here.
        """
        size = path.stat().st_size
        found = digest or file_digest(path)
        if self._is_kept(found, size, read=digest is None):
            progress(size)
            return found, size
        upload(
            self.bucket,
            object_key(found),
            path,
            digest=found,
            threshold_bytes=self._threshold_bytes,
            part_bytes=self._part_bytes,
            workers=self._workers,
            progress=progress,
        )
        return found, size

    def put_bytes(self, data: bytes) -> tuple[str, int]:
        """Keep the bytes as an object: (digest, bytes)."""
        digest = bytes_digest(data)
        if not self._is_kept(digest, len(data), read=True):
            self.bucket.put(object_key(digest), data)
        return digest, len(data)

    def has(self, digest: str) -> bool:
        """True where the object is there."""
        return self.size(digest) is not None

    def size(self, digest: str) -> int | None:
        """The object's bytes, None where it is not there."""
        head = self.bucket.head(object_key(digest))
        return None if head is None else int(head["ContentLength"])

    def sizes(self, digests: Iterable[str]) -> dict[str, int | None]:
        """The sizes of many objects, None for each that is not there: requests in parallel."""
        wanted = list(digests)
        with ThreadPoolExecutor(2 * self._workers) as pool:
            return dict(zip(wanted, pool.map(self.size, wanted), strict=True))

    def fetch(self, digest: str, to: Path, *, progress: Progress = silent) -> None:
        """Put the object at `to`, read-only, whole and verified or not at all; IntegrityError."""
        with usable(to.parent):
            download(
                self.bucket,
                object_key(digest),
                to,
                digest=digest,
                threshold_bytes=self._threshold_bytes,
                part_bytes=self._part_bytes,
                workers=self._workers,
                progress=progress,
            )

    def read(self, digest: str) -> bytes:
        """The object's verified bytes; raises IntegrityError."""
        return b"".join(self._blocks(digest))

    def check(self, digest: str) -> None:
        """Read the whole object and keep nothing of it; raises IntegrityError."""
        for _ in self._blocks(digest):
            pass

    def digests(self) -> list[str]:
        """The digests of all objects, sorted."""
        return [found.digest for found in self.objects()]

    def objects(self) -> list[StoredObject]:
        """All objects, sorted by digest."""
        found = []
        for row in self.bucket.list("objects/"):
            digest = digest_of(row["Key"])
            if digest is not None:
                found.append(StoredObject(digest, row["Size"], row["LastModified"].astimezone(UTC)))
        return sorted(found, key=lambda stored: stored.digest)

    def delete(self, digest: str) -> None:
        """Remove the object, in every version that the bucket keeps, if it is there."""
        self.bucket.erase(object_key(digest))

    def _is_kept(self, digest: str, size: int, *, read: bool) -> bool:
        if self.size(digest) != size:
            return False
        if read:
            try:
                self.check(digest)
            except IntegrityError:
                return False
        return True

    def _blocks(self, digest: str) -> Iterator[bytes]:
        return verified_blocks(
            self.bucket,
            object_key(digest),
            digest=digest,
            part_bytes=self._part_bytes,
            workers=self._workers,
        )
