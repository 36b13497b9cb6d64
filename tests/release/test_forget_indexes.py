"""Forgetting in indexes whose quantizer may itself hold the vector."""

import hashlib
import json
from datetime import timedelta

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_release import DIMENSION, HEALTH, NOON

from perennial.index.build import build_index
from perennial.index.index import Index
from perennial.model.digest import text_digest
from perennial.release.caching.materialise import materialise
from perennial.release.channels.moves import promote, read_kept
from perennial.release.forgetting.forget import forget
from perennial.release.forgetting.forgotten import today
from perennial.release.forgetting.traces import Traces, scan_folder
from perennial.release.publishing.successor import publish_successor
from perennial.release.verify import verify_store

ROWS = 400


@pytest.mark.parametrize("factory", ["IVF4,Flat", "IVF4,SQ8", "HNSW8"])
@pytest.mark.parametrize("is_centroid", [False, True])
def test_no_byte_of_an_index_keeps_the_vector(store, serving, factory, is_centroid, tmp_path):
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((ROWS, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    doc_ids = [f"doc-{i:04d}" for i in range(ROWS)]
    build_index(
        tmp_path / "index",
        vectors=vectors,
        doc_ids=doc_ids,
        text_digests=[text_digest(each) for each in doc_ids],
        slices=None,
        encoder_digest=serving.encoder.digest,
        factory=factory,
        recall_target=0.9,
        memory_mb=100,
        probes=vectors[:20],
        seed=1,
    )
    vector, about = vectors[7], json.loads((tmp_path / "index" / "index.json").read_text())
    if is_centroid:
        if about["quantizer"] is None:
            pytest.skip("a graph has no centroids")
        path = tmp_path / "index" / about["quantizer"]
        data = bytearray(path.read_bytes())
        template = faiss.deserialize_index(np.frombuffer(bytes(data), np.uint8))
        at = data.find(template.quantizer.reconstruct(0).tobytes())
        assert at >= 0
        data[at : at + 4 * DIMENSION] = vector.tobytes()
        path.write_bytes(data)
        _name_template(tmp_path / "index", path)
    catalogue = {
        "digest": text_digest("c"),
        "watermark": serving.catalogue.watermark,
        "documents": ROWS,
    }
    made = publish_successor(
        store,
        serving,
        index=tmp_path / "index",
        references=None,
        catalogue=catalogue,
        health=HEALTH,
        provenance={},
        created_at=NOON + timedelta(hours=1),
    )
    promote(store, "production", made.release_id, now=NOON, why="", who="test")
    done = forget(
        store,
        ["doc-0007"],
        who="test",
        clear_caches=lambda traces, digests: None,
        pending=timedelta(hours=1),
    )
    assert (done.hits, done.vectors) == ({}, 1)
    exact = Traces(("doc-0007",), frozenset([vector.tobytes()]))
    assert scan_folder(store.root, exact) == {}
    new = read_kept(store, today(store, made.release_id), key=None)
    materialise(store, new.release_id, tmp_path / "release")
    opened = Index.open(tmp_path / "release" / "index", encoder_digest=new.lineage)
    assert set(opened.doc_ids()) == set(doc_ids) - {"doc-0007"}
    if not (is_centroid and factory.endswith("SQ8")):  # whose residuals were to the old centroid
        _, found = opened.search(vectors[[3, 9]], 1)
        assert found[:, 0].tolist() == ["doc-0003", "doc-0009"]
    assert verify_store(store) == []


def _name_template(index, path):
    """Tell the segment that this is the quantizer it was encoded with."""
    name = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    ids = index / "segment-0000.parquet"
    table = pq.read_table(ids)
    pq.write_table(table.replace_schema_metadata({b"quantizer": name.encode()}), ids)
