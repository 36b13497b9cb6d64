"""What a store answers, wherever it is: immutable objects, manifests, and channels that swap."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter

from perennial.release.channels.channel import Channel
from perennial.release.manifests.canonical import canonical_json, parse_strictly
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import STRICT, Digest, ReleaseId

Progress = Callable[[int], None]
"""Is told the bytes that were done since it was called last."""


def silent(done: int) -> None:
    """The progress that nobody looks at."""


@dataclass(frozen=True)
class StoredObject:
    """One object of the store; `modified` is the last time that it was written, in UTC."""

    digest: str
    bytes: int
    modified: datetime


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


def read_pending_note(data: bytes, *, release_id: str) -> PendingNote:
    """The note of stored bytes; raises IntegrityError."""
    return parse_strictly(data, _ADAPTER, what=f"the pending note of {release_id}")


class Store(Protocol):
    """Every write is durable when its method returns; whatever is killed, nothing is half there."""

    @property
    def place(self) -> str:
        """Where it is, for people; never with a key in it."""

    def put_file(
        self,
        path: Path,
        *,
        digest: str | None = None,
        progress: Progress = silent,
        is_given: bool = False,
    ) -> tuple[str, int]:
        """Keep the file's bytes as an object: (digest, bytes).

        With the digest that the caller computed, an object of the right size is left as it is;
        without one it is read, and healed where it rotted. A file that is given away, which nobody
        writes to any more, may become the object itself. Raises IntegrityError where the file does
        not have the digest; nothing is stored then.
        """

    def put_bytes(self, data: bytes) -> tuple[str, int]:
        """Keep the bytes as an object: (digest, bytes)."""

    def has(self, digest: str) -> bool:
        """True where the object is there."""

    def size(self, digest: str) -> int | None:
        """The object's bytes, None where it is not there."""

    def sizes(self, digests: Iterable[str]) -> dict[str, int | None]:
        """The sizes of many objects at once, None for each that is not there."""

    def fetch(self, digest: str, to: Path, *, progress: Progress = silent) -> None:
        """Put the object at `to`, read-only, whole and verified or not at all; IntegrityError.

        It may be a hard link to the store's own file: never write into it, replace it.
        """

    def read(self, digest: str) -> bytes:
        """The object's verified bytes; raises IntegrityError."""

    def check(self, digest: str) -> None:
        """Read the whole object and keep nothing of it; raises IntegrityError."""

    def digests(self) -> list[str]:
        """The digests of all objects, sorted."""

    def objects(self) -> list[StoredObject]:
        """All objects, sorted by digest."""

    def delete(self, digest: str) -> None:
        """Remove the object, in every version that the place keeps, if it is there."""

    def write_pending(self, note: PendingNote) -> None:
        """Announce a publication."""

    def clear_pending(self, release_id: str) -> None:
        """Withdraw the note, if there is one."""

    def pending_ids(self) -> list[str]:
        """The release ids of all notes, sorted, whatever stands in them."""

    def pending_note(self, release_id: str) -> PendingNote | None:
        """One note, None where it was withdrawn; raises IntegrityError."""

    def pending(self) -> list[PendingNote]:
        """Every note, by release_id."""

    def write_manifest(self, manifest: Manifest) -> None:
        """Keep the manifest; every object that it names must be there already."""

    def manifest_bytes(self, release_id: str) -> bytes:
        """The manifest as it was written; raises BadInput where there is no such release."""

    def delete_manifest(self, release_id: str) -> None:
        """Remove the manifest, in every version that the place keeps, if it is there."""

    def release_ids(self) -> list[str]:
        """Every release, sorted by id."""

    def channel_names(self) -> list[str]:
        """Every channel, sorted."""

    def read_channel(self, name: str) -> Channel | None:
        """The channel as it is now, None before its first write; cheap where it did not change."""

    def compare_and_swap(self, name: str, expected: Channel | None, new: Channel) -> None:
        """Replace `expected` by `new` at once; raises Conflict where the channel is another.

        A caller whose write counted is told so even where the answer to it was lost.
        """

    def read_record(self, name: str) -> bytes | None:
        """A small mutable JSON file by its name, None where there is none."""

    def swap_record(self, name: str, expected: bytes | None, new: bytes | None) -> None:
        """Replace a record that is `expected`, None for absent; raises Conflict.

        No two writers may write equal bytes: a random field tells them apart.
        """

    def record_names(self) -> list[str]:
        """Every record, sorted."""

    def debris(self, *, before: datetime) -> list[str]:
        """What killed writers left half done and nobody touched since `before`, sorted."""

    def remove_debris(self, *, before: datetime) -> None:
        """Remove it."""

    def check_conditions(self) -> None:
        """Raises PlaceUnusable where the place could lose an update without saying so."""


def missing_objects(store: Store, objects: Iterable[tuple[str, int]]) -> list[str]:
    """The digests that are absent from the store or have another size there."""
    wanted = list(objects)
    found = store.sizes(digest for digest, _ in wanted)
    return [digest for digest, size in wanted if found[digest] != size]


_ADAPTER = TypeAdapter(PendingNote)
