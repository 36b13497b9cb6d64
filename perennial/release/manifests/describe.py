"""From the folders that the stages wrote to the manifest that names every byte of them."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.fit import check_words
from perennial.index.index import Index
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.model.layout import read_modules
from perennial.model.onnx.exported import Exported
from perennial.release.manifests.canonical import utc_text
from perennial.release.manifests.described import (
    encoder_part,
    index_part,
    onnx_part,
    references_part,
    stored,
)
from perennial.release.manifests.folder import index_json
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.parts import CataloguePart, Provenance


def describe(
    *,
    encoder: Path,
    index: Path,
    references: Path | None,
    catalogue: Mapping[str, Any],
    health: Mapping[str, Any],
    provenance: Mapping[str, Any],
    parent: str | None,
    created_at: datetime,
    exported: Exported | None = None,
) -> Manifest:
    """The unsigned manifest of the folders; raises EncoderMismatch or BadInput before any write.

    Encoder and index are opened: an index.json that agrees with itself proves nothing.
    """
    digest = checked_digest(encoder)
    text, about = read_index_json(index)
    if about["encoder"] != digest:
        raise EncoderMismatch(
            f"the index in {index} was made by encoder {about['encoder']}, but {encoder} is "
            f"encoder {digest}; build the index again with that encoder"
        )
    try:
        manifest = Manifest(
            format_version=1,
            release_id="rel-000000000000",
            created_at=utc_text(created_at),
            parent=parent,
            lineage=digest,
            encoder=encoder_part(encoder, digest=digest, about=about),
            index=index_part(about, lambda name: stored(index, name)),
            catalogue=CataloguePart(**catalogue),
            references=None if references is None else references_part(references),
            health=dict(health),
            provenance=Provenance(**provenance),
            signature=None,
            onnx=None if exported is None else onnx_part(exported),
        ).named()
        manifest = read_manifest(manifest.to_bytes(), release_id=manifest.release_id)
    except (TypeError, KeyError, AttributeError, IntegrityError) as error:
        raise BadInput(f"these folders cannot be published: {error}") from error
    check_index_json(manifest, index, text)
    check_dimension(encoder, about["dimension"])
    try:
        Index.open(index, encoder_digest=digest, mmap=True)
        check_words(index, about)
    except EncoderMismatch:
        raise
    except IntegrityError as error:
        raise BadInput(f"the index in {index} cannot be published: {error}") from error
    return manifest


def check_dimension(encoder: Path, dimension: int) -> None:
    """Raise EncoderMismatch unless the encoder makes vectors of so many dimensions."""
    made = load_encoder(encoder).dimension
    if made != dimension:
        raise EncoderMismatch(
            f"encoder {encoder} makes vectors of {made} dimensions, but its index is said to hold "
            f"{dimension}; build the index again with that encoder"
        )


def checked_digest(encoder: Path) -> str:
    """The encoder's digest; raises BadInput where its folder could carry code."""
    read_modules(encoder)
    return directory_digest(encoder)


def check_index_json(manifest: Manifest, index: Path, text: bytes) -> None:
    """Raise BadInput unless the folder's index.json says what the manifest says, no word more."""
    if index_json(manifest) != text:
        raise BadInput(
            f"{index}/index.json says something that no manifest keeps; build the index again "
            "with this version of Perennial"
        )


def read_index_json(index: Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a folder's index.json and their value; raises BadInput."""
    path = index / "index.json"
    if not path.is_file():
        raise BadInput(f"{path} is missing; run the stage index again")
    text = path.read_bytes()
    try:
        about = dict(json.loads(text))
        about["encoder"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} is not readable; build the index again") from error
    return text, about
