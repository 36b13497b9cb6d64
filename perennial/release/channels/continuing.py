"""Whether a release goes on from what a channel has: the bridge that it replaces, its candidate."""

import contextlib

from perennial.errors import BadInput, IntegrityError
from perennial.release.channels.channel import Channel
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.stores.store import Store


def is_bridge(
    store: Store, current: Channel | None, release_id: str, *, champion: str, key: bytes | None
) -> bool:
    """True where stable is the bridge from the champion to the encoder of `release_id`."""
    if current is None:
        return False
    served = _kept(store, current.stable, key=key)
    wanted = _kept(store, release_id, key=key)
    if served is None or wanted is None:
        return False
    is_from_champion = served.bridge is not None and served.parent == champion
    return is_from_champion and served.lineage == wanted.lineage


def is_candidate(
    store: Store, current: Channel | None, manifest: Manifest, *, key: bytes | None
) -> bool:
    """True where the release continues the one that rolls out, with a newer catalogue."""
    if current is None or current.candidate is None:
        return False
    rolling = _kept(store, current.candidate.release_id, key=key)
    return rolling is not None and rolling.lineage == manifest.lineage


def _kept(store: Store, release_id: str, *, key: bytes | None) -> Manifest | None:
    """Its manifest; None where it is damaged or gone."""
    with contextlib.suppress(BadInput, IntegrityError):
        return read_manifest(store.manifest_bytes(release_id), release_id=release_id, key=key)
    return None
