"""What two releases share is in memory once; what does not belong together never serves."""

import math
import shutil
from dataclasses import replace

import faiss
import numpy as np
import pytest
from tiny_release import DIMENSION, publish_folders, write_folders

from perennial.errors import EncoderMismatch
from perennial.index.index import Index
from perennial.model.encoder import load_encoder
from perennial.model.static import read_static, write_static
from perennial.release.caching.cache import ReleaseCache
from perennial.release.manifests.manifest import read_manifest
from perennial.serving.loaded import load_release
from perennial.serving.searcher import Searcher


@pytest.fixture
def searcher(store, tmp_path):
    return Searcher.open(store, "production", tmp_path / "cache", math.inf)


@pytest.fixture
def serving(store):
    release_id = store.read_channel("production").stable
    return read_manifest(store.manifest_bytes(release_id), release_id=release_id)


@pytest.fixture
def publish_forged(store):
    """`publish_forged(manifest)` under the id that its content has, whatever it says."""

    def publish_forged(manifest):
        forged = manifest.named()
        store.write_manifest(forged)
        return forged.release_id

    return publish_forged


def test_a_reindex_shares_the_encoder_and_every_segment_that_did_not_change(
    searcher, swap, reindex
):
    old = searcher.release
    swap(reindex(add={"first-7": "word41"}))
    searcher.refresh()
    new = searcher.release
    assert new.encoder is old.encoder
    assert new.index.segments[0].rows is old.index.segments[0].rows
    assert new.index.segments[0].dead is not old.index.segments[0].dead
    assert (new.index.live, len(new.index.segments)) == (40, 2)


def test_a_new_encoder_shares_nothing(searcher, swap, newer):
    old = searcher.release
    swap(newer)
    searcher.refresh()
    new = searcher.release
    assert new.encoder is not old.encoder
    assert new.index.segments[0].rows is not old.index.segments[0].rows


def test_the_same_vectors_under_other_ids_are_not_shared(searcher, store, swap, first, tmp_path):
    renamed = write_folders(tmp_path / "renamed", lineage=1, tag="renamed")
    release = publish_folders(store, renamed)
    vectors = release.index.segments[0].vectors.digest
    assert vectors == searcher.release.manifest.index.segments[0].vectors.digest
    swap(release.release_id)
    searcher.refresh()
    assert searcher.search("word7", k=1).hits[0].doc_id == "renamed-7"


def test_an_increment_answers_as_the_same_release_loaded_alone(
    searcher, store, swap, reindex, tmp_path
):
    swap(reindex(add={"first-7": "word41", "extra": "word42"}, remove=frozenset({"first-3"})))
    searcher.refresh()
    alone = load_release(store, searcher.release.release_id, tmp_path / "other")
    for i in range(40):
        assert searcher.search_many([f"word{i}"], 50) == alone.search_many([f"word{i}"], 50)


def test_an_index_of_another_encoder_is_refused_with_both_digests(
    store, serving, retrained, tmp_path
):
    other = load_encoder(retrained.encoder).digest
    folder = ReleaseCache(tmp_path / "cache").open(store, serving.release_id).directory
    with pytest.raises(EncoderMismatch, match=f"{serving.encoder.digest}.*{other}"):
        Index.open(folder / "index", encoder_digest=other)


def test_an_encoder_whose_files_do_not_make_its_digest_is_refused(
    searcher, store, serving, swap, publish_forged, newer
):
    foreign = read_manifest(store.manifest_bytes(newer), release_id=newer).encoder
    for part in (
        replace(serving.encoder, files=foreign.files),
        replace(serving.encoder, digest=foreign.digest),
    ):
        swap(publish_forged(replace(serving, encoder=part)))
        assert searcher.refresh() is False
        assert "its files make" in searcher.problem
    swap(publish_forged(replace(serving, lineage=foreign.digest)))
    assert searcher.refresh() is False
    assert "its lineage" in searcher.problem


def test_an_encoder_of_another_dimension_is_refused(
    searcher, store, serving, swap, publish_forged, first, tmp_path
):
    tokenizer, vectors = read_static(first.encoder)
    write_static(tmp_path / "narrow", tokenizer, vectors[:, :8], max_tokens=32)
    digest = load_encoder(tmp_path / "narrow").digest
    files = tuple(
        replace(file, digest=put[0], bytes=put[1])
        for file in serving.encoder.files
        for put in [store.put_file(tmp_path / "narrow" / file.path)]
    )
    part = replace(serving.encoder, digest=digest, files=files)
    swap(publish_forged(replace(serving, encoder=part, lineage=digest)))
    assert searcher.refresh() is False
    assert f"says ({DIMENSION}, {DIMENSION}) dimensions" in searcher.problem
    assert "which have (8," in searcher.problem


@pytest.mark.parametrize(
    ("dimension", "metric", "problem"),
    [
        (8, faiss.METRIC_INNER_PRODUCT, "8 dimensions"),
        (DIMENSION, faiss.METRIC_L2, "metric 1"),
    ],
)
def test_a_segment_of_another_dimension_or_metric_is_refused(
    searcher, store, serving, swap, publish_forged, tmp_path, dimension, metric, problem
):
    vectors = faiss.IndexFlat(dimension, metric)
    vectors.add(np.ones((40, dimension), dtype=np.float32))
    faiss.write_index(vectors, str(tmp_path / "foreign.faiss"))
    digest, size = store.put_file(tmp_path / "foreign.faiss")
    (segment,) = serving.index.segments
    foreign = replace(segment, vectors=replace(segment.vectors, digest=digest, bytes=size))
    swap(publish_forged(replace(serving, index=replace(serving.index, segments=(foreign,)))))
    assert searcher.refresh() is False
    assert problem in searcher.problem
    assert searcher.search("word7", k=1).hits[0].doc_id == "first-7"


def test_a_foreign_metric_in_the_manifest_is_refused(
    searcher, serving, store, swap, publish_forged
):
    part = replace(serving.encoder, metric="euclidean")
    swap(publish_forged(replace(serving, encoder=part)))
    assert searcher.refresh() is False
    assert "metric" in searcher.problem


def test_a_release_that_cannot_answer_its_own_queries_does_not_serve(
    searcher, store, serving, swap, publish_forged, tmp_path
):
    shutil.copy(store.root / "channels" / "production.json", tmp_path / "queries.parquet")
    digest, size = store.put_file(tmp_path / "queries.parquet")
    queries = replace(serving.references.queries, digest=digest, bytes=size)
    swap(publish_forged(replace(serving, references=replace(serving.references, queries=queries))))
    assert searcher.refresh() is False
    assert "queries.parquet" in searcher.problem
