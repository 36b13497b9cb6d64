import pytest
from damage import flip, overwrite
from tiny_increment import publish_increment
from tiny_release import NOON

from perennial.errors import BadInput
from perennial.release.publishing.pins import SWEEP
from perennial.release.publishing.publish import promote, rollback
from perennial.release.stores.store import PendingNote
from perennial.release.verify import verify_release, verify_store, verify_whole_store

KEY = b"a key of the house"


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
    overwrite(path_of(store, shared.digest), b"x" * shared.bytes)
    findings = verify_store(store)
    assert {finding.thing for finding in findings} == {
        f"release {release}: encoder/{shared.path}"
        for release in (serving.release_id, second.release_id)
    }
    assert all(shared.digest in finding.problem for finding in findings)


def test_missing_and_truncated_objects_are_named_by_what_they_are(store, serving):
    vectors, ids = serving.index.segments[0].vectors, serving.index.segments[0].ids
    path_of(store, vectors.digest).unlink()
    overwrite(path_of(store, ids.digest), b"short")
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


def test_what_nothing_names_is_listed_as_waste_and_is_no_fault(store, serving):
    digest, size = store.put_bytes(b"left by a killed publisher")
    found = verify_whole_store(store)
    assert found.findings == ()
    assert [(orphan.digest, orphan.bytes) for orphan in found.orphans] == [(digest, size)]
    assert found.objects == len(store.digests())
    assert found.bytes == sum(each.bytes for each in store.objects())


def test_what_a_pending_note_names_is_no_waste(store, serving):
    digest, _ = store.put_bytes(b"being published")
    store.write_pending(PendingNote(1, "rel-" + "0" * 12, "2026-01-05T12:00:00Z", (digest,)))
    assert verify_whole_store(store).orphans == ()


def test_waste_that_is_damaged_is_a_fault(store, serving):
    digest, _ = store.put_bytes(b"left by a killed publisher")
    flip(path_of(store, digest), 3)
    (finding,) = verify_store(store)
    assert finding.thing == f"object {digest}"
    assert "damaged" in finding.problem


def test_damaged_notes_and_records_are_named(store, serving):
    (store.root / "pending").mkdir(exist_ok=True)
    (store.root / "pending" / "rel-00000000000a.json").write_text("{}")
    store.swap_record(SWEEP, None, b"{}")
    store.swap_record("forgotten/rel-00000000000b", None, b"[")
    assert [finding.thing for finding in verify_store(store)] == [
        "pending note of rel-00000000000a",
        "record forgotten/rel-00000000000b",
        "record sweep",
    ]


def test_a_mask_that_is_damaged_or_missing_is_the_channels_fault(store, serving, tmp_path):
    second = publish_increment(store, serving, tmp_path / "index", add={}, remove={"first-1"})
    said = {"now": NOON, "why": "", "who": "test"}
    promote(store, "production", second.release_id, **said)
    mask = rollback(store, "production", index=True, **said).mask
    assert verify_whole_store(store).orphans == ()
    flip(path_of(store, mask.digest), 0)
    assert {f.thing for f in verify_store(store)} == {"channel production", f"object {mask.digest}"}
    store.delete(mask.digest)
    (finding,) = verify_store(store)
    assert "missing" in finding.problem


def test_any_flipped_bit_is_found(store, first, publish_tiny):
    signed = publish_tiny(first, key=KEY)  # what else would tell a channel from another?
    promote(store, "production", signed.release_id, now=NOON, why="", who="test", key=KEY)
    files = [path for path in store.root.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 10
    for path in files:
        for position in (0, path.stat().st_size // 2, path.stat().st_size - 2):
            flip(path, position)
            assert verify_store(store, key=KEY) != [], (path, position)
            flip(path, position)
    assert verify_store(store, key=KEY) == []


def test_progress_adds_up_to_all_bytes(store, serving):
    done = []
    found = verify_whole_store(store, progress=done.append)
    assert sum(done) == found.bytes > 0
