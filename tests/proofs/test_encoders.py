"""An encoder of another dimension, metric or digest is refused, wherever the two could meet: with
both named, and nothing of it stored or served."""

import json
import math
import shutil
from dataclasses import replace

import faiss
import numpy as np
import pytest
from tiny_increment import write_increment
from tiny_release import (
    DIMENSION,
    HEALTH,
    NOON,
    Folders,
    fast_folder,
    publish_folders,
    write_folders,
)

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.index import Index
from perennial.model.encoder import load_encoder
from perennial.model.vectors import VectorCache
from perennial.release.manifests.described import index_part, stored
from perennial.release.publishing.publish import promote
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.local import LocalStore
from perennial.serving.searcher import Searcher

SAID = {"now": NOON, "why": "because", "who": "test"}


@pytest.fixture
def place():
    with fast_folder() as folder:
        yield folder


@pytest.fixture
def folders(place):
    return write_folders(place / "right", lineage=1)


@pytest.fixture
def store(place, folders):
    """Production serves a sound release."""
    store = LocalStore(place / "store")
    promote(store, "production", publish_folders(store, folders).release_id, **SAID)
    return store


@pytest.fixture
def manifest(store, folders):
    return publish_folders(store, folders)


def describe_otherwise(index, **changes):
    path = index / "index.json"
    about = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")


def of_half_the_dimension(index, segment="segment-0000"):
    """The vectors cut in half, and the description with them: in itself it is a sound index."""
    path = index / f"{segment}.faiss"
    whole = faiss.read_index(str(path))
    half = faiss.IndexFlatIP(DIMENSION // 2)
    vectors = whole.reconstruct_n(0, whole.ntotal)
    half.add(np.ascontiguousarray(vectors[:, : DIMENSION // 2]))
    faiss.write_index(half, str(path))
    describe_otherwise(index, dimension=DIMENSION // 2)


def of_another_metric(index, segment="segment-0000"):
    path = index / f"{segment}.faiss"
    whole = faiss.read_index(str(path))
    near = faiss.IndexFlatL2(DIMENSION)
    near.add(whole.reconstruct_n(0, whole.ntotal))
    faiss.write_index(near, str(path))


def of_fewer_rows(index, segment):
    faiss.write_index(faiss.IndexFlatIP(DIMENSION), str(index / f"{segment}.faiss"))


def of_another_encoder(index):
    describe_otherwise(index, encoder="sha256:" + "0" * 64)


SPOILT = [of_half_the_dimension, of_another_metric, of_another_encoder]


@pytest.fixture(params=SPOILT, ids=lambda spoil: spoil.__name__)
def spoilt(request, place, folders):
    """The right encoder beside an index of another dimension, metric or digest."""
    shutil.copytree(folders.index, place / "spoilt")
    request.param(place / "spoilt")
    return replace(folders, index=place / "spoilt")


def assert_refused(store, work):
    """One sentence, and nothing of it is stored, named or served."""
    before = store.read_channel("production"), store.digests(), store.release_ids()
    with pytest.raises((BadInput, EncoderMismatch)) as refused:
        work()
    assert "\n" not in str(refused.value)
    assert before == (store.read_channel("production"), store.digests(), store.release_ids())
    assert store.pending() == []


def publish_unchecked(store, manifest, index):
    """The manifest with that index folder in place of its own, as a careless program leaves it."""
    about = json.loads((index / "index.json").read_text())
    part = index_part(about, lambda name: stored(index, name))
    encoder = replace(manifest.encoder, dimension=about["dimension"])
    made = replace(manifest, index=part, encoder=encoder).named()
    for file in sorted(index.glob("segment-*")):
        store.put_file(file)
    store.write_manifest(made)
    return made


def test_a_release_of_parts_that_do_not_fit_is_not_published(store, spoilt):
    assert_refused(store, lambda: publish_folders(store, spoilt))


def test_a_successor_that_does_not_fit_is_not_published(store, manifest, spoilt, place):
    index = write_increment(store, manifest, place / "increment", add={"doc-7": "word41"})
    for path in spoilt.index.iterdir():  # the parent's files too, as the spoilt ones
        if path.name.startswith("segment-0000") or not (index / path.name).exists():
            shutil.copy(path, index / path.name)
    about = json.loads((spoilt.index / "index.json").read_text())
    changed = {name: about[name] for name in ("encoder", "dimension", "metric")}
    describe_otherwise(index, **changed)
    assert_refused(store, lambda: publish_increment_folder(store, manifest, index))


@pytest.mark.parametrize("spoil", [of_half_the_dimension, of_another_metric, of_fewer_rows])
def test_an_increment_whose_new_segment_does_not_fit_is_not_published(
    store, manifest, place, spoil
):
    index = write_increment(store, manifest, place / "increment", add={"doc-7": "word41"})
    before = (index / "index.json").read_bytes()
    spoil(index, segment="segment-0001")
    (index / "index.json").write_bytes(before)
    assert_refused(store, lambda: publish_increment_folder(store, manifest, index))


def publish_increment_folder(store, manifest, index):
    about = {"digest": manifest.catalogue.digest, "watermark": manifest.catalogue.watermark}
    return publish_successor(
        store,
        manifest,
        index=index,
        references=None,
        catalogue=about | {"documents": 40},
        health=HEALTH,
        provenance={},
        created_at=NOON,
    )


@pytest.mark.parametrize("spoil", [of_half_the_dimension, of_another_metric])
def test_what_was_published_without_looking_is_not_served(store, manifest, folders, place, spoil):
    shutil.copytree(folders.index, place / "spoilt")
    spoil(place / "spoilt")
    cache = place / "reader"
    with Searcher.open(store, "production", cache, math.inf) as searcher:
        serving = searcher.release.release_id
        made = publish_unchecked(store, manifest, place / "spoilt")
        promote(store, "production", made.release_id, **SAID)
        assert not searcher.refresh()
        assert "\n" not in str(searcher.problem)
        with pytest.raises((EncoderMismatch, IntegrityError)):
            Searcher.open(store, "production", cache.with_name("fresh"), math.inf)
        assert searcher.release.release_id == serving
        assert [hit.doc_id for hit in searcher.search("word7", k=1).hits] == ["doc-7"]


def test_an_index_opens_only_with_the_encoder_that_made_it(folders):
    other = "sha256:" + "1" * 64
    digest = load_encoder(folders.encoder).digest
    with pytest.raises(EncoderMismatch, match=f"{digest}.*{other}"):
        Index.open(folders.index, encoder_digest=other)


def test_an_index_answers_no_vector_of_another_dimension(folders):
    index = Index.open(folders.index, encoder_digest=load_encoder(folders.encoder).digest)
    for shape in ((1, DIMENSION - 1), (1, DIMENSION + 1), (DIMENSION,)):
        with pytest.raises(BadInput, match="dimensions"):
            index.search(np.ones(shape, dtype=np.float32), 3)


def test_an_index_whose_description_tells_another_dimension_does_not_open(folders):
    digest = load_encoder(folders.encoder).digest
    describe_otherwise(folders.index, dimension=DIMENSION // 2)
    with pytest.raises(IntegrityError, match=f"{DIMENSION}.*{DIMENSION // 2}"):
        Index.open(folders.index, encoder_digest=digest)


def test_an_index_that_compares_otherwise_does_not_open(folders):
    of_another_metric(folders.index)
    with pytest.raises(IntegrityError, match="compares by FAISS's metric 1"):
        Index.open(folders.index, encoder_digest=load_encoder(folders.encoder).digest)


def test_the_folders_of_two_encoders_are_no_release(store, folders, place):
    other = write_folders(place / "other", lineage=2)
    mixed = Folders(other.encoder, folders.index, folders.references, folders.catalogue)
    ours, theirs = (load_encoder(each.encoder).digest for each in (folders, other))
    with pytest.raises(EncoderMismatch, match=f"{ours}.*{theirs}"):
        publish_folders(store, mixed)
    assert len(store.release_ids()) == 1 and store.pending() == []


def test_no_vector_of_another_encoder_comes_out_of_the_cache(place, folders):
    encoder = load_encoder(folders.encoder)
    other = load_encoder(write_folders(place / "other", lineage=2).encoder)
    for each in (encoder, other):
        with VectorCache.open(
            place / "vectors", encoder_digest=each.digest, dimension=DIMENSION
        ) as cache:
            assert np.array_equal(
                cache.embed(each, ["word1"], ["sha256:" + "1" * 64]), each.encode(["word1"])
            )
            with pytest.raises(EncoderMismatch):
                cache.embed(other if each is encoder else encoder, ["a"], ["sha256:" + "2" * 64])
