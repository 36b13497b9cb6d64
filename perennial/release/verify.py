"""Reading everything again: what in the store is not what its manifest says."""

from dataclasses import dataclass

from perennial.errors import PerennialError
from perennial.release.channel import check_channel
from perennial.release.manifest import read_manifest
from perennial.release.store import Store


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the channel, release or object, and what to do about it."""

    thing: str
    problem: str


def verify_release(store: Store, release_id: str, *, key: bytes | None = None) -> list[Finding]:
    """Every fault of one release, all of its bytes read; an unknown release is BadInput."""
    return _verify_release(store, release_id, key=key, known={})


def verify_store(store: Store, *, key: bytes | None = None) -> list[Finding]:
    """Every fault of every channel and release; an object that several share is read once."""
    findings: list[Finding] = []
    releases = store.release_ids()
    for name in store.channel_names():
        try:
            channel = store.read_channel(name)
            if channel is not None:
                check_channel(channel, key)
        except PerennialError as error:
            findings.append(Finding(f"channel {name}", str(error)))
            continue
        named = [channel.stable] if channel else []
        named += [channel.candidate.release_id] if channel and channel.candidate else []
        findings += [
            Finding(f"channel {name}", f"it serves {release}, which is not in the store; roll back")
            for release in named
            if release not in releases
        ]
    known: dict[str, str | None] = {}
    for release_id in releases:
        findings += _verify_release(store, release_id, key=key, known=known)
    return findings


def _verify_release(
    store: Store, release_id: str, *, key: bytes | None, known: dict[str, str | None]
) -> list[Finding]:
    data = store.manifest_bytes(release_id)
    try:
        manifest = read_manifest(data, release_id=release_id, key=key)
    except PerennialError as error:
        return [Finding(f"release {release_id}", str(error))]
    findings = []
    for path, file in manifest.files():
        if file.digest not in known:
            known[file.digest] = _fault(store, file.digest)
        problem = known[file.digest]
        if problem is None and store.size(file.digest) != file.bytes:
            problem = f"it does not have the {file.bytes} bytes that the manifest says"
        if problem is not None:
            findings.append(Finding(f"release {release_id}: {path}", problem))
    return findings


def _fault(store: Store, digest: str) -> str | None:
    try:
        store.check(digest)
    except PerennialError as error:
        return str(error)
    return None
