import shutil

import pytest
from tiny_increment import publish_increment, write_increment
from tiny_release import HEALTH, NOON

from perennial.errors import BadInput, EncoderMismatch, IntegrityError, Refused
from perennial.index.index import Index
from perennial.release.caching.materialise import materialise
from perennial.release.manifests.documents import live_documents
from perennial.release.publishing.publish import promote, promote_reindexed, resume, rollback
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.local import LocalStore
from perennial.release.verify import verify_store

SAID = {"now": NOON, "why": "because", "who": "test"}


class Watched(LocalStore):
    """Remembers which objects were put or read."""

    def __init__(self, root):
        super().__init__(root)
        self.put, self.opened = [], []

    def put_file(self, path, **options):
        digest, size = super().put_file(path, **options)
        self.put.append(digest)
        return digest, size

    def read(self, digest):
        self.opened.append(digest)
        return super().read(digest)

    def check(self, digest):
        self.opened.append(digest)
        super().check(digest)


def served_documents(store, manifest):
    return set(live_documents(store, manifest)["doc_id"].to_pylist())


def publish_index(store, parent, index, **options):
    given = {
        "references": None,
        "catalogue": {
            "digest": parent.catalogue.digest,
            "watermark": parent.catalogue.watermark,
            "documents": 1,
        },
        "health": HEALTH,
        "provenance": {},
        "created_at": NOON,
    }
    return publish_successor(store, parent, index=index, **(given | options))


def test_an_increment_stores_its_new_files_and_touches_nothing_else(store, serving, tmp_path):
    add = {"new": "word41", "first-3": "word42"}
    index = write_increment(store, serving, tmp_path / "index", add=add, remove={"first-0"})
    watched, before = Watched(store.root), set(store.digests())
    second = publish_index(watched, serving, index)
    new = second.objects().keys() - serving.objects().keys()
    assert len(new) == 3  # vectors, ids, tombstones of the first segment
    assert set(watched.put) == set(store.digests()) - before == new
    assert len(watched.put) == 3
    assert watched.opened == []
    assert (second.parent, second.encoder) == (serving.release_id, serving.encoder)
    assert second.references == serving.references
    assert served_documents(store, second) == served_documents(store, serving) - {"first-0"} | {
        "new"
    }
    assert store.pending() == []
    assert verify_store(store) == []


def test_an_increment_is_a_whole_release_to_a_reader(store, serving, tmp_path):
    second = publish_increment(store, serving, tmp_path / "index", add={"new": "word41"})
    materialise(store, second.release_id, tmp_path / "release")
    opened = Index.open(tmp_path / "release" / "index", encoder_digest=second.lineage)
    assert opened.live == 41
    assert set(opened.doc_ids()) == served_documents(store, second)


def test_publishing_an_increment_again_gives_the_same_release(store, serving, tmp_path):
    index = write_increment(store, serving, tmp_path / "index", add={"new": "word41"})
    assert publish_index(store, serving, index) == publish_index(store, serving, index)


def test_an_increment_of_a_release_that_lost_an_object_is_refused_by_name(store, serving, tmp_path):
    index = write_increment(store, serving, tmp_path / "index", add={"new": "word41"})
    lost = serving.index.segments[0].vectors.digest
    store.delete(lost)
    with pytest.raises(IntegrityError, match=f"lacks 1 of its objects, first {lost}"):
        publish_index(store, serving, index)
    assert store.release_ids() == [serving.release_id]
    assert store.pending() == []


def test_an_increment_that_another_encoder_made_is_refused_with_both_digests(
    store, serving, publish_tiny, retrained, tmp_path
):
    other = publish_tiny(retrained)
    index = write_increment(store, serving, tmp_path / "index", add={"new": "word41"})
    with pytest.raises(EncoderMismatch, match=f"{serving.lineage}.*{other.lineage}"):
        publish_index(store, other, index)


def test_a_file_that_neither_the_folder_nor_the_parent_has_is_named(store, serving, tmp_path):
    index = write_increment(store, serving, tmp_path / "index", add={"new": "word41"})
    (index / "segment-0001.parquet").unlink()
    with pytest.raises(BadInput, match=r"segment-0001\.parquet is missing"):
        publish_index(store, serving, index)


def test_new_references_replace_those_of_the_parent(store, serving, reindexed, tmp_path):
    index = write_increment(store, serving, tmp_path / "index", add={"new": "word41"})
    references = shutil.copytree(reindexed.references, tmp_path / "references")
    (references / "queries.parquet").write_bytes(b"other queries")
    second = publish_index(store, serving, index, references=references)
    assert second.references.queries != serving.references.queries
    assert store.read(second.references.queries.digest) == b"other queries"


@pytest.fixture
def grown(store, serving, tmp_path):
    """`serving` and its successor with one more document."""
    return serving, publish_increment(store, serving, tmp_path / "grown", add={"new": "word41"})


def test_a_reindex_moves_stable_and_is_not_written_twice(store, grown):
    first, second = grown
    pair = {"stable": (first.release_id, second.release_id), "candidate": None}
    channel = promote_reindexed(store, "production", **pair, **SAID)
    assert channel.stable == second.release_id
    assert channel.history[-1].lineage == second.lineage
    assert promote_reindexed(store, "production", **pair, **SAID) == channel


def test_a_reindex_of_what_is_no_longer_served_is_refused(store, grown, tmp_path):
    first, second = grown
    other = publish_increment(store, first, tmp_path / "other", add={"other": "word43"})
    promote(store, "production", other.release_id, **SAID)
    with pytest.raises(Refused, match="reindex what is there now"):
        promote_reindexed(
            store,
            "production",
            stable=(first.release_id, second.release_id),
            candidate=None,
            **SAID,
        )
    assert store.read_channel("production").stable == other.release_id


def test_a_reindex_never_changes_the_encoder(store, serving, publish_tiny, retrained):
    other = publish_tiny(retrained)
    with pytest.raises(Refused, match="a reindex keeps the encoder"):
        promote_reindexed(
            store,
            "production",
            stable=(serving.release_id, other.release_id),
            candidate=None,
            **SAID,
        )


def test_on_hold_only_a_catch_up_is_let_through_and_the_hold_stays(
    store, grown, publish_tiny, reindexed, tmp_path
):
    first, second = grown
    third = publish_tiny(reindexed, parent=first.release_id)
    promote(store, "production", third.release_id, **SAID)
    rollback(store, "production", index=True, **SAID)
    pair = {"stable": (first.release_id, second.release_id), "candidate": None}
    assert store.read_channel("production").mask is not None
    with pytest.raises(Refused, match="on hold"):
        promote_reindexed(store, "production", **pair, **SAID)
    channel = promote_reindexed(store, "production", **pair, **SAID, catch_up=True)
    assert (channel.stable, channel.mask) == (second.release_id, None)
    assert channel.hold is not None
    assert resume(store, "production", reason="fixed", now=NOON, who="test").hold is None


def test_a_catch_up_with_another_encoder_is_refused(
    store, grown, publish_tiny, reindexed, retrained
):
    third = publish_tiny(reindexed, parent=grown[0].release_id)
    promote(store, "production", third.release_id, **SAID)
    rollback(store, "production", index=True, **SAID)
    other = publish_tiny(retrained)
    with pytest.raises(Refused, match="a catch-up keeps the encoder"):
        promote(store, "production", other.release_id, catch_up=True, **SAID)
