"""A release with its encoder as an ONNX graph too; all else of it is carried over, not copied."""

from dataclasses import replace
from datetime import datetime

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.model.onnx.exported import Exported
from perennial.release.manifests.canonical import utc_text
from perennial.release.manifests.described import onnx_part
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.publishing.pins import Say, say_nothing
from perennial.release.publishing.successor import Successor, publish_described
from perennial.release.stores.store import Store


def publish_exported(
    store: Store,
    parent: Manifest,
    exported: Exported,
    *,
    created_at: datetime,
    key: bytes | None = None,
    say: Say = say_nothing,
) -> Manifest:
    """Publish the parent with the graph of its encoder.

    Raises EncoderMismatch where it is another encoder's, BadInput, IntegrityError.
    """
    if exported.encoder_digest != parent.encoder.digest:
        raise EncoderMismatch(
            f"{exported.folder} holds the graph of encoder {exported.encoder_digest}, but "
            f"{parent.release_id} answers with {parent.encoder.digest}; export that one: "
            "`perennial export onnx`"
        )
    part = onnx_part(exported)
    try:
        manifest = replace(
            parent, created_at=utc_text(created_at), parent=parent.release_id, onnx=part
        ).named()
        manifest = read_manifest(manifest.to_bytes(), release_id=manifest.release_id)
    except IntegrityError as error:
        raise BadInput(f"this export cannot be published: {error}") from error
    fresh = {file.digest: exported.folder / file.path for file in (part.graph, part.tokenizer)}
    return publish_described(store, Successor(manifest, fresh), key=key, say=say)
