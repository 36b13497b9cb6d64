"""The mask: documents that a rollback would bring back although they were deleted since."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import TypeAdapter

from perennial.release.channels.channel import Channel, Mask
from perennial.release.manifests.canonical import canonical_json, parse_strictly
from perennial.release.manifests.documents import live_documents, without
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import STRICT
from perennial.release.stores.store import Store


@dataclass(frozen=True)
class MaskedDocuments:
    """What the object holds: the hidden doc_ids, sorted."""

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    doc_ids: tuple[str, ...]


def read_mask(store: Store, mask: Mask | None) -> tuple[str, ...]:
    """The doc_ids that a channel's mask hides, sorted; raises IntegrityError."""
    if mask is None:
        return ()
    data = store.read(mask.digest)
    return parse_strictly(data, _ADAPTER, what=f"the mask {mask.digest}").doc_ids


def mask_bytes(doc_ids: list[str]) -> bytes:
    """The canonical JSON of the object."""
    return canonical_json({"format_version": 1, "doc_ids": sorted(doc_ids)})


def mask_part(data: bytes, doc_ids: list[str], *, watermark: str) -> Mask:
    """How a channel names the object of those bytes."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return Mask(digest=digest, bytes=len(data), documents=len(doc_ids), watermark=watermark)


def deleted_since(
    store: Store, target: Manifest, *, channel: Channel, stable: Manifest
) -> list[str]:
    """Documents of the target that the channel, with its own mask, no longer shows."""
    shown = live_documents(store, stable)["doc_id"]
    hidden = read_mask(store, channel.mask)
    if hidden:
        shown = without(shown, pa.chunked_array([pa.array(hidden, pa.string())]))
    return list(without(live_documents(store, target)["doc_id"], shown).unique().to_pylist())


_ADAPTER = TypeAdapter(MaskedDocuments)
