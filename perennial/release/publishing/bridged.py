"""A bridged release: a new encoder on the index of the release before, with a map between the two.

It serves while the new encoder's own index is still being made, and is one verified unit like any
other. Nothing of the index is copied. Its lineage is the new encoder's: `rollback` therefore goes
back to the old encoder with its own index, and the full release that replaces it only changes the
index. A reindex refuses it, since its encoder did not make the index; a forget rewrites it, since
that only leaves rows out.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.index.bridge import read_bridge
from perennial.release.manifests.canonical import utc_text
from perennial.release.manifests.describe import check_dimension, checked_digest
from perennial.release.manifests.described import encoder_part, references_part, stored
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.parts import BridgePart, Provenance, RecallPart
from perennial.release.publishing.pins import Say, say_nothing
from perennial.release.publishing.successor import Successor, publish_described
from perennial.release.stores.store import Store

MAP = "map.safetensors"


def publish_bridged(
    store: Store,
    parent: Manifest,
    *,
    encoder: Path,
    dimension: int,
    bridge: Path,
    kind: str,
    fitted_on: int,
    recall: RecallPart,
    forced: str | None,
    references: Path,
    provenance: Mapping[str, Any],
    created_at: datetime,
    key: bytes | None = None,
    say: Say = say_nothing,
) -> Manifest:
    """Publish the encoder's folder with the parent's index and the map in the folder `bridge`.

    Raises Refused, BadInput or IntegrityError; run again, it is the same release.
    """
    described = describe_bridged(
        parent,
        encoder=encoder,
        dimension=dimension,
        bridge=bridge,
        kind=kind,
        fitted_on=fitted_on,
        recall=recall,
        forced=forced,
        references=references,
        provenance=provenance,
        created_at=created_at,
    )
    return publish_described(store, described, key=key, say=say)


def describe_bridged(
    parent: Manifest,
    *,
    encoder: Path,
    dimension: int,
    bridge: Path,
    kind: str,
    fitted_on: int,
    recall: RecallPart,
    forced: str | None,
    references: Path,
    provenance: Mapping[str, Any],
    created_at: datetime,
) -> Successor:
    """What would be published; the health that it keeps is that of the parent's index."""
    refuse_bridged(parent, to="bridged again")
    digest = checked_digest(encoder)
    if digest == parent.encoder.digest:
        raise BadInput(
            f"{encoder} is encoder {digest}, which made the index of {parent.release_id}; a bridge "
            "leads from another encoder to it"
        )
    check_dimension(encoder, dimension)
    if (shape := read_bridge(bridge / MAP).dimensions) != (dimension, parent.encoder.dimension):
        raise BadInput(
            f"the bridge in {bridge} leads from {shape[0]} to {shape[1]} dimensions, not from "
            f"{dimension} to the {parent.encoder.dimension} of {parent.release_id}; fit it again"
        )
    about = {
        "dimension": dimension,
        "metric": parent.encoder.metric,
        "dtype": parent.encoder.dtype,
    }
    try:
        manifest = replace(
            parent,
            created_at=utc_text(created_at),
            parent=parent.release_id,
            lineage=digest,
            encoder=encoder_part(encoder, digest=digest, about=about),
            references=references_part(references),
            provenance=Provenance(**provenance),
            bridge=BridgePart(
                index_encoder=parent.encoder.digest,
                index_dimension=parent.encoder.dimension,
                kind=kind,
                map=stored(bridge, MAP),
                fitted_on=fitted_on,
                recall=recall,
                forced=forced,
            ),
            onnx=None,  # it is the parent's encoder's
        ).named()
        manifest = read_manifest(manifest.to_bytes(), release_id=manifest.release_id)
    except (TypeError, IntegrityError) as error:
        raise BadInput(f"these folders cannot be published: {error}") from error
    folders = {"encoder": encoder, "references": references, "bridge": bridge}
    fresh = {
        file.digest: folders[path.partition("/")[0]] / file.path
        for path, file in manifest.files()
        if not path.startswith("index/")
    }
    return Successor(manifest, fresh)


def refuse_bridged(manifest: Manifest, *, to: str) -> None:
    """Raise Refused for a bridged release, which cannot be `to` (reindexed, compared with, …)."""
    if manifest.bridge is not None:
        raise Refused(
            f"{manifest.release_id} is bridged and cannot be {to}: its encoder "
            f"{manifest.encoder.digest} did not make its index; promote the full release of that "
            "encoder, or go back with `perennial rollback`, then try again"
        )
