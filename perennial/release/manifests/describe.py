"""From the folders that the stages wrote to the manifest that names every byte of them."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.index import Index
from perennial.model.digest import directory_digest, file_digest
from perennial.model.encoder import load_encoder
from perennial.model.layout import read_modules
from perennial.model.onnx.encoder import GRAPH, TOKENIZER
from perennial.model.onnx.exported import Exported
from perennial.release.manifests.canonical import utc_text
from perennial.release.manifests.folder import index_json
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.parts import (
    CataloguePart,
    EncoderPart,
    IndexPart,
    OnnxPart,
    Provenance,
    ReferencesPart,
    SegmentPart,
    StoredFile,
)


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


def encoder_part(encoder: Path, *, digest: str, about: Mapping[str, Any]) -> EncoderPart:
    """The part of an encoder's folder; `about` tells its dimension, metric and dtype."""
    return EncoderPart(
        digest=digest,
        dimension=about["dimension"],
        metric=about["metric"],
        dtype=about["dtype"],
        max_tokens=_max_tokens(encoder),
        files=_files_below(encoder),
    )


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


def index_part(about: Mapping[str, Any], stored_as: Callable[[str], StoredFile]) -> IndexPart:
    """The part of an index.json; `stored_as` tells what each of its file names is stored as."""
    return IndexPart(
        factory=about["factory"],
        search=dict(about["search"]),
        quantizer=stored_as(about["quantizer"]) if about["quantizer"] else None,
        segments=tuple(
            SegmentPart(
                vectors=stored_as(row["vectors"]),
                ids=stored_as(row["ids"]),
                tombstones=stored_as(row["tombstones"]) if row["tombstones"] else None,
                rows=row["rows"],
                live=row["live"],
            )
            for row in about["segments"]
        ),
    )


def references_part(references: Path) -> ReferencesPart:
    """The two files of a references folder."""
    return ReferencesPart(
        queries=stored(references, "queries.parquet"),
        vectors=stored(references, "vectors.npy"),
    )


def onnx_part(exported: Exported) -> OnnxPart:
    """The part of an export; raises BadInput where its files are no longer what was proven."""
    graph, tokenizer = (stored(exported.folder, name) for name in (GRAPH, TOKENIZER))
    if (graph.digest, tokenizer.digest) != exported.digests:
        raise BadInput(
            f"{exported.folder} holds {graph.digest} and {tokenizer.digest}, but "
            f"{' and '.join(exported.digests)} were proven equal to the encoder; export it again"
        )
    return OnnxPart(
        encoder=exported.encoder_digest,
        graph=graph,
        tokenizer=tokenizer,
        exporter=exported.exporter,
        texts=exported.proof.texts,
        max_difference=exported.proof.max_difference,
        mean_difference=exported.proof.mean_difference,
    )


def stored(folder: Path, path: str) -> StoredFile:
    """The file's digest and size; raises BadInput where it is missing."""
    file = folder / path
    if not file.is_file():
        raise BadInput(f"{file} is missing; run the stage that writes it again")
    return StoredFile(path=path, digest=file_digest(file), bytes=file.stat().st_size)


def _files_below(folder: Path) -> tuple[StoredFile, ...]:
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return tuple(stored(folder, path) for path in paths)


def _max_tokens(encoder: Path) -> int | None:
    """Where the encoder cuts a text: static ones say so in the tokenizer, others in a module."""
    for name, keys in (
        ("sentence_bert_config.json", ("max_seq_length",)),
        ("tokenizer.json", ("truncation", "max_length")),
    ):
        if (encoder / name).is_file():
            value = json.loads((encoder / name).read_bytes())
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, int):
                return value
    return None
