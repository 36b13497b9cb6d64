"""A release with its encoder as an ONNX graph too; all else of it is carried over, not copied."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.model.onnx.encoder import GRAPH, TOKENIZER
from perennial.model.onnx.proof import Proof
from perennial.release.manifests.canonical import utc_text
from perennial.release.manifests.describe import stored
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.parts import OnnxPart
from perennial.release.publishing.pins import Say, say_nothing
from perennial.release.publishing.successor import Successor, publish_described
from perennial.release.stores.store import Store


def publish_exported(
    store: Store,
    parent: Manifest,
    *,
    folder: Path,
    encoder_digest: str,
    exporter: str,
    proof: Proof,
    created_at: datetime,
    key: bytes | None = None,
    say: Say = say_nothing,
) -> Manifest:
    """Publish the parent with the graph in `folder`, which was proven equal to `encoder_digest`.

    Raises EncoderMismatch where that is not the parent's encoder, BadInput, IntegrityError.
    """
    if encoder_digest != parent.encoder.digest:
        raise EncoderMismatch(
            f"{folder} holds the graph of encoder {encoder_digest}, but {parent.release_id} "
            f"answers with {parent.encoder.digest}; export that one: `perennial export onnx`"
        )
    part = onnx_part(folder, encoder_digest=encoder_digest, exporter=exporter, proof=proof)
    try:
        manifest = replace(
            parent, created_at=utc_text(created_at), parent=parent.release_id, onnx=part
        ).named()
        manifest = read_manifest(manifest.to_bytes(), release_id=manifest.release_id)
    except IntegrityError as error:
        raise BadInput(f"this export cannot be published: {error}") from error
    fresh = {file.digest: folder / file.path for file in (part.graph, part.tokenizer)}
    return publish_described(store, Successor(manifest, fresh), key=key, say=say)


def onnx_part(folder: Path, *, encoder_digest: str, exporter: str, proof: Proof) -> OnnxPart:
    """The part of an export's folder; reads its files once."""
    return OnnxPart(
        encoder=encoder_digest,
        graph=stored(folder, GRAPH),
        tokenizer=stored(folder, TOKENIZER),
        exporter=exporter,
        texts=proof.texts,
        max_difference=proof.max_difference,
        mean_difference=proof.mean_difference,
    )
