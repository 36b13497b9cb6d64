"""Publishing a release: its objects, then the manifest that names them; serves nothing yet."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import IntegrityError
from perennial.model.onnx.exported import Exported
from perennial.release.channels.moves import (
    promote,
    promote_reindexed,
    read_checked_channel,
    resume,
)
from perennial.release.channels.rollback import rollback
from perennial.release.forgetting.forgotten import refuse_forgotten
from perennial.release.manifests.describe import describe
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.pins import announce
from perennial.release.stores.store import Store

__all__ = [
    "promote",
    "promote_reindexed",
    "publish",
    "read_checked_channel",
    "resume",
    "rollback",
]


def publish(
    store: Store,
    *,
    encoder: Path,
    index: Path,
    references: Path | None,
    catalogue: Mapping[str, Any],
    health: Mapping[str, Any],
    provenance: Mapping[str, Any],
    parent: str | None,
    created_at: datetime,
    key: bytes | None = None,
    exported: Exported | None = None,
) -> Manifest:
    """Write a pending note, the objects, then the manifest; run again, it is the same release.

    Raises EncoderMismatch where another encoder made the index. Serves nothing: that is `promote`.
    """
    manifest = describe(
        encoder=encoder,
        index=index,
        references=references,
        catalogue=catalogue,
        health=health,
        provenance=provenance,
        parent=parent,
        created_at=created_at,
        exported=exported,
    )
    refuse_forgotten(store, manifest.release_id)
    if key is not None:
        manifest = manifest.signed(key)
    announce(store, manifest.release_id, manifest.objects())
    folders = {"encoder": encoder, "index": index, "references": references}
    folders["onnx"] = None if exported is None else exported.folder
    for path, file in manifest.files():
        folder = folders[path.partition("/")[0]]
        assert folder is not None
        # Without the digest the store reads what it has: so publishing again heals what rotted.
        if store.put_file(folder / file.path) != (file.digest, file.bytes):
            raise IntegrityError(
                f"{folder / file.path} changed while it was published; nothing was promoted; "
                "publish again when its writer is done"
            )
    store.write_manifest(manifest)
    store.clear_pending(manifest.release_id)
    return manifest
