import pytest
from tiny_release import NOON

from perennial.errors import BadInput
from perennial.release.publish import promote
from perennial.release.verify import verify_release, verify_store


def path_of(store, digest):
    return store.root / "objects" / digest[7:9] / digest[7:]


def test_a_healthy_store_has_no_findings(store, serving, publish_tiny, reindexed):
    publish_tiny(reindexed)
    assert verify_store(store) == []
    assert verify_release(store, serving.release_id) == []


def test_a_flipped_byte_is_found_in_every_release_that_shares_it(
    store, serving, publish_tiny, reindexed
):
    second = publish_tiny(reindexed)
    shared = serving.encoder.files[0]
    path_of(store, shared.digest).write_bytes(b"x" * shared.bytes)
    findings = verify_store(store)
    assert {finding.thing for finding in findings} == {
        f"release {release}: encoder/{shared.path}"
        for release in (serving.release_id, second.release_id)
    }
    assert all(shared.digest in finding.problem for finding in findings)


def test_missing_and_truncated_objects_are_named_by_what_they_are(store, serving):
    vectors, ids = serving.index.segments[0].vectors, serving.index.segments[0].ids
    path_of(store, vectors.digest).unlink()
    path_of(store, ids.digest).write_bytes(b"short")
    problems = {f.thing.partition(": ")[2]: f.problem for f in verify_store(store)}
    assert "missing" in problems["index/segment-0000.faiss"]
    assert "damaged" in problems["index/segment-0000.parquet"]


def test_a_channel_without_its_release_is_a_finding(store, serving):
    (store.root / "releases" / f"{serving.release_id}.json").unlink()
    (finding,) = verify_store(store)
    assert finding.thing == "channel production"
    assert serving.release_id in finding.problem


def test_damaged_manifests_and_channels_do_not_hide_the_rest(
    store, serving, publish_tiny, retrained
):
    second = publish_tiny(retrained)
    promote(store, "other", second.release_id, now=NOON, why="", who="test")
    (store.root / "channels" / "other.json").write_text("{}")
    (store.root / "releases" / f"{serving.release_id}.json").write_text("{}")
    path_of(store, second.index.segments[0].vectors.digest).unlink()
    things = [finding.thing for finding in verify_store(store)]
    assert set(things) == {
        "channel other",
        f"release {serving.release_id}",
        f"release {second.release_id}: index/segment-0000.faiss",
    }


def test_with_a_key_what_is_not_signed_is_a_finding(store, serving):
    things = {finding.thing for finding in verify_store(store, key=b"key")}
    assert things == {"channel production", f"release {serving.release_id}"}


def test_an_unknown_release_is_bad_input(store):
    with pytest.raises(BadInput, match="not in the store"):
        verify_release(store, "rel-" + "0" * 12)
