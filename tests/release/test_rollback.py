"""What a rollback hides, finds and says; where it goes stands in test_publish."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tiny_increment import publish_increment
from tiny_release import NOON

from perennial.release.channels.mask import read_mask
from perennial.release.forgetting.forgotten import today, write_forgotten
from perennial.release.publishing.publish import promote, resume, rollback
from perennial.release.verify import verify_store

SAID = {"now": NOON, "why": "because", "who": "test"}


@pytest.fixture
def grow(store, tmp_path):
    """`grow(parent, add=…, remove=…)`: publish an increment and make it stable."""
    count = iter(range(1000))

    def grow_one(parent, *, add=None, remove=frozenset(), channel="production"):
        i = next(count)
        made = publish_increment(
            store,
            parent,
            tmp_path / f"increment-{i}",
            add=add or {},
            remove=set(remove),
            created_at=NOON + timedelta(hours=i + 1),
        )
        when = {**SAID, "now": NOON + timedelta(hours=i + 1)}
        promote(store, channel, made.release_id, **when)
        return made

    return grow_one


def masked(store, channel):
    return read_mask(store, channel.mask)


def break_manifest(store, release_id):
    path = store.root / "releases" / f"{release_id}.json"
    path.write_bytes(path.read_bytes().replace(b"cosine", b"cosinf"))


def test_documents_deleted_since_are_hidden_and_nothing_else(store, serving, grow):
    grow(serving, add={"new": "word41", "first-5": "word42"}, remove={"first-1", "first-2"})
    channel = rollback(store, "production", index=True, **SAID)
    assert channel.stable == serving.release_id
    assert masked(store, channel) == ("first-1", "first-2")
    assert channel.mask.documents == 2
    assert store.size(channel.mask.digest) == channel.mask.bytes
    assert store.pending_ids() == []
    assert verify_store(store) == []


def test_nothing_is_masked_where_nothing_was_deleted(store, serving, grow):
    grow(serving, add={"new": "word41"})
    assert rollback(store, "production", index=True, **SAID).mask is None


def test_a_second_rollback_still_hides_what_the_first_one_hid(store, serving, grow):
    second = grow(serving, remove={"first-1"})
    grow(second, remove={"first-2"})
    channel = rollback(store, "production", index=True, **SAID)
    assert masked(store, channel) == ("first-2",)
    channel = rollback(store, "production", index=True, **SAID)
    assert channel.stable == serving.release_id
    assert masked(store, channel) == ("first-1", "first-2")


def test_a_document_that_came_back_is_not_masked(store, serving, grow):
    second = grow(serving, remove={"first-1"})
    grow(second, add={"first-1": "word50"})
    channel = rollback(store, "production", to=serving.release_id, **SAID)
    assert channel.mask is None
    assert masked(store, rollback(store, "production", to=second.release_id, **SAID)) == ()


def test_what_a_newer_release_added_shows_when_the_channel_goes_forward_to_it(store, serving, grow):
    newer = grow(serving, add={"new": "word41"}, remove={"first-1"})
    back = rollback(store, "production", index=True, **SAID)
    assert masked(store, back) == ("first-1",)
    assert rollback(store, "production", to=newer.release_id, **SAID).mask is None


def test_halfway_forward_hides_what_the_newest_deleted_and_shows_what_it_has(store, serving, grow):
    second = grow(serving, add={"new": "word41", "short-lived": "word42"}, remove={"first-1"})
    third = grow(second, add={"newest": "word43"}, remove={"short-lived", "first-2"})
    back = rollback(store, "production", to=serving.release_id, **SAID)
    assert masked(store, back) == ("first-1", "first-2")
    halfway = rollback(store, "production", to=second.release_id, **SAID)
    assert masked(store, halfway) == ("first-2", "short-lived")
    assert rollback(store, "production", to=third.release_id, **SAID).mask is None


def test_a_release_of_a_newer_catalogue_that_never_served_shows_what_it_added(
    store, serving, grow, publish_tiny, retrained
):
    candidate = publish_tiny(retrained)  # two days newer, 50 documents of its own
    assert rollback(store, "production", to=candidate.release_id, **SAID).mask is None


def test_a_release_of_no_newer_catalogue_that_never_served_hides_what_stable_lacks(
    store, serving, grow, first, publish_tiny
):
    """Its snapshot may be from before a deletion, which leaves the watermark as it is."""
    grow(serving, remove={"first-1"})
    late = replace(first, catalogue=first.catalogue | {"digest": "sha256:" + "3" * 64})
    candidate = publish_tiny(late)
    channel = rollback(store, "production", to=candidate.release_id, **SAID)
    assert masked(store, channel) == ("first-1",)


def test_where_the_newest_is_swept_only_what_is_shown_now_is_shown(store, serving, grow):
    second = grow(serving, add={"new": "word41", "short-lived": "word42"})
    third = grow(second, remove={"short-lived", "first-2"})
    rollback(store, "production", to=serving.release_id, **SAID)
    channel = store.read_channel("production")
    later = replace(channel.mask, watermark="2027-01-01T00:00:00Z")
    store.compare_and_swap("production", channel, replace(channel, mask=later).signed(None))
    store.delete_manifest(third.release_id)
    forward = rollback(store, "production", to=second.release_id, **SAID)
    assert masked(store, forward) == ("first-2", "new", "short-lived")


def test_resume_keeps_the_mask_and_a_newer_catalogue_ends_it(
    store, serving, grow, publish_tiny, reindexed, retrained
):
    grow(serving, remove={"first-1"})
    mask = rollback(store, "production", index=True, **SAID).mask
    assert resume(store, "production", reason="fixed", now=NOON, who="test").mask == mask
    older = grow(serving, remove={"first-3"})  # a catalogue that need not know of the deletion
    assert store.read_channel("production").mask == mask
    assert older.catalogue.watermark == mask.watermark
    newer = publish_tiny(retrained)
    assert promote(store, "production", newer.release_id, **SAID).mask is None


def test_a_damaged_stable_is_left_all_the_same_and_the_doubt_is_told(store, serving, grow):
    second = grow(serving, remove={"first-1"})
    break_manifest(store, second.release_id)
    told = []
    channel = rollback(store, "production", index=True, **SAID, say=told.append)
    assert (channel.stable, channel.mask) == (serving.release_id, None)
    (sentence,) = told
    assert second.release_id in sentence and "may show until a reindex" in sentence


def test_damaged_ids_of_the_stable_are_told_too_and_an_older_mask_stays(store, serving, grow):
    second = grow(serving, remove={"first-1"})
    third = grow(second, add={"new": "word41"}, remove={"first-2"})
    mask = rollback(store, "production", to=second.release_id, **SAID).mask
    for ids in (each.index.segments[0].tombstones.digest for each in (second, third)):
        path = store.root / "objects" / ids[7:9] / ids[7:]
        path.chmod(0o644)
        path.write_bytes(b"x" * path.stat().st_size)
    told = []
    channel = rollback(store, "production", to=serving.release_id, **SAID, say=told.append)
    assert (channel.mask, len(told)) == (mask, 1)
    assert third.release_id != channel.stable


def test_the_previous_index_is_found_though_the_history_forgot_it(store, serving, grow):
    releases = [serving]
    for i in range(5):
        releases.append(grow(releases[-1], add={"same": f"word{i}"}))
    ids = [each.release_id for each in releases]
    channel = store.read_channel("production")
    thinned = tuple(move for move in channel.history if move.to not in ids[2:4])
    store.compare_and_swap("production", channel, replace(channel, history=thinned).signed(None))
    back = rollback(store, "production", to=ids[3], **SAID)
    assert back.standing() == (ids[0], ids[1], ids[3])
    assert rollback(store, "production", index=True, **SAID).stable == ids[2]


def test_a_release_that_was_rewritten_is_found_under_its_new_name(
    store, serving, grow, publish_tiny, reindexed, retrained
):
    successor = publish_tiny(reindexed)
    promote(store, "production", publish_tiny(retrained).release_id, **SAID)
    write_forgotten(store, serving.release_id, successor.release_id, at="2026-01-06T00:00:00Z")
    store.delete_manifest(serving.release_id)
    assert today(store, serving.release_id) == successor.release_id
    assert rollback(store, "production", **SAID).stable == successor.release_id
    by_id = rollback(store, "production", to=publish_tiny(retrained).release_id, **SAID)
    assert by_id.stable != successor.release_id
    to_old_name = rollback(store, "production", to=serving.release_id, **SAID)
    assert to_old_name.stable == successor.release_id
