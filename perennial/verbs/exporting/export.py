"""Give the release that a channel serves its encoder as an ONNX graph, proven equal to torch.

What is published afterwards in its lineage, and the next retrain's candidate, carry a graph too.
"""

import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from perennial.data.catalogue import read_documents, read_texts
from perennial.model.digest import text_digests
from perennial.model.onnx.exported import export_proven
from perennial.model.onnx.proof import TEXTS, proof_texts
from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.moves import existing_channel, promote, read_kept
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.exported import publish_exported
from perennial.release.stores.durable import usable
from perennial.release.stores.store import Store
from perennial.verbs.bridging.sample import logged_queries


def export_serving(
    *,
    store: Store,
    channel: str,
    source: Path,
    cache: Path,
    now: datetime,
    who: str,
    key: bytes | None,
    say: Callable[[str], None],
) -> Manifest:
    """The release that the channel serves from now on; the one it serves where that has a graph.

    Raises BadInput for a static encoder, Refused for a graph that differs, on hold, during a
    rollout, or where the channel moved meanwhile. Run again after a kill, it starts anew.
    """
    stable = existing_channel(store, channel, key=key).stable
    manifest = read_kept(store, stable, key=key)
    if manifest.onnx is not None:
        say(f"{stable} has a graph already")
        return manifest
    with usable(Path("the temporary folder")), tempfile.TemporaryDirectory() as temporary:
        folder, objects = Path(temporary), ReleaseCache(cache)
        for path, file in manifest.files():
            if path.startswith("encoder/"):
                objects.place(store, file.digest, folder / path)
        exported = export_proven(
            folder / "encoder",
            folder / "onnx",
            texts=texts_for_proof(source / "catalogue.parquet", logged_queries(store, manifest)),
            say=say,
        )
        made = publish_exported(store, manifest, exported, created_at=now, key=key, say=say)
    promote(
        store,
        channel,
        made.release_id,
        now=now,
        why=f"export: {stable} with an ONNX graph",
        who=who,
        key=key,
        expected_stable=stable,
        say=say,
    )
    return made


def texts_for_proof(catalogue: Path, queries: Sequence[str]) -> list[str]:
    """The texts of a proof, from all over the catalogue and from the log."""
    documents = read_documents(catalogue, digests_of=text_digests)
    chosen = np.linspace(0, len(documents) - 1, min(TEXTS, len(documents))).astype(np.int64)
    return proof_texts(queries[:TEXTS], read_texts(documents, chosen))
