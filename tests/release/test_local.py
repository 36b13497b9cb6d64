"""What the store on a disk keeps by name, and how it swaps."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from perennial.errors import BadInput, Conflict, IntegrityError, PlaceUnusable
from perennial.model.digest import file_digest
from perennial.release.channels.transitions import Signed, promoted
from perennial.release.stores.local import LocalStore
from perennial.release.stores.store import PendingNote
from perennial.release.stores.verified import MOST_NAMED_BYTES

A, B = "rel-" + "a" * 12, "rel-" + "b" * 12
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(os.urandom(3 << 20))
    return path


def swap_to(channel, release_id, name="production", who="test"):
    by = Signed(at="now", who=who, write_id=os.urandom(8).hex())
    return promoted(channel, release_id, name=name, lineage=None, why="", by=by)


def object_path(store, digest):
    hexadecimal = digest.removeprefix("sha256:")
    return store.root / "objects" / hexadecimal[:2] / hexadecimal


def test_an_empty_store_answers_without_being_made(store):
    assert store.read_channel("production") is None
    assert not store.has(NOWHERE)
    assert store.digests() == store.release_ids() == store.channel_names() == store.pending() == []
    assert not store.root.exists()


@pytest.mark.parametrize("name", ["../x", "", "rel-xyz", "rel-" + "A" * 12, "/etc/passwd"])
def test_names_are_never_paths(store, name):
    with pytest.raises(BadInput, match="not a release id"):
        store.manifest_bytes(name)
    with pytest.raises(BadInput, match="not a channel name"):
        store.read_channel(f"{name}/x")


def test_an_unknown_release_is_bad_input_that_says_where_to_look(store):
    with pytest.raises(BadInput, match="perennial status"):
        store.manifest_bytes(A)


def test_a_pending_note_comes_back_until_it_is_withdrawn(store):
    note = PendingNote(1, A, "2026-01-05T12:00:00Z", (NOWHERE,))
    store.write_pending(note)
    assert store.pending() == [note]
    store.clear_pending(A)
    store.clear_pending(A)
    assert store.pending() == []


def test_a_note_that_is_withdrawn_while_all_are_read_is_left_out(store):
    class Watched(LocalStore):
        def pending_ids(self):
            return [A, *super().pending_ids()]

    note = PendingNote(1, B, "2026-01-05T12:00:00Z", (NOWHERE,))
    store.write_pending(note)
    assert Watched(store.root).pending() == [note]


def test_the_second_of_two_swaps_from_one_state_conflicts_and_changes_nothing(store):
    ours, theirs = swap_to(None, A), swap_to(None, B, who="the others")
    store.compare_and_swap("production", None, theirs)
    with pytest.raises(Conflict, match=f"{B}.* by the others: somebody else wrote first"):
        store.compare_and_swap("production", None, ours)
    assert store.read_channel("production") == theirs


def test_a_swap_that_expects_a_channel_which_is_not_there_conflicts(store):
    with pytest.raises(Conflict, match="is now absent"):
        store.compare_and_swap("production", swap_to(None, A), swap_to(None, B))


def test_the_same_moves_by_another_writer_still_conflict(store):
    """Only the random write_id tells the two apart."""
    store.compare_and_swap("production", None, swap_to(None, A))
    with pytest.raises(Conflict):
        store.compare_and_swap("production", swap_to(None, A), swap_to(None, B))


def test_threads_that_swap_at_once_lose_no_move(store):
    def keep_moving(who):
        for release_id in [A, B] * 10:
            while True:
                channel = store.read_channel("production")
                try:
                    new = swap_to(channel, release_id, who=who)
                    store.compare_and_swap("production", channel, new)
                except Conflict:
                    continue
                break

    threads = [threading.Thread(target=keep_moving, args=(f"writer {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    channel = store.read_channel("production")
    assert channel.generation == len(channel.history) == 80
    assert all(a.to == b.from_ for a, b in zip(channel.history, channel.history[1:], strict=False))


@pytest.mark.parametrize("obstacle", [".", "objects", "objects/00"])
def test_a_file_where_a_folder_should_be_makes_the_place_unusable(tmp_path, source, obstacle):
    root = tmp_path / "store"
    digest = file_digest(source)
    obstacle = root / obstacle.replace("00", digest[7:9])
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_text("in the way")
    with pytest.raises(PlaceUnusable, match=r"store is not a usable folder \(.* is in the way\)"):
        LocalStore(root).put_file(source)
    assert obstacle.read_text() == "in the way"


def test_records_swap_only_from_what_is_there(store):
    store.swap_record("sweep", None, b"one")
    with pytest.raises(Conflict, match="somebody else wrote first"):
        store.swap_record("sweep", None, b"two")
    store.swap_record("sweep", b"one", b"two")
    store.swap_record("forgotten/rel-1", None, b"map")
    assert store.record_names() == ["forgotten/rel-1", "sweep"]
    with pytest.raises(Conflict):
        store.swap_record("sweep", b"one", None)
    store.swap_record("sweep", b"two", None)
    assert store.read_record("sweep") is None
    for name in ("../sweep", "a/b/c", "", "A"):
        with pytest.raises(BadInput, match="not a record's name"):
            store.read_record(name)


def test_what_killed_writers_left_is_found_by_its_age_and_removed(store, source):
    digest, _ = store.put_file(source)
    left = object_path(store, digest).with_name(".half.tmp")
    left.write_bytes(b"half")
    now = datetime.now(UTC)
    assert store.debris(before=now - timedelta(minutes=1)) == []
    later = now + timedelta(minutes=1)
    assert store.debris(before=later) == [left.relative_to(store.root).as_posix()]
    store.remove_debris(before=later)
    assert store.debris(before=later) == [] and store.has(digest)


def test_a_channel_that_did_not_move_is_not_parsed_again(store):
    store.compare_and_swap("production", None, one := swap_to(None, A))
    deadline = time.monotonic() + 5
    while store.read_channel("production") is not store.read_channel("production"):
        assert time.monotonic() < deadline  # one that changed just now may change unseen
        time.sleep(0.02)
    LocalStore(store.root).compare_and_swap("production", one, two := swap_to(one, B))
    assert store.read_channel("production") == two


def test_moves_within_one_tick_of_the_clock_are_all_seen(store):
    channel, other = None, LocalStore(store.root)
    for release_id in [A, B] * 50:
        other.compare_and_swap("production", channel, swap_to(channel, release_id))
        channel = store.read_channel("production")
        assert channel.stable == release_id


@pytest.mark.parametrize("folder", ["channels", "releases", "pending", "records"])
def test_a_file_too_large_to_be_one_of_ours_is_not_even_read(store, folder):
    """Whoever may write to the place could else fill the memory of every reader."""
    name = "production" if folder in ("channels", "records") else A
    (store.root / folder).mkdir(parents=True)
    with (store.root / folder / f"{name}.json").open("wb") as stream:
        stream.truncate(MOST_NAMED_BYTES + 1)  # a hole, which takes no space
    read = {
        "channels": store.read_channel,
        "releases": store.manifest_bytes,
        "pending": store.pending_note,
        "records": store.read_record,
    }[folder]
    with pytest.raises(IntegrityError, match="more than is ever written there"):
        read(name)
