"""Reading everything again: what in the store is not what its manifest says, and what is waste."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from perennial.errors import BadInput, PerennialError
from perennial.release.accepted import ACCEPTED, read_accepted
from perennial.release.channels.channel import Channel, check_channel
from perennial.release.channels.mask import read_mask
from perennial.release.forgetting.forgotten import FORGOTTEN, read_forgotten
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.publishing.pins import SWEEP, read_sweep_record
from perennial.release.stores.store import Progress, Store, StoredObject, silent

_READERS = 8


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the channel, release or object, and what to do about it."""

    thing: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """What was read, what is wrong with it, and the objects that nothing names: waste, no fault."""

    findings: tuple[Finding, ...]
    orphans: tuple[StoredObject, ...]
    releases: int
    objects: int
    bytes: int


def verify_release(
    store: Store, release_id: str, *, key: bytes | None = None, progress: Progress = silent
) -> list[Finding]:
    """Every fault of one release, all of its bytes read; an unknown release is BadInput."""
    manifest = _manifest(store, release_id, key=key)
    if isinstance(manifest, Finding):
        return [manifest]
    faults = _faults(store, manifest.objects().items(), progress=progress)
    return _of_release(store, manifest, faults)


def verify_store(store: Store, *, key: bytes | None = None) -> list[Finding]:
    """Every fault of every channel, release, note, record and object."""
    return list(verify_whole_store(store, key=key).findings)


def verify_whole_store(
    store: Store, *, key: bytes | None = None, progress: Progress = silent
) -> Verification:
    """The same with what is waste; an object that several releases share is read once.

    Publishers and a sweep may work meanwhile: what comes or goes is not a fault.
    """
    listed = {each.digest: each for each in store.objects()}
    release_ids = store.release_ids()
    findings, named = _named_by_small_files(store, release_ids, key=key)
    manifests = []
    for release_id in release_ids:
        try:
            manifest = _manifest(store, release_id, key=key)
        except BadInput:
            continue  # swept since
        if isinstance(manifest, Finding):
            findings.append(manifest)
        else:
            manifests.append(manifest)
            named |= manifest.objects().keys()
    needed = {digest: size for each in manifests for digest, size in each.objects().items()}
    sizes = {digest: each.bytes for digest, each in listed.items()} | needed
    faults = _faults(store, sizes.items(), progress=progress)
    for manifest in manifests:
        findings += _of_release(store, manifest, faults)
    findings += [
        Finding(f"object {digest}", problem)
        for digest, problem in faults.items()
        if digest not in needed and store.has(digest)
    ]
    orphans = [each for digest, each in listed.items() if digest not in named]
    total = sum(sizes.values())
    return Verification(tuple(findings), tuple(orphans), len(release_ids), len(sizes), total)


def _named_by_small_files(
    store: Store, release_ids: list[str], *, key: bytes | None
) -> tuple[list[Finding], set[str]]:
    """The faults of channels, masks, pending notes and records, and the digests that they name."""
    findings: list[Finding] = []
    named: set[str] = set()
    for name in store.channel_names():
        try:
            if (channel := store.read_channel(name)) is None:
                continue
            check_channel(channel, key)
            findings += _absent(channel, release_ids)
            if channel.mask is not None:
                named.add(channel.mask.digest)
                read_mask(store, channel.mask)
        except PerennialError as error:
            findings.append(Finding(f"channel {name}", str(error)))
    for release_id in store.pending_ids():
        try:
            note = store.pending_note(release_id)
            named |= set(note.digests) if note is not None else set()
        except PerennialError as error:
            findings.append(Finding(f"pending note of {release_id}", str(error)))
    for name in store.record_names():
        try:
            _check_record(store, name)
        except (PerennialError, ValueError) as error:
            findings.append(Finding(f"record {name}", str(error)))
    return findings, named


def _absent(channel: Channel, release_ids: list[str]) -> list[Finding]:
    candidate = channel.candidate.release_id if channel.candidate is not None else None
    return [
        Finding(
            f"channel {channel.name}", f"it {does} {each}, which is not in the store; roll back"
        )
        for does, each in (("serves", channel.stable), ("rolls out", candidate))
        if each is not None and each not in release_ids
    ]


def _check_record(store: Store, name: str) -> None:
    if name.startswith(FORGOTTEN):
        read_forgotten(store, name.removeprefix(FORGOTTEN))
    elif name.startswith(ACCEPTED):
        read_accepted(store, name.removeprefix(ACCEPTED))
    elif (data := store.read_record(name)) is not None:
        read_sweep_record(data) if name == SWEEP else json.loads(data)


def _manifest(store: Store, release_id: str, *, key: bytes | None) -> Manifest | Finding:
    data = store.manifest_bytes(release_id)
    try:
        return read_manifest(data, release_id=release_id, key=key)
    except PerennialError as error:
        return Finding(f"release {release_id}", str(error))


def _of_release(store: Store, manifest: Manifest, faults: dict[str, str]) -> list[Finding]:
    sizes = store.sizes({file.digest for _, file in manifest.files()})
    findings = []
    for path, file in manifest.files():
        problem = faults.get(file.digest)
        if problem is None and sizes[file.digest] != file.bytes:
            problem = f"it does not have the {file.bytes} bytes that the manifest says"
        if problem is not None:
            findings.append(Finding(f"release {manifest.release_id}: {path}", problem))
    return findings


def _faults(
    store: Store, objects: Iterable[tuple[str, int]], *, progress: Progress
) -> dict[str, str]:
    """Digest to what is wrong with that object, for those that are not what they are called."""

    def fault(item: tuple[str, int]) -> tuple[str, str | None]:
        try:
            store.check(item[0])
        except PerennialError as error:
            return item[0], str(error)
        finally:
            progress(item[1])
        return item[0], None

    with ThreadPoolExecutor(_READERS) as readers:  # hashing lets go of the interpreter
        return {digest: problem for digest, problem in readers.map(fault, objects) if problem}
