"""A tiny encoder whose space is another's, turned: so that a bridge between them is exact."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tiny_release import NOON, WORDS, Folders

from perennial.index.bridge import write_bridge
from perennial.index.linear import fit_bridge
from perennial.model.encoder import load_encoder
from perennial.model.static import read_static, write_static
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import RecallPart
from perennial.release.publishing.bridged import MAP, publish_bridged
from perennial.release.stores.store import Store

TURNED = 20  # dimensions, where the tiny encoders have 16
RECALL = RecallPart(value=0.9, low=0.85, high=0.95, n=40, k=10, documents=60)


def turn(encoder: Path, to: Path, *, stretch: float = 1.0, seed: int = 5) -> Path:
    """Write an encoder of TURNED dimensions with the angles of `encoder`.

    With `stretch`, its directions count more or less before that, up to so many times: what no
    turn undoes, and the other encoder finds other documents.
    """
    tokenizer, vectors = read_static(encoder)
    square = np.random.default_rng(seed).standard_normal((TURNED, TURNED))
    scales = np.geomspace(1 / stretch, stretch, vectors.shape[1])
    turned = vectors * scales @ np.linalg.qr(square)[0][: vectors.shape[1]]
    cut = tokenizer.truncation["max_length"] if tokenizer.truncation else 32
    write_static(to, tokenizer, turned.astype(np.float32), max_tokens=cut)
    return to


def write_bridge_folders(root: Path, old: Path, new: Path) -> Path:
    """`root`/bridge fitted on every word, `root`/references of the new encoder; `root`."""
    words = [f"word{i}" for i in range(WORDS)]
    ours, theirs = load_encoder(new).encode(words), load_encoder(old).encode(words)
    for name in ("bridge", "references"):
        (root / name).mkdir(parents=True, exist_ok=True)
    write_bridge(root / "bridge" / MAP, fit_bridge("orthogonal", new=ours, old=theirs, ridge=0.0))
    pq.write_table(pa.table({"query": words[:5]}), root / "references" / "queries.parquet")
    np.save(root / "references" / "vectors.npy", ours[:5])
    return root


def publish_bridge(
    store: Store, parent: Manifest, folders: Folders, root: Path, *, key: bytes | None = None
) -> Manifest:
    """The turned encoder on the index of `parent`, which is of `folders`; writes into `root`."""
    if not (root / "encoder").exists():
        turn(folders.encoder, root / "encoder")
        write_bridge_folders(root, folders.encoder, root / "encoder")
    return publish_bridged(
        store,
        parent,
        encoder=root / "encoder",
        dimension=TURNED,
        bridge=root / "bridge",
        kind="orthogonal",
        fitted_on=WORDS,
        recall=RECALL,
        forced=None,
        references=root / "references",
        provenance={},
        created_at=NOON,
        key=key,
    )
