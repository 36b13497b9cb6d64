"""What every store keeps by name: manifests, pending notes, channels and records."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from perennial.errors import BadInput, Conflict
from perennial.release.channels.channel import Channel, read_channel_bytes
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.keys import (
    CHANNEL,
    RECORD,
    RELEASE_ID,
    channel_key,
    manifest_key,
    pending_key,
    record_key,
)
from perennial.release.stores.store import PendingNote, read_pending_note

Question = Callable[[bytes | None], bool]


@dataclass(frozen=True)
class Swap:
    """How a swap ended: whether it counted, and if not, what stands there instead."""

    won: bool
    found: bytes | None


class Named(ABC):
    """The half of a store that is the same everywhere, over small files that a place keeps."""

    def __init__(self) -> None:
        self._parsed: dict[str, tuple[bytes, Channel]] = {}

    @property
    @abstractmethod
    def place(self) -> str: ...

    @abstractmethod
    def _read(self, key: str) -> bytes | None:
        """The file as it is now, None where it is not there."""

    @abstractmethod
    def _read_again(self, key: str) -> bytes | None:
        """The same for what is read often: the very same object where the file did not change."""

    @abstractmethod
    def _write(self, key: str, data: bytes) -> None:
        """Put the bytes there, whole and durable."""

    @abstractmethod
    def _drop(self, key: str) -> None:
        """Remove the file, if it is there; a place that keeps versions may keep this one."""

    @abstractmethod
    def _erase(self, key: str) -> None:
        """Remove the file, in every version, if it is there."""

    @abstractmethod
    def _keys(self, folder: str) -> list[str]:
        """The keys of all files below `folder/`."""

    @abstractmethod
    def _swap(
        self, key: str, new: bytes | None, *, is_expected: Question, is_ours: Question
    ) -> Swap:
        """Replace a file of which `is_expected` holds, at once; None stands for no file.

        Where the answer is lost, `is_ours` of what is found then says whether the write counted.
        """

    def write_pending(self, note: PendingNote) -> None:
        """Announce a publication."""
        self._write(pending_key(note.release_id), note.to_bytes())

    def clear_pending(self, release_id: str) -> None:
        """Withdraw the note, if there is one."""
        self._drop(pending_key(release_id))

    def pending_ids(self) -> list[str]:
        """The release ids of all notes, sorted, whatever stands in them."""
        return self._names("pending", RELEASE_ID)

    def pending_note(self, release_id: str) -> PendingNote | None:
        """One note, None where it was withdrawn; raises IntegrityError."""
        data = self._read(pending_key(release_id))
        return None if data is None else read_pending_note(data, release_id=release_id)

    def pending(self) -> list[PendingNote]:
        """Every note, by release_id; one that is withdrawn meanwhile is left out."""
        found = (self.pending_note(release_id) for release_id in self.pending_ids())
        return [note for note in found if note is not None]

    def write_manifest(self, manifest: Manifest) -> None:
        """Keep the manifest; every object that it names must be there already."""
        self._write(manifest_key(manifest.release_id), manifest.to_bytes())

    def manifest_bytes(self, release_id: str) -> bytes:
        """The manifest as it was written; raises BadInput where there is no such release."""
        data = self._read(manifest_key(release_id))
        if data is None:
            raise BadInput(
                f"release {release_id} is not in the store {self.place}; "
                "`perennial status` lists the releases that are"
            )
        return data

    def delete_manifest(self, release_id: str) -> None:
        """Remove the manifest, in every version that the place keeps, if it is there."""
        self._erase(manifest_key(release_id))

    def release_ids(self) -> list[str]:
        """Every release, sorted by id."""
        return self._names("releases", RELEASE_ID)

    def channel_names(self) -> list[str]:
        """Every channel, sorted."""
        return self._names("channels", CHANNEL)

    def read_channel(self, name: str) -> Channel | None:
        """The channel as it is now, None before its first write; parsed only where it changed."""
        data = self._read_again(channel_key(name))
        if data is None:
            return None
        known = self._parsed.get(name)
        if known is not None and known[0] is data:
            return known[1]
        channel = read_channel_bytes(data, name=name)
        self._parsed[name] = (data, channel)
        return channel

    def compare_and_swap(self, name: str, expected: Channel | None, new: Channel) -> None:
        """Replace `expected` by `new` at once; raises Conflict where the channel is another."""

        def parsed(data: bytes | None) -> Channel | None:
            return None if data is None else read_channel_bytes(data, name=name)

        def is_ours(data: bytes | None) -> bool:
            found = parsed(data)
            return found is not None and new.write_id in (found.write_id, *found.writes)

        data = new.to_bytes()
        parsed(data)  # what no reader could read is never written
        swap = self._swap(
            channel_key(name),
            data,
            is_expected=lambda found: parsed(found) == expected,
            is_ours=is_ours,
        )
        if not swap.won:
            raise Conflict(_lost_race(name, expected, parsed(swap.found)))

    def read_record(self, name: str) -> bytes | None:
        """A small mutable JSON file by its name, None where there is none."""
        return self._read(record_key(name)) or None

    def swap_record(self, name: str, expected: bytes | None, new: bytes | None) -> None:
        """Replace a record that is `expected`, None for absent; raises Conflict."""
        if new == b"":
            raise BadInput(f"record {name} would be empty; give None to remove it")
        swap = self._swap(
            record_key(name),
            new,
            is_expected=lambda found: (found or None) == expected,
            is_ours=lambda found: (found or None) == new,
        )
        if not swap.won:
            raise Conflict(
                f"record {name} of {self.place} is not what was read: somebody else wrote first; "
                "read it again and decide anew"
            )

    def record_names(self) -> list[str]:
        """Every record, sorted."""
        return self._names("records", RECORD)

    def _names(self, folder: str, kind: re.Pattern[str]) -> list[str]:
        keys = (key.removeprefix(f"{folder}/") for key in self._keys(folder))
        names = (key.removesuffix(".json") for key in keys if key.endswith(".json"))
        return sorted(name for name in names if kind.fullmatch(name))


def _lost_race(name: str, expected: Channel | None, found: Channel | None) -> str:
    was = "absent" if expected is None else f"at generation {expected.generation}"
    now = "absent" if found is None else f"at generation {found.generation} ({found.stable})"
    who = f" by {found.history[-1].who}" if found and found.history else ""
    return (
        f"channel {name} was {was} and is now {now}{who}: somebody else wrote first; your release "
        "is kept in the store, look at `perennial status` and promote it again"
    )
