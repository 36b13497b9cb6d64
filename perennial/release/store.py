"""What a store answers, wherever it is: immutable objects, manifests, and channels that swap."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter

from perennial.release.canonical import canonical_json, parse_strictly
from perennial.release.channel import Channel
from perennial.release.manifest import Manifest
from perennial.release.parts import STRICT, Digest, ReleaseId


@dataclass(frozen=True)
class PendingNote:
    """What a publisher is about to write: no sweep deletes the objects that it names."""

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    release_id: ReleaseId
    created_at: str
    digests: tuple[Digest, ...]

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(asdict(self))


def read_pending_note(data: bytes) -> PendingNote:
    """The note of stored bytes; raises IntegrityError."""
    return parse_strictly(data, _ADAPTER, what="a pending note")


class Store(Protocol):
    """Every write is durable when its method returns; whatever is killed, nothing is half there."""

    @property
    def place(self) -> str:
        """Where it is, for people; never with a key in it."""

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep the file's bytes as an object: (digest, bytes)."""

    def has(self, digest: str) -> bool:
        """True where the object is there."""

    def size(self, digest: str) -> int | None:
        """The object's bytes, None where it is not there."""

    def fetch(self, digest: str, to: Path) -> None:
        """Copy the object to `to`, whole and verified or not at all; raises IntegrityError."""

    def read(self, digest: str) -> bytes:
        """The object's verified bytes; raises IntegrityError."""

    def check(self, digest: str) -> None:
        """Read the whole object and keep nothing of it; raises IntegrityError."""

    def digests(self) -> list[str]:
        """The digests of all objects, sorted."""

    def write_pending(self, note: PendingNote) -> None:
        """Announce a publication."""

    def clear_pending(self, release_id: str) -> None:
        """Withdraw the note, if there is one."""

    def pending_ids(self) -> list[str]:
        """The release ids of all notes, sorted, whatever stands in them."""

    def pending(self) -> list[PendingNote]:
        """Every note, by release_id."""

    def write_manifest(self, manifest: Manifest) -> None:
        """Keep the manifest; every object that it names must be there already."""

    def manifest_bytes(self, release_id: str) -> bytes:
        """The manifest as it was written; raises BadInput where there is no such release."""

    def release_ids(self) -> list[str]:
        """Every release, sorted by id."""

    def channel_names(self) -> list[str]:
        """Every channel, sorted."""

    def read_channel(self, name: str) -> Channel | None:
        """The channel as it is now, None before its first write."""

    def compare_and_swap(self, name: str, expected: Channel | None, new: Channel) -> None:
        """Replace `expected` by `new` at once; raises Conflict where the channel is another."""


def missing_objects(store: Store, objects: Iterable[tuple[str, int]]) -> list[str]:
    """The digests that are absent from the store or have another size there."""
    return [digest for digest, size in objects if store.size(digest) != size]


_ADAPTER = TypeAdapter(PendingNote)
