"""From a checked index folder to a release, and from releases to one write of the channel."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from perennial.data.catalogue import Documents
from perennial.errors import Conflict, Refused
from perennial.release.channels.channel import Channel
from perennial.release.channels.moves import promote_reindexed, read_checked_channel
from perennial.release.manifests.canonical import parse_utc
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.store import Store
from perennial.verbs.reindexing.base import Base
from perennial.verbs.reindexing.check import Checked


def catalogue_part(documents: Documents, *, no_older_than: Iterable[str]) -> dict[str, Any]:
    """The catalogue as a manifest tells it, in the words of the stage index.

    Where the newest document was deleted its newest time is older than what is served; the
    watermark stays, since whoever compares two releases takes an older one for an older catalogue.
    """
    lines = pc.binary_join_element_wise(
        documents.doc_ids, documents.text_digests, pa.scalar("\t", pa.string())
    )
    whole = hashlib.sha256()
    for start in range(0, len(lines), 65_536):  # joined at once they may be over 2 GB
        part = "\n".join(lines.slice(start, 65_536).to_pylist())
        whole.update(("\n" if start else "").encode() + part.encode())
    return {
        "digest": f"sha256:{whole.hexdigest()}",
        "watermark": max([documents.watermark, *no_older_than], key=parse_utc),
        "documents": len(documents),
    }


def publish_side(
    store: Store,
    base: Base,
    checked: Checked,
    documents: Documents,
    *,
    no_older_than: Iterable[str],
    provenance: Mapping[str, Any],
    now: datetime,
    key: bytes | None,
    say: Callable[[str], None],
) -> tuple[Manifest, int]:
    """The release that continues the base, and how many bytes the store got for it.

    Its watermark is as new as those of `no_older_than`, which must have the base's.
    """
    manifest = publish_successor(
        store,
        base.manifest,
        index=checked.grown.fresh,
        references=None,
        catalogue=catalogue_part(documents, no_older_than=no_older_than),
        health=checked.health,
        provenance=base.provenance(provenance),
        created_at=now,
        key=key,
        is_given=True,
        say=say,
    )
    carried = base.manifest.objects()
    new = sum(size for digest, size in manifest.objects().items() if digest not in carried)
    return manifest, new + len(manifest.to_bytes())


def swap(
    store: Store,
    seen: Channel,
    *,
    stable: tuple[str, str],
    candidate: tuple[str, str] | None,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None,
    catch_up: bool,
    say: Callable[[str], None],
) -> Channel:
    """One write of the channel; raises Conflict where it is no longer the one that was seen."""
    try:
        return promote_reindexed(
            store,
            seen.name,
            stable=stable,
            candidate=candidate,
            now=now,
            why=why,
            who=who,
            key=key,
            catch_up=catch_up,
            say=say,
        )
    except Conflict:
        raise
    except Refused as error:
        found = read_checked_channel(store, seen.name, key=key)
        if found is None or found.generation == seen.generation:
            raise
        raise Conflict(
            f"{seen.name} moved on while it was reindexed ({error}); nothing of it is lost, "
            "reindex again"
        ) from error
