"""Increments by hand: the new files of an index folder, as a reindex would leave them."""

import json
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tiny_release import DIMENSION, HEALTH, NOON

from perennial.model.digest import text_digest
from perennial.release.manifests.documents import dead_rows, segment_rows
from perennial.release.manifests.folder import index_json
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.store import Store


def write_increment(
    store: Store, parent: Manifest, to: Path, *, add: dict[str, str], remove: set[str] = frozenset()
) -> Path:
    """`add` (doc_id to text) as a new segment, `remove` and what `add` replaces as tombstones."""
    to.mkdir(parents=True)
    about = json.loads(index_json(parent))
    for row, segment in zip(about["segments"], parent.index.segments, strict=True):
        dead = set(dead_rows(store, segment).tolist())
        held = segment_rows(store, segment)["doc_id"].to_pylist()
        gone = dead | {i for i, doc_id in enumerate(held) if doc_id in remove or doc_id in add}
        if gone != dead:
            row["tombstones"] = segment.vectors.path.replace(".faiss", ".tombstones.npy")
            np.save(to / row["tombstones"], np.array(sorted(gone), dtype=np.uint32))
            row["live"] = row["rows"] - len(gone)
    if add:
        name = f"segment-{len(about['segments']):04d}"
        vectors = faiss.IndexFlatIP(DIMENSION)
        vectors.add(np.stack([vector_of(text) for text in add.values()]))
        faiss.write_index(vectors, str(to / f"{name}.faiss"))
        digests = [text_digest(text) for text in add.values()]
        table = pa.table({"doc_id": list(add), "text_digest": digests})
        pq.write_table(table, to / f"{name}.parquet")
        about["segments"].append(
            {
                "vectors": f"{name}.faiss",
                "ids": f"{name}.parquet",
                "tombstones": None,
                "rows": len(add),
                "live": len(add),
            }
        )
    (to / "index.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    return to


def vector_of(text: str) -> np.ndarray:
    """(d,) a unit vector that the text decides; blanks around it say nothing, as to an encoder."""
    seed = int(text_digest(text.strip())[7:15], 16)
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def publish_increment(
    store: Store,
    parent: Manifest,
    to: Path,
    *,
    add: dict[str, str],
    remove: set[str] = frozenset(),
    created_at=NOON,
    key: bytes | None = None,
) -> Manifest:
    """The parent's successor in the store; its catalogue is named by what it adds and removes."""
    index = write_increment(store, parent, to, add=add, remove=remove)
    live = sum(row["live"] for row in json.loads((index / "index.json").read_text())["segments"])
    digest = text_digest(f"{parent.release_id} {sorted(add.items())} {sorted(remove)}")
    about = {"digest": digest, "watermark": parent.catalogue.watermark, "documents": live}
    return publish_successor(
        store,
        parent,
        index=index,
        references=None,
        catalogue=about,
        health=HEALTH,
        provenance={},
        created_at=created_at,
        key=key,
    )
