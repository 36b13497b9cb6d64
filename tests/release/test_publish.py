import json
import shutil

import pytest
from damage import overwrite
from tiny_release import HEALTH, NOON, publish_folders

from perennial.errors import BadInput, Conflict, EncoderMismatch, IntegrityError, Refused
from perennial.model.digest import directory_digest
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.publish import promote, publish, resume, rollback
from perennial.release.verify import verify_release

KEY = b"a key of the house"
SAID = {"now": NOON, "why": "because", "who": "test"}


@pytest.fixture
def three(store, serving, publish_tiny, reindexed, retrained):
    """Production went from `first` over `reindexed` to `retrained`: their release ids."""
    second = publish_tiny(reindexed, parent=serving.release_id)
    third = publish_tiny(retrained, parent=second.release_id)
    for manifest in (second, third):
        promote(store, "production", manifest.release_id, **SAID)
    return serving.release_id, second.release_id, third.release_id


def break_manifest(store, release_id):
    path = store.root / "releases" / f"{release_id}.json"
    path.write_bytes(path.read_bytes().replace(b"cosine", b"cosinf"))


def test_a_release_names_every_byte_of_its_folders(store, publish_tiny, first):
    manifest = publish_tiny(first)
    assert manifest.lineage == manifest.encoder.digest == directory_digest(first.encoder)
    assert {path for path, _ in manifest.files()} == {
        str(path.relative_to(first.index.parent))
        for folder in (first.encoder, first.index, first.references)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "index.json"
    }
    assert manifest.health == HEALTH
    assert verify_release(store, manifest.release_id) == []
    assert store.pending() == []


def test_publishing_the_same_again_gives_the_same_release(store, publish_tiny, first):
    assert publish_tiny(first) == publish_tiny(first)
    assert len(store.release_ids()) == 1


def test_publishing_serves_nothing(store, publish_tiny, first):
    publish_tiny(first)
    assert store.read_channel("production") is None


def test_releases_share_the_objects_that_did_not_change(store, serving, publish_tiny, reindexed):
    before = set(store.digests())
    second = publish_tiny(reindexed)
    new = set(store.digests()) - before
    assert new == second.objects().keys() - before
    assert not new & {file.digest for file in second.encoder.files}


def test_an_index_of_another_encoder_is_refused_with_both_digests(store, first, retrained):
    ours, theirs = directory_digest(retrained.encoder), directory_digest(first.encoder)
    with pytest.raises(EncoderMismatch, match=f"{theirs}.*{ours}"):
        publish(
            store,
            encoder=retrained.encoder,
            index=first.index,
            references=None,
            catalogue=first.catalogue,
            health={},
            provenance={},
            parent=None,
            created_at=NOON,
        )
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"health": {"coverage": float("nan")}}, "finite numbers"),
        ({"catalogue": {"digest": "sha256:0"}}, "watermark"),
        ({"provenance": {"author": "me"}}, "author"),
        ({"parent": "the last one"}, "parent"),
        ({"created_at": NOON.replace(tzinfo=None)}, "no zone"),
    ],
)
def test_what_no_manifest_can_say_is_refused_before_anything_is_written(
    store, first, wrong, message
):
    good = {
        "encoder": first.encoder,
        "index": first.index,
        "references": first.references,
        "catalogue": first.catalogue,
        "health": {},
        "provenance": {},
        "parent": None,
        "created_at": NOON,
    }
    with pytest.raises(BadInput, match=message):
        publish(store, **(good | wrong))
    assert not store.root.exists()


def test_an_encoder_that_could_carry_code_is_refused(store, first, tmp_path):
    shutil.copytree(first.encoder, tmp_path / "encoder")
    (tmp_path / "encoder" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadInput, match=r"pytorch_model\.bin"):
        publish(
            store,
            encoder=tmp_path / "encoder",
            index=first.index,
            references=None,
            catalogue=first.catalogue,
            health={},
            provenance={},
            parent=None,
            created_at=NOON,
        )


def test_a_missing_segment_is_named(store, first, tmp_path):
    shutil.copytree(first.index.parent, tmp_path / "folders")
    (tmp_path / "folders" / "index" / "segment-0000.faiss").unlink()
    moved = type(first)(first.encoder, tmp_path / "folders" / "index", None, first.catalogue)
    with pytest.raises(BadInput, match=r"segment-0000\.faiss is missing"):
        publish_folders(store, moved)


def test_promoting_what_is_stable_already_writes_nothing(store, serving):
    before = store.read_channel("production")
    assert promote(store, "production", serving.release_id, **SAID) == before
    assert store.read_channel("production") == before


def test_a_release_that_lacks_an_object_is_not_promoted(store, serving, publish_tiny, retrained):
    manifest = publish_tiny(retrained)
    digest = manifest.index.segments[0].vectors.digest
    path = store.root / "objects" / digest[7:9] / digest[7:]
    whole = path.read_bytes()
    for damage in (lambda: path.write_bytes(whole[:-1]), path.unlink):
        damage()
        with pytest.raises(IntegrityError, match=f"lacks 1 of its objects, first {digest}"):
            promote(store, "production", manifest.release_id, **SAID)
    assert store.read_channel("production").stable == serving.release_id


def test_a_candidate_with_an_older_catalogue_is_refused(store, publish_tiny, first, retrained):
    newer, older = publish_tiny(retrained), publish_tiny(first)
    promote(store, "production", newer.release_id, **SAID)
    with pytest.raises(Refused, match=r"2026-01-05T12:00:00Z, older than 2026-01-07T12:00:00Z"):
        promote(store, "production", older.release_id, **SAID)


def test_a_damaged_stable_does_not_keep_a_whole_release_out(store, publish_tiny, first, retrained):
    newer, older = publish_tiny(retrained), publish_tiny(first)
    promote(store, "production", newer.release_id, **SAID)
    break_manifest(store, newer.release_id)
    assert promote(store, "production", older.release_id, **SAID).stable == older.release_id


def test_a_candidate_replaces_only_the_stable_that_it_was_compared_with(
    store, serving, publish_tiny, reindexed, retrained
):
    ours, theirs = publish_tiny(retrained).release_id, publish_tiny(reindexed).release_id
    compared = serving.release_id
    promote(store, "production", theirs, **SAID)
    with pytest.raises(Refused, match=f"compared with {compared}, but production serves {theirs}"):
        promote(store, "production", ours, expected_stable=compared, **SAID)
    assert store.read_channel("production").stable == theirs
    assert promote(store, "production", ours, expected_stable=theirs, **SAID).stable == ours
    again = promote(store, "production", ours, expected_stable=theirs, **SAID)
    assert again.generation == 3  # a killed run that asks again is no stranger


def test_a_stable_that_moves_after_it_was_looked_at_is_a_conflict(
    store, serving, publish_tiny, reindexed, retrained
):
    ours, theirs = publish_tiny(retrained).release_id, publish_tiny(reindexed).release_id

    class Overtaken(type(store)):
        def compare_and_swap(self, name, expected, new):
            promote(store, name, theirs, **SAID)
            super().compare_and_swap(name, expected, new)

    with pytest.raises(Conflict):
        promote(
            Overtaken(store.root), "production", ours, expected_stable=serving.release_id, **SAID
        )
    assert store.read_channel("production").stable == theirs


def test_rollback_goes_to_the_previous_lineage_and_then_further_back(store, three):
    first, second, third = three
    channel = rollback(store, "production", **SAID)
    assert channel.stable == second != third
    assert channel.hold is not None
    with pytest.raises(Refused, match="no earlier lineage"):
        rollback(store, "production", **SAID)
    assert rollback(store, "production", index=True, **SAID).stable == first


def test_rollback_to_the_previous_index_stays_in_the_lineage(store, three):
    with pytest.raises(Refused, match="no earlier index of this lineage"):
        rollback(store, "production", index=True, **SAID)
    rollback(store, "production", **SAID)
    channel = rollback(store, "production", index=True, **SAID)
    assert channel.stable == three[0]


def test_rollback_to_any_kept_release_by_its_id(store, three):
    first, _, third = three
    assert rollback(store, "production", to=first, **SAID).stable == first
    assert rollback(store, "production", to=third, **SAID).stable == third
    with pytest.raises(BadInput, match="not in the store"):
        rollback(store, "production", to="rel-" + "0" * 12, **SAID)
    with pytest.raises(BadInput, match="not both"):
        rollback(store, "production", to=first, index=True, **SAID)


def test_rollback_skips_a_release_that_is_no_longer_whole(store, three):
    first, second, _ = three
    break_manifest(store, second)
    assert rollback(store, "production", **SAID).stable == first


def test_rollback_works_when_the_stable_release_is_damaged(store, three):
    _, second, third = three
    break_manifest(store, third)
    assert rollback(store, "production", **SAID).stable == second


def test_rollback_of_a_channel_that_is_not_there_says_what_to_do(store):
    with pytest.raises(BadInput, match="perennial bootstrap"):
        rollback(store, "production", **SAID)


def test_after_a_rollback_only_resume_lets_promotions_through(store, three):
    _, second, third = three
    rollback(store, "production", **SAID)
    with pytest.raises(Refused, match="on hold"):
        promote(store, "production", third, **SAID)
    resume(store, "production", reason="data fixed", now=NOON, who="test")
    assert promote(store, "production", third, **SAID).stable == third
    assert store.read_channel("production").standing() == three
    assert rollback(store, "production", **SAID).stable == second


def test_with_a_key_everything_is_signed_and_nothing_unsigned_is_taken(
    store, publish_tiny, first, retrained
):
    signed = publish_tiny(first, key=KEY)
    promote(store, "production", signed.release_id, key=KEY, **SAID)
    read_manifest(store.manifest_bytes(signed.release_id), release_id=signed.release_id, key=KEY)
    unsigned = publish_tiny(retrained)
    with pytest.raises(IntegrityError, match="not signed"):
        promote(store, "production", unsigned.release_id, key=KEY, **SAID)
    promote(store, "production", unsigned.release_id, **SAID)  # somebody without the key
    with pytest.raises(IntegrityError, match="channel production is not signed"):
        rollback(store, "production", key=KEY, **SAID)


def test_a_lost_race_keeps_both_releases_and_the_loser_may_try_again(
    store, serving, publish_tiny, reindexed, retrained
):
    ours, theirs = publish_tiny(retrained), publish_tiny(reindexed)

    class Overtaken(type(store)):
        def compare_and_swap(self, name, expected, new):
            promote(store, name, theirs.release_id, now=NOON, why="faster", who="them")
            super().compare_and_swap(name, expected, new)

    with pytest.raises(Conflict, match=r"by them: somebody else wrote first"):
        promote(Overtaken(store.root), "production", ours.release_id, **SAID)
    assert store.read_channel("production").stable == theirs.release_id
    assert verify_release(store, ours.release_id) == []
    assert promote(store, "production", ours.release_id, **SAID).stable == ours.release_id


def test_a_file_that_changes_while_it_is_published_stops_the_publication(store, first, tmp_path):
    shutil.copytree(first.index.parent, tmp_path / "folders")
    folders = tmp_path / "folders"

    class Meddled(type(store)):
        def write_pending(self, note):
            super().write_pending(note)
            (folders / "index" / "segment-0000.faiss").write_bytes(b"another writer")

    moved = type(first)(folders / "encoder", folders / "index", None, first.catalogue)
    with pytest.raises(IntegrityError, match="changed while it was published"):
        publish_folders(Meddled(store.root), moved)
    assert store.release_ids() == []


def test_the_manifest_is_json_that_people_can_read(serving):
    assert json.loads(serving.to_bytes())["release_id"] == serving.release_id
    assert serving.to_bytes().count(b"\n") > 20


def flip_a_byte(store, digest):
    path = store.root / "objects" / digest[7:9] / digest[7:]
    overwrite(path, path.read_bytes()[:-1] + b"\0")


def test_rollback_reads_its_target_and_skips_one_whose_bytes_are_wrong(store, three):
    first, second, third = three
    manifest = read_manifest(store.manifest_bytes(second), release_id=second)
    flip_a_byte(store, manifest.index.segments[0].vectors.digest)
    with pytest.raises(IntegrityError, match="damaged in the store"):
        rollback(store, "production", to=second, **SAID)
    assert store.read_channel("production").stable == third
    assert rollback(store, "production", **SAID).stable == first


def test_rollback_does_not_mind_references_that_nothing_serves(store, three):
    _, second, _ = three
    manifest = read_manifest(store.manifest_bytes(second), release_id=second)
    flip_a_byte(store, manifest.references.vectors.digest)
    assert rollback(store, "production", **SAID).stable == second
