"""Bytes that have the digest they are called by, or an error that names the object."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from perennial.errors import IntegrityError

BLOCK_BYTES = 1 << 20
MOST_NAMED_BYTES = 64 << 20
DAMAGED = "is damaged in the store"
CHANGED = "changed while it was published"


def file_blocks(path: Path, digest: str, problem: str) -> Iterator[bytes]:
    """The file's blocks; raises IntegrityError after the last one unless they have the digest."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            found.update(block)
            yield block
    check_digest(path.name, f"sha256:{found.hexdigest()}", digest, problem)


def bytes_digest(data: bytes) -> str:
    """The `sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_digest(name: str, actual: str, digest: str, problem: str) -> None:
    """Raise IntegrityError unless what was read under that name has the digest."""
    if actual != digest:
        raise IntegrityError(
            f"{name} {problem}: it has the digest {actual}, not {digest}; publish it again, "
            "or restore it from a copy"
        )


def check_small(key: str, size: int, place: str) -> None:
    """Raise IntegrityError for a manifest, channel, note or record that is too large to be one:
    it is parsed in memory, before its own signature can be checked."""
    if size > MOST_NAMED_BYTES:
        raise IntegrityError(
            f"{key} of {place} has {size:,} bytes, more than is ever written there; find out who "
            "wrote it, and restore it from a copy"
        )


def missing(digest: str, place: str) -> IntegrityError:
    """The error that says which object the store lacks, and what helps."""
    return IntegrityError(
        f"object {digest} is missing from the store {place}; restore it from a copy, "
        "or `perennial rollback` to a release that `perennial verify` finds whole"
    )
