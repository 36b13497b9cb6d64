"""Publishing a release, and the three writes that move a channel: promote, rollback, resume."""

import contextlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, IntegrityError, PerennialError, Refused
from perennial.release.canonical import parse_utc, utc_text
from perennial.release.channel import Channel, check_channel, promoted, resumed, rolled_back
from perennial.release.describe import describe
from perennial.release.manifest import Manifest, read_manifest
from perennial.release.store import PendingNote, Store
from perennial.release.whole import intact, present


def publish(
    store: Store,
    *,
    encoder: Path,
    index: Path,
    references: Path | None,
    catalogue: Mapping[str, Any],
    health: Mapping[str, Any],
    provenance: Mapping[str, Any],
    parent: str | None,
    created_at: datetime,
    key: bytes | None = None,
) -> Manifest:
    """Write a pending note, the objects, then the manifest; run again, it is the same release.

    Raises EncoderMismatch where another encoder made the index. Serves nothing: that is `promote`.
    """
    manifest = describe(
        encoder=encoder,
        index=index,
        references=references,
        catalogue=catalogue,
        health=health,
        provenance=provenance,
        parent=parent,
        created_at=created_at,
    )
    if key is not None:
        manifest = manifest.signed(key)
    digests = tuple(sorted(manifest.objects()))
    store.write_pending(PendingNote(1, manifest.release_id, manifest.created_at, digests))
    folders = {"encoder": encoder, "index": index, "references": references}
    for path, file in manifest.files():
        folder = folders[path.partition("/")[0]]
        assert folder is not None
        if store.put_file(folder / file.path) != (file.digest, file.bytes):
            raise IntegrityError(
                f"{folder / file.path} changed while it was published; nothing was promoted; "
                "publish again when its writer is done"
            )
    store.write_manifest(manifest)
    store.clear_pending(manifest.release_id)
    return manifest


def promote(
    store: Store,
    channel_name: str,
    release_id: str,
    *,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None = None,
    expected_stable: str | None = None,
) -> Channel:
    """Make the release stable; raises Refused, IntegrityError, or Conflict where another was first.

    A release that is stable already stays so without a write: a killed run may ask again. With
    `expected_stable`, the release that this one was compared with, any other stable is Refused.
    """
    current = read_checked_channel(store, channel_name, key=key)
    if current is not None and current.stable == release_id:
        return current
    if expected_stable is not None and (current is None or current.stable != expected_stable):
        raise Refused(
            f"{release_id} was compared with {expected_stable}, but {channel_name} serves "
            f"{current.stable if current else 'nothing'} since; retrain to compare it with that"
        )
    manifest = present(store, release_id, key=key)
    new = promoted(
        current,
        release_id,
        name=channel_name,
        at=utc_text(now),
        why=why,
        who=who,
        write_id=secrets.token_hex(16),
    ).signed(key)
    if current is not None:
        _check_watermark(store, manifest, stable=current.stable, key=key)
    store.compare_and_swap(channel_name, current, new)
    return new


def rollback(
    store: Store,
    channel_name: str,
    *,
    to: str | None = None,
    index: bool = False,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None = None,
) -> Channel:
    """Go back and hold: to the previous lineage, the previous `index` of this one, or release `to`.

    It needs nothing of the stable release, which may be the damaged one; raises Refused. Every byte
    of the target's encoder and index is checked before the channel moves: about a second per
    gigabyte. A damaged target is passed over, or refused with IntegrityError where it was named.
    """
    current = _existing(store, channel_name, key)
    if to is not None and index:
        raise BadInput("--index finds the release itself; give a release id or --index, not both")
    target = to if to is not None else _previous(store, current, same_lineage=index, key=key)
    if to is not None and target != current.stable:
        intact(store, target, key=key)
    write_id = secrets.token_hex(16)
    new = rolled_back(current, target, at=utc_text(now), why=why, who=who, write_id=write_id)
    store.compare_and_swap(channel_name, current, new := new.signed(key))
    return new


def resume(
    store: Store,
    channel_name: str,
    *,
    reason: str,
    now: datetime,
    who: str,
    key: bytes | None = None,
) -> Channel:
    """End the hold that a rollback set; raises Refused where there is none."""
    current = _existing(store, channel_name, key)
    write_id = secrets.token_hex(16)
    new = resumed(current, reason, at=utc_text(now), who=who, write_id=write_id).signed(key)
    store.compare_and_swap(channel_name, current, new)
    return new


def read_checked_channel(store: Store, name: str, *, key: bytes | None) -> Channel | None:
    """The channel, None before its first write; with a key only a channel that the key signed."""
    channel = store.read_channel(name)
    return None if channel is None else check_channel(channel, key)


def _existing(store: Store, name: str, key: bytes | None) -> Channel:
    channel = read_checked_channel(store, name, key=key)
    if channel is None:
        raise BadInput(f"channel {name} does not exist yet; run `perennial bootstrap` first")
    return channel


def _check_watermark(store: Store, manifest: Manifest, *, stable: str, key: bytes | None) -> None:
    try:
        served = read_manifest(store.manifest_bytes(stable), release_id=stable, key=key)
    except (BadInput, IntegrityError):
        return  # a damaged stable must not keep a whole release from replacing it
    ours, theirs = manifest.catalogue.watermark, served.catalogue.watermark
    if parse_utc(ours) < parse_utc(theirs):
        raise Refused(
            f"release {manifest.release_id} holds the catalogue of {ours}, older than {theirs} of "
            f"the stable {stable}; reindex it with the current catalogue, then promote that"
        )


def _previous(store: Store, current: Channel, *, same_lineage: bool, key: bytes | None) -> str:
    lineage = None
    with contextlib.suppress(PerennialError):
        data = store.manifest_bytes(current.stable)
        lineage = read_manifest(data, release_id=current.stable).lineage
    for release_id in reversed(current.standing()[:-1]):
        with contextlib.suppress(BadInput, IntegrityError):  # swept or damaged: look further back
            if (present(store, release_id, key=key).lineage == lineage) == same_lineage:
                intact(store, release_id, key=key)
                return release_id
    sought = "index of this lineage" if same_lineage else "lineage"
    raise Refused(
        f"{current.name} has no earlier {sought} that is still whole in the store; name a release "
        "of `perennial status`: perennial rollback rel-..."
    )
