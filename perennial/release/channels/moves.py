"""The writes that move a channel forward: promote, promote_reindexed, resume."""

import secrets
from datetime import datetime

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.release.audit import swap_channel
from perennial.release.channels.channel import Channel, Mask, check_channel
from perennial.release.channels.continuing import is_bridge, is_candidate
from perennial.release.channels.transitions import Signed, promoted, reindexed, resumed
from perennial.release.manifests.canonical import parse_utc, utc_text
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.whole import present
from perennial.release.publishing.pins import Say, pinned, say_nothing, unpin
from perennial.release.stores.store import Store


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
    catch_up: bool = False,
    while_rolling: bool = False,
    say: Say = say_nothing,
) -> Channel:
    """Make the release stable; raises Refused, IntegrityError, or Conflict where another was first.

    A release that is stable already stays so without a write: a killed run may ask again. With
    `expected_stable`, the release that this one was compared with, any other stable is Refused,
    unless it is the bridge from that one to this encoder, which it is about to replace.
    A `catch_up` of the encoder that is served goes through a hold, which stays. With
    `while_rolling` only what still is the channel's candidate, or continues it, is swapped in.
    """
    move = f"{channel_name} {release_id}"
    current = read_checked_channel(store, channel_name, key=key)
    if current is not None and current.stable == release_id:
        unpin(store, move)
        return current
    if (
        expected_stable is not None
        and (current is None or current.stable != expected_stable)
        and not is_bridge(store, current, release_id, champion=expected_stable, key=key)
    ):
        raise Refused(
            f"{release_id} was compared with {expected_stable}, but {channel_name} serves "
            f"{current.stable if current else 'nothing'} since; retrain to compare it with that"
        )
    described = read_kept(store, release_id, key=key)
    if while_rolling and not is_candidate(store, current, described, key=key):
        raise Refused(f"{channel_name} rolls out {release_id} no more; nothing is swapped")
    with pinned(store, move, described.objects(), say=say):
        manifest = present(store, release_id, key=key)
        new = promoted(
            current,
            release_id,
            name=channel_name,
            lineage=manifest.lineage,
            why=why,
            by=signed_by(now, who),
            mask=None if current is None or catch_up else _still_masked(current, manifest),
            is_catch_up=catch_up,
            forced=manifest.provenance.forced,
            is_candidate=while_rolling,
        ).signed(key)
        if current is not None:
            _check_watermark(store, manifest, stable=current.stable, key=key)
        swap_channel(store, current, new, key=key)
    return new


def promote_reindexed(
    store: Store,
    channel_name: str,
    *,
    stable: tuple[str, str],
    candidate: tuple[str, str] | None,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None = None,
    catch_up: bool = False,
    say: Say = say_nothing,
) -> Channel:
    """Move stable, and the candidate of a rollout, from (old, new) in one write (design 4.6).

    Raises Refused where either is no longer the old one, where an encoder would change, and on
    hold unless it is a `catch_up`; Conflict where another writer was first. The mask is dropped.
    Where both are the new ones already nothing is written: a killed run may ask again.
    """
    current = existing_channel(store, channel_name, key=key)
    pairs = [stable] if candidate is None else [stable, candidate]
    move = f"{channel_name} {pairs}"
    rolling = current.candidate.release_id if current.candidate is not None else None
    if (current.stable, rolling) == (stable[1], candidate[1] if candidate is not None else None):
        unpin(store, move)
        return current
    described = [read_kept(store, new, key=key) for _, new in pairs]
    objects = [digest for each in described for digest in each.objects()]
    with pinned(store, move, objects, say=say):
        for old, new in pairs:
            _check_same_encoder(present(store, new, key=key), store, old, key=key)
        after = reindexed(
            current,
            stable=stable,
            candidate=candidate,
            lineage=described[0].lineage,
            why=why,
            by=signed_by(now, who),
            is_catch_up=catch_up,
        ).signed(key)
        swap_channel(store, current, after, key=key)
    return after


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
    current = existing_channel(store, channel_name, key=key)
    new = resumed(current, reason, by=signed_by(now, who)).signed(key)
    swap_channel(store, current, new, key=key)
    return new


def read_checked_channel(store: Store, name: str, *, key: bytes | None) -> Channel | None:
    """The channel, None before its first write; with a key only a channel that the key signed."""
    channel = store.read_channel(name)
    return None if channel is None else check_channel(channel, key)


def existing_channel(store: Store, name: str, *, key: bytes | None) -> Channel:
    """The channel; raises BadInput before its first write."""
    channel = read_checked_channel(store, name, key=key)
    if channel is None:
        raise BadInput(f"channel {name} does not exist yet; run `perennial bootstrap` first")
    return channel


def signed_by(now: datetime, who: str) -> Signed:
    """The writer of one move, with a random id that no other write has."""
    return Signed(at=utc_text(now), who=who, write_id=secrets.token_hex(16))


def read_kept(store: Store, release_id: str, *, key: bytes | None) -> Manifest:
    """The manifest of a kept release; raises BadInput or IntegrityError."""
    return read_manifest(store.manifest_bytes(release_id), release_id=release_id, key=key)


def _still_masked(channel: Channel, manifest: Manifest) -> Mask | None:
    """The mask, until a release knows a newer catalogue than the one that deleted documents."""
    mask = channel.mask
    if mask is None or parse_utc(manifest.catalogue.watermark) > parse_utc(mask.watermark):
        return None
    return mask


def _check_watermark(store: Store, manifest: Manifest, *, stable: str, key: bytes | None) -> None:
    try:
        served = read_kept(store, stable, key=key)
    except (BadInput, IntegrityError):
        return  # a damaged stable must not keep a whole release from replacing it
    ours, theirs = manifest.catalogue.watermark, served.catalogue.watermark
    if parse_utc(ours) < parse_utc(theirs):
        raise Refused(
            f"release {manifest.release_id} holds the catalogue of {ours}, older than {theirs} of "
            f"the stable {stable}; reindex it with the current catalogue, then promote that"
        )


def _check_same_encoder(new: Manifest, store: Store, old: str, *, key: bytes | None) -> None:
    try:
        before = read_kept(store, old, key=key)
    except (BadInput, IntegrityError):
        return  # what it continues is damaged: all the more reason to replace it
    if new.lineage != before.lineage:
        raise Refused(
            f"{new.release_id} has encoder {new.lineage}, but {old}, which it would continue, has "
            f"{before.lineage}; a reindex keeps the encoder, a new one comes by a rollout"
        )
