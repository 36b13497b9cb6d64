"""The store on a local disk: content-addressed files, and channels swapped under a lock."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from perennial.errors import BadInput, Conflict, IntegrityError
from perennial.model.digest import file_digest
from perennial.release.channel import Channel, read_channel_bytes
from perennial.release.durable import (
    locked,
    make_folder,
    sync_folder,
    usable,
    write_atomically,
    write_durably,
)
from perennial.release.manifest import Manifest
from perennial.release.store import PendingNote, read_pending_note

_BLOCK = 1 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")
_RELEASE_ID = re.compile(r"rel-[0-9a-f]{12}")
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class LocalStore:
    """A folder; nothing is made in it before the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        return str(self.root)

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep the file's bytes as an object: (digest, bytes); an object that rotted is healed."""
        digest, size = file_digest(path), path.stat().st_size
        there = self._object(digest)
        with usable(self.root):
            if there.is_file() and file_digest(there) == digest:
                sync_folder(there.parent)  # its writer may not have come that far
            else:
                write_durably(there, _verified(path, digest, "changed while it was published"))
        return digest, size

    def has(self, digest: str) -> bool:
        """True where the object is there."""
        return self.size(digest) is not None

    def size(self, digest: str) -> int | None:
        """The object's bytes, None where it is not there."""
        path = self._object(digest)
        with usable(self.root):
            return path.stat().st_size if path.is_file() else None

    def fetch(self, digest: str, to: Path) -> None:
        """Copy the object to `to`, whole and verified or not at all; raises IntegrityError."""
        with usable(to.parent):
            write_atomically(to, self._blocks(digest))

    def read(self, digest: str) -> bytes:
        """The object's verified bytes; raises IntegrityError."""
        with usable(self.root):
            return b"".join(self._blocks(digest))

    def check(self, digest: str) -> None:
        """Read the whole object and keep nothing of it; raises IntegrityError."""
        with usable(self.root):
            for _ in self._blocks(digest):
                pass

    def digests(self) -> list[str]:
        """The digests of all objects, sorted."""
        found = (f"sha256:{path.name}" for path in self.root.glob("objects/??/*"))
        return sorted(digest for digest in found if _DIGEST.fullmatch(digest))

    def write_pending(self, note: PendingNote) -> None:
        """Announce a publication."""
        with usable(self.root):
            write_durably(self._named("pending", note.release_id), [note.to_bytes()])

    def clear_pending(self, release_id: str) -> None:
        """Withdraw the note, if there is one."""
        path = self._named("pending", release_id)
        with usable(self.root):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def pending_ids(self) -> list[str]:
        """The release ids of all notes, sorted, whatever stands in them."""
        return self._names_in("pending", _RELEASE_ID)

    def pending(self) -> list[PendingNote]:
        """Every note, by release_id; one that is withdrawn meanwhile is left out."""
        notes = []
        for release_id in self.pending_ids():
            with contextlib.suppress(FileNotFoundError):
                notes.append(read_pending_note(self._named("pending", release_id).read_bytes()))
        return notes

    def write_manifest(self, manifest: Manifest) -> None:
        """Keep the manifest; every object that it names must be there already."""
        with usable(self.root):
            path = self._named("releases", manifest.release_id)
            write_durably(path, [manifest.to_bytes()])

    def manifest_bytes(self, release_id: str) -> bytes:
        """The manifest as it was written; raises BadInput where there is no such release."""
        path = self._named("releases", release_id)
        with usable(self.root):
            if not path.is_file():
                raise BadInput(
                    f"release {release_id} is not in the store {self.root}; "
                    "`perennial status` lists the releases that are"
                )
            return path.read_bytes()

    def release_ids(self) -> list[str]:
        """Every release, sorted by id."""
        return self._names_in("releases", _RELEASE_ID)

    def channel_names(self) -> list[str]:
        """Every channel, sorted."""
        return self._names_in("channels", _CHANNEL)

    def read_channel(self, name: str) -> Channel | None:
        """The channel as it is now, None before its first write."""
        path = self._channel(name)
        with usable(self.root):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        return read_channel_bytes(data, name=name)

    def compare_and_swap(self, name: str, expected: Channel | None, new: Channel) -> None:
        """Replace `expected` by `new` at once; raises Conflict where the channel is another."""
        data = new.to_bytes()
        read_channel_bytes(data, name=name)  # what no reader could read is never written
        with usable(self.root), self._lock():
            found = self.read_channel(name)
            if found != expected:
                raise Conflict(_lost_race(name, expected, found))
            write_durably(self._channel(name), [data])

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        make_folder(self.root)
        (self.root / ".lock").touch()  # a file, because NFS locks no folder
        with locked(self.root / ".lock"):
            yield

    def _blocks(self, digest: str) -> Iterator[bytes]:
        path = self._object(digest)
        if not path.is_file():
            raise IntegrityError(
                f"object {digest} is missing from the store {self.root}; restore it from a copy, "
                "or `perennial rollback` to a release that `perennial verify` finds whole"
            )
        yield from _verified(path, digest, "is damaged in the store")

    def _object(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise BadInput(f"{digest!r} is not a digest; write sha256: and 64 hex digits")
        return self.root / "objects" / match[1] / f"{match[1]}{match[2]}"

    def _names_in(self, folder: str, kind: re.Pattern[str]) -> list[str]:
        found = (path.stem for path in self.root.glob(f"{folder}/*.json"))
        return sorted(name for name in found if kind.fullmatch(name))

    def _named(self, folder: str, release_id: str) -> Path:
        if _RELEASE_ID.fullmatch(release_id) is None:
            raise BadInput(
                f"{release_id!r} is not a release id (rel- and 12 hex digits); "
                "`perennial status` lists them"
            )
        return self.root / folder / f"{release_id}.json"

    def _channel(self, name: str) -> Path:
        if _CHANNEL.fullmatch(name) is None:
            raise BadInput(f"{name!r} is not a channel name; use lower case, digits and . _ -")
        return self.root / "channels" / f"{name}.json"


def _verified(path: Path, digest: str, problem: str) -> Iterator[bytes]:
    """The file's blocks; raises IntegrityError after the last one unless they have the digest."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
            yield block
    if (actual := f"sha256:{found.hexdigest()}") != digest:
        raise IntegrityError(
            f"{path.name} {problem}: it has the digest {actual}, not {digest}; publish it again, "
            "or restore it from a copy"
        )


def _lost_race(name: str, expected: Channel | None, found: Channel | None) -> str:
    was = "absent" if expected is None else f"at generation {expected.generation}"
    now = "absent" if found is None else f"at generation {found.generation} ({found.stable})"
    who = f" by {found.history[-1].who}" if found and found.history else ""
    return (
        f"channel {name} was {was} and is now {now}{who}: somebody else wrote first; your release "
        "is kept in the store, look at `perennial status` and promote it again"
    )
