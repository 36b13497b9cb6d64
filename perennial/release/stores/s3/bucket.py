"""Requests to one prefix of one bucket, by key: the only module that imports boto3."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from functools import cached_property
from pathlib import Path
from typing import Any

from perennial.errors import PlaceUnusable
from perennial.release.stores.s3.errors import NotThere, Uncertain, Unsupported, explained
from perennial.release.stores.verified import MOST_NAMED_BYTES, check_small

_CONNECT_SECONDS = 5.0
_PIECE = 1 << 20


class Bucket:
    """Safe for many threads; nothing is sent, and boto3 not imported, before the first request."""

    def __init__(
        self,
        name: str,
        prefix: str,
        *,
        sse: str | None,
        kms_key_id: str | None,
        connections: int,
        timeout_seconds: float,
        attempts: int,
    ) -> None:
        self.name = name
        self.prefix = f"{prefix}/" if prefix else ""
        self.place = f"s3://{name}/{prefix}".rstrip("/")
        self.encryption = {"ServerSideEncryption": sse} if sse else {}
        if kms_key_id:
            self.encryption["SSEKMSKeyId"] = kms_key_id
        self._connections = connections
        self._timeout_seconds, self._attempts = timeout_seconds, attempts

    @cached_property
    def client(self) -> Any:
        """boto3's client, from its own environment: endpoint, region, credentials."""
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=min(_CONNECT_SECONDS, self._timeout_seconds),
            read_timeout=self._timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            max_pool_connections=self._connections,
            tcp_keepalive=True,
            # we send and check SHA-256 ourselves; look-alikes trip over the newer default trailers
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        with explained(self.place, ""):
            session = boto3.session.Session()
            region = session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
            try:
                return session.client("s3", region_name=region, config=config)
            except ValueError as error:  # an endpoint that is no address
                raise PlaceUnusable(
                    f"{self.place} cannot be used ({error}); correct AWS_ENDPOINT_URL_S3"
                ) from error

    def call(self, operation: str, key: str | None = None, **parameters: Any) -> dict[str, Any]:
        """boto3's answer to the operation on the key; raises PlaceUnusable or a kind of it."""
        client = self.client
        if key is not None:
            parameters["Key"] = self.prefix + key
        with self._explained():
            answer: dict[str, Any] = getattr(client, operation)(Bucket=self.name, **parameters)
        return answer

    def put(self, key: str, data: bytes, **parameters: Any) -> str:
        """Write the object: its new ETag."""
        answer = self.call("put_object", key, Body=data, **self.encryption, **parameters)
        return str(answer["ETag"])

    def get(self, key: str, **parameters: Any) -> tuple[bytes, str]:
        """The object's bytes and its ETag; raises IntegrityError for what is no small file."""
        answer, data = self._get(key, MOST_NAMED_BYTES, parameters)
        check_small(key, int(answer["ContentLength"]), self.place)
        assert data is not None
        return data, str(answer["ETag"])

    def get_range(self, key: str, start: int, end: int, **parameters: Any) -> bytes:
        """The object's bytes from `start` to before `end`."""
        _, data = self._get(key, None, {"Range": f"bytes={start}-{end - 1}"} | parameters)
        assert data is not None
        return data

    def get_small(self, key: str, *, most_bytes: int) -> tuple[int, bytes | None]:
        """The object's size, and its bytes where they are not too many: one request."""
        answer, data = self._get(key, most_bytes, {})
        return int(answer["ContentLength"]), data

    def _get(
        self, key: str, most_bytes: int | None, parameters: dict[str, Any]
    ) -> tuple[dict[str, Any], bytes | None]:
        for attempt in range(1, self._attempts + 1):
            answer = self.call("get_object", key, **parameters)
            try:
                # closing, because entering the body itself gives the raw stream without its checks
                with self._explained(), closing(answer["Body"]) as body:
                    if most_bytes is not None and answer["ContentLength"] > most_bytes:
                        return answer, None
                    return answer, body.read()
            except Uncertain:  # botocore retries requests, but not what breaks while it is read
                if attempt == self._attempts:
                    raise
        raise AssertionError("at least one attempt is made")

    def fetch(self, key: str, path: Path, **parameters: Any) -> None:
        """Write the object's bytes to the file, whatever their number."""
        for attempt in range(1, self._attempts + 1):
            answer = self.call("get_object", key, **parameters)
            try:
                with self._explained(), closing(answer["Body"]) as body, path.open("wb") as stream:
                    while data := body.read(_PIECE):
                        stream.write(data)
                    return
            except Uncertain:
                if attempt == self._attempts:
                    raise

    def head(self, key: str) -> dict[str, Any] | None:
        """The object's headers, None where it is not there."""
        try:
            return self.call("head_object", key)
        except NotThere:
            return None
        except PlaceUnusable:
            self.call("get_object", key, Range="bytes=0-0")  # which says why, as HEAD cannot
            raise

    def erase(self, key: str) -> None:
        """Remove the object, in every version that the bucket keeps, if it is there."""
        if not self._versioned:
            self.call("delete_object", key)
            return
        for page in self.pages("list_object_versions", key):
            for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                if row["Key"] == self.prefix + key:
                    self.call("delete_object", key, VersionId=row["VersionId"])

    @cached_property
    def _versioned(self) -> bool:
        try:
            return "Status" in self.call("get_bucket_versioning")
        except Unsupported:
            return False

    def list(self, folder: str) -> Iterator[dict[str, Any]]:
        """Every object below the folder: its Key without the prefix, Size and LastModified."""
        for page in self.pages("list_objects_v2", folder):
            for row in page.get("Contents", []):
                yield row | {"Key": row["Key"].removeprefix(self.prefix)}

    def versions(self, folder: str) -> Iterator[dict[str, Any]]:
        """Every version of every object below the folder, as `list` gives the newest; one of a
        bucket that keeps none has no VersionId."""
        if not self._versioned:
            yield from self.list(folder)
            return
        for page in self.pages("list_object_versions", folder):
            for row in page.get("Versions", []):
                yield row | {"Key": row["Key"].removeprefix(self.prefix)}

    def pages(self, operation: str, folder: str) -> Iterator[dict[str, Any]]:
        """The pages of a listing below the folder."""
        client = self.client
        with self._explained():
            found = client.get_paginator(operation)
            yield from found.paginate(Bucket=self.name, Prefix=self.prefix + folder)

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.place, str(self.client.meta.endpoint_url))
