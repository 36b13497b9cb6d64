"""An increment and a full build hold the same documents and vectors (canonical embedding), also
after a compaction and a quantizer that was trained anew; through the real reindex."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from proofs.catalogue_machine import LENIENT, Encoders, Place, make_documents
from tiny_release import fast_folder

from perennial.index.exact import stored_vectors
from perennial.index.index import Index
from perennial.model.digest import text_digest
from perennial.release.caching.materialise import materialise
from perennial.release.stores.local import LocalStore

LINEAGE = 1
# Codes cut what lies outside of the range that they were trained on.
LEAST_COSINE = {"Flat": 1 - 1e-5, "IVF2,Flat": 1 - 1e-5, "HNSW8": 1 - 1e-5, "IVF2,SQ8": 0.95}
AS_TRAINED = LENIENT | {"max_imbalance_growth": 1e6, "max_recall_loss": 1.0, "max_codes_loss": 1.0}
APART = AS_TRAINED | {"max_segments": 99, "fanout": 99, "max_dead_share": 1.0}
TOGETHER = AS_TRAINED | {"max_segments": 1}
TRAINED = LENIENT | {"max_imbalance_growth": 1.0, "max_recall_loss": 0.0, "max_codes_loss": 1.0}


@pytest.fixture(params=LEAST_COSINE)
def shop(request, monkeypatch):
    """A channel on a full build of a factory, whose lists and graphs are made of a few rows."""
    monkeypatch.setattr("perennial.index.factory.ROWS_PER_CENTROID", 4)
    monkeypatch.setattr("perennial.index.factory.FEW_HNSW_ROWS", 8)
    with fast_folder() as root:
        yield Shop(root, request.param)


class Shop:
    def __init__(self, root, factory):
        self.root, self.factory = root, factory
        self.place = Place(root, LocalStore(root / "store"), Encoders(root / "e"), factory)
        self.documents = make_documents(range(90))
        self.place.promote(self.place.publish(LINEAGE, self.documents)[0])

    def change(self, round_):
        """Three added, one changed, one sliced anew, one deleted."""
        start = 200 + 10 * round_
        self.documents |= make_documents(range(start, start + 3))
        names = sorted(self.documents)
        self.documents[names[round_]] = (f"word{round_} word30 word31 word32", "guide")
        self.documents[names[10 + round_]] = (self.documents[names[10 + round_]][0], "reference")
        del self.documents[names[15 + round_]]
        self.place.export(self.documents)

    def reindex(self, settings):
        done = self.place.reindex(settings=settings)
        assert done.decision.outcome == "promote", done.decision.reasons
        return done.sides[0]

    def held(self, release_id):
        """{doc_id: (text digest, slice, vector)} of every living row of a release."""
        folder = self.root / "opened" / release_id
        manifest = materialise(self.place.store, release_id, folder)
        index, found = Index.open(folder / "index", encoder_digest=manifest.lineage), {}
        for part, segment in zip(manifest.index.segments, index.segments, strict=True):
            table = pq.read_table(folder / "index" / part.ids.path).to_pylist()
            for rows, vectors in stored_vectors(segment):
                for row, vector in zip(rows.tolist(), np.array(vectors), strict=True):
                    about = table[row]
                    assert about["doc_id"] not in found, "live twice"
                    found[about["doc_id"]] = (about["text_digest"], about["slice"], vector)
        return found

    def assert_is_the_full_build(self, release_id):
        """Of the same catalogue with the same encoder, and of what the model says."""
        full, _ = self.place.publish(LINEAGE, self.documents)
        ours, theirs = self.held(release_id), self.held(full)
        wanted = {
            name: (text_digest(text), slice_) for name, (text, slice_) in self.documents.items()
        }
        for found in (ours, theirs):
            assert {name: each[:2] for name, each in found.items()} == wanted
        for name, (*_, vector) in ours.items():
            assert cosine(vector, theirs[name][2]) >= LEAST_COSINE[self.factory]
            if not self.factory.endswith("SQ8"):
                assert vector.tobytes() == theirs[name][2].tobytes(), name


def cosine(one, other):
    return float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))


def test_increments(shop):
    for round_ in range(3):
        shop.change(round_)
        side = shop.reindex(APART)
        assert (side.segments, side.merged, side.trained) == (round_ + 2, 0, ())
        assert side.embedded <= 4 + side.resliced * shop.factory.endswith("SQ8")
        shop.assert_is_the_full_build(side.release_id)


def test_a_compaction(shop):
    for round_ in range(3):
        shop.change(round_)
        side = shop.reindex(APART if round_ < 2 else TOGETHER)
    assert (side.segments, side.merged, side.trained) == (1, 4, ())
    assert side.health["dead_share"] == 0.0
    shop.assert_is_the_full_build(side.release_id)


def test_a_quantizer_that_is_trained_anew_and_increments_on_it(shop):
    if not shop.factory.startswith("IVF"):
        pytest.skip("it has no quantizer")
    for round_ in range(2):
        shop.change(round_)
        shop.reindex(APART)
    shop.documents |= {f"crowd-{i:02d}": (f"word1 word1 word{3 + i}", None) for i in range(40)}
    shop.place.export(shop.documents)
    side = shop.reindex(TRAINED)
    assert side.trained and side.segments == 1
    shop.assert_is_the_full_build(side.release_id)
    shop.change(3)
    side = shop.reindex(APART)
    assert (side.segments, side.trained) == (2, ())
    shop.assert_is_the_full_build(side.release_id)


def test_a_text_has_the_vector_that_it_has_alone(shop):
    shop.change(0)
    side = shop.reindex(APART)
    for name, (*_, vector) in shop.held(side.release_id).items():
        alone = shop.place.encoders.vector(LINEAGE, shop.documents[name][0])
        assert cosine(vector, alone) >= LEAST_COSINE[shop.factory]
