"""What differs between two releases: documents, encoder, settings, provenance."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.errors import BadInput
from perennial.release.channels.moves import read_checked_channel, read_kept
from perennial.release.forgetting.forgotten import today
from perennial.release.manifests.documents import live_documents
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.keys import RELEASE_ID
from perennial.release.stores.store import Store

SHOWN = 10


@dataclass(frozen=True)
class Documents:
    """How many, and the first of them by doc_id."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """From release `a` to release `b`; `settings` and `provenance` hold (before, after) by name."""

    a: str
    b: str
    added: Documents
    changed: Documents
    removed: Documents
    same: int
    encoder: tuple[str, str]
    settings: dict[str, tuple[Any, Any]]
    provenance: dict[str, tuple[Any, Any]]


def difference(store: Store, a: str, b: str, *, key: bytes | None = None) -> Difference:
    """Compare two releases, given by id or by a channel that serves them; reads ids files only."""
    before, after = (_resolve(store, each, key=key) for each in (a, b))
    old, new = live_documents(store, before), live_documents(store, after)
    digest_before = _digests_of(new["doc_id"], old)
    is_new = pc.is_null(digest_before).to_numpy(zero_copy_only=False)
    is_same = pc.fill_null(pc.equal(_array(new["text_digest"]), digest_before), False)
    is_same = is_same.to_numpy(zero_copy_only=False)
    is_gone = ~pc.is_in(old["doc_id"], value_set=_array(new["doc_id"])).to_numpy()
    return Difference(
        a=before.release_id,
        b=after.release_id,
        added=_documents(new["doc_id"], is_new),
        changed=_documents(new["doc_id"], ~is_new & ~is_same),
        removed=_documents(old["doc_id"], is_gone),
        same=int(is_same.sum()),
        encoder=(before.encoder.digest, after.encoder.digest),
        settings=_changes(_settings(before), _settings(after)),
        provenance=_changes(_origin(before), _origin(after)),
    )


def _resolve(store: Store, name: str, *, key: bytes | None) -> Manifest:
    if RELEASE_ID.fullmatch(name):
        return read_kept(store, today(store, name), key=key)
    channel = read_checked_channel(store, name, key=key)
    if channel is None:
        raise BadInput(
            f"{name!r} is neither a release nor a channel that serves one; `perennial status` "
            "lists the releases"
        )
    return read_kept(store, channel.stable, key=key)


def _digests_of(doc_ids: pa.ChunkedArray, table: pa.Table) -> pa.Array:
    """(n,) the text digest that the table has for each doc_id, null where it has none."""
    rows = pc.index_in(doc_ids, value_set=_array(table["doc_id"])).combine_chunks()
    return _array(table["text_digest"]).take(rows)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _documents(doc_ids: pa.ChunkedArray, chosen: np.ndarray) -> Documents:
    found = _array(doc_ids.filter(pa.array(chosen))).sort()
    return Documents(len(found), tuple(found.slice(0, SHOWN).to_pylist()))


def _settings(manifest: Manifest) -> dict[str, Any]:
    index = manifest.index
    return {
        "factory": index.factory,
        "search": dict(index.search),
        "segments": len(index.segments),
        "dimension": manifest.index_dimension,
        "params_digest": manifest.provenance.params_digest,
        "bridge": None if manifest.bridge is None else manifest.bridge.kind,
        "onnx": None if manifest.onnx is None else manifest.onnx.exporter,
        "catalogue of": manifest.catalogue.watermark,
    }


def _origin(manifest: Manifest) -> dict[str, Any]:
    return asdict(manifest.provenance) | {
        "created_at": manifest.created_at,
        "parent": manifest.parent,
    }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}
