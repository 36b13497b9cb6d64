"""Give the release that a channel serves its encoder as an ONNX graph, proven equal to torch.

What is published afterwards in its lineage, and the next retrain's candidate, carry a graph too.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from perennial.data.catalogue import read_documents, read_texts
from perennial.errors import BadInput
from perennial.model.digest import text_digests
from perennial.model.encoder import load_encoder
from perennial.model.onnx.encoder import OnnxEncoder
from perennial.model.onnx.graph import export_graph
from perennial.model.onnx.proof import TEXTS, Proof, proof_texts, prove_equal
from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.moves import existing_channel, promote, read_kept
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.exported import publish_exported
from perennial.release.stores.durable import usable
from perennial.release.stores.store import Store
from perennial.verbs.bridging.sample import logged_queries


@dataclass(frozen=True)
class Exported:
    """A graph in a folder, what made it, and how far it is from its encoder."""

    folder: Path
    encoder_digest: str
    exporter: str
    proof: Proof


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
            queries=logged_queries(store, manifest),
            catalogue=source / "catalogue.parquet",
            say=say,
        )
        made = publish_exported(
            store,
            manifest,
            folder=exported.folder,
            encoder_digest=exported.encoder_digest,
            exporter=exported.exporter,
            proof=exported.proof,
            created_at=now,
            key=key,
            say=say,
        )
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


def export_proven(
    encoder: Path, to: Path, *, queries: Sequence[str], catalogue: Path, say: Callable[[str], None]
) -> Exported:
    """Export an encoder's directory into `to`, and embed the same texts with both.

    Raises Refused where a vector differs, BadInput for a static encoder or too few texts.
    """
    original = load_encoder(encoder)
    say("exporting the encoder")
    exporter = export_graph(encoder, to, digest=original.digest)
    documents = read_documents(catalogue, digests_of=text_digests)
    chosen = np.linspace(0, len(documents) - 1, min(TEXTS, len(documents))).astype(np.int64)
    texts = proof_texts(queries[:TEXTS], read_texts(documents, chosen))
    if len(texts) < TEXTS:
        raise BadInput(
            f"{catalogue} and the log have {len(texts)} different texts, and an export is proven "
            f"on {TEXTS:,}; import a catalogue with more words"
        )
    say(f"embedding {len(texts):,} texts with torch and with onnxruntime")
    proof = prove_equal(OnnxEncoder(to, digest=original.digest), original, texts)
    return Exported(to, original.digest, exporter, proof)
