"""The parts of a manifest, from the folders that hold their files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perennial.errors import BadInput
from perennial.model.digest import file_digest
from perennial.model.onnx.encoder import GRAPH, TOKENIZER
from perennial.model.onnx.exported import Exported
from perennial.release.manifests.parts import (
    EncoderPart,
    IndexPart,
    OnnxPart,
    ReferencesPart,
    SegmentPart,
    StoredFile,
    WaitingPart,
)


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
                lexical=stored_as(row["lexical"]) if row.get("lexical") else None,
            )
            for row in about["segments"]
        ),
        waiting=tuple(
            WaitingPart(
                ids=stored_as(row["ids"]), lexical=stored_as(row["lexical"]), rows=row["rows"]
            )
            for row in about.get("waiting", ())
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
