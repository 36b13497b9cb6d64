"""The mask: documents that a rollback would bring back although they were deleted since."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import TypeAdapter

from perennial.release.channels.channel import Channel, Mask
from perennial.release.manifests.canonical import canonical_json, parse_strictly, parse_utc
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
    store: Store, target: Manifest, *, channel: Channel, stable: Manifest, newest: Manifest
) -> list[str]:
    """Documents of the target that were deleted since its catalogue was taken, as far as is known.

    `newest` has the newest catalogue that the channel ever served: what a target as new or newer
    added is nothing that was deleted, also where stable is older and does not have it.
    """
    names, mask = live_documents(store, target)["doc_id"].unique(), channel.mask
    taken, known = (parse_utc(each.catalogue.watermark) for each in (target, newest))
    is_newest = target.release_id == newest.release_id or taken > known
    if mask is not None and parse_utc(mask.watermark) > max(taken, known):
        # What knew of those deletions is swept: only what is shown now is surely not deleted.
        newest, is_newest = stable, False
    hidden = [] if is_newest else _without(names, live_documents(store, newest)["doc_id"])
    if mask is not None and taken <= parse_utc(mask.watermark):
        hidden += set(read_mask(store, mask)).intersection(names.to_pylist())
    return sorted(set(hidden))


def _without(names: pa.Array, others: pa.ChunkedArray) -> list[str]:
    return list(without(pa.chunked_array([names]), others).to_pylist())


_ADAPTER = TypeAdapter(MaskedDocuments)
