import errno
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from damage import flip, overwrite

from perennial.errors import BadInput, Conflict, IntegrityError, PlaceUnusable
from perennial.model.digest import file_digest
from perennial.release.local import LocalStore
from perennial.release.store import PendingNote
from perennial.release.transitions import Signed, promoted

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


def test_an_object_is_kept_under_its_digest(store, source, tmp_path):
    digest, size = store.put_file(source)
    assert (digest, size) == (file_digest(source), 3 << 20)
    assert store.has(digest) and store.digests() == [digest] and store.size(digest) == size
    assert object_path(store, digest).read_bytes() == store.read(digest) == source.read_bytes()
    store.fetch(digest, tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == source.read_bytes()


def test_an_object_that_is_there_is_not_written_again(store, source):
    digest, _ = store.put_file(source)
    before = object_path(store, digest).stat()
    store.put_file(source)
    assert object_path(store, digest).stat().st_ino == before.st_ino


def test_an_empty_store_answers_without_being_made(store):
    assert store.read_channel("production") is None
    assert not store.has(NOWHERE)
    assert store.digests() == store.release_ids() == store.channel_names() == store.pending() == []
    assert not store.root.exists()


@pytest.mark.parametrize("where", [0, 1 << 20, -1])
def test_a_flipped_byte_is_refused_and_nothing_is_copied(store, source, tmp_path, where):
    digest, _ = store.put_file(source)
    path = object_path(store, digest)
    flip(path, where)
    for look in (store.read, store.check, lambda d: store.fetch(d, tmp_path / "copy")):
        with pytest.raises(IntegrityError, match=digest):
            look(digest)
    assert not (tmp_path / "copy").exists()
    assert list(tmp_path.glob(".copy*")) == []


def test_publishing_again_heals_an_object_that_rotted(store, source):
    digest, _ = store.put_file(source)
    overwrite(object_path(store, digest), b"rotten")
    store.put_file(source)
    assert store.read(digest) == source.read_bytes()


def test_a_missing_object_is_named_with_what_to_do(store):
    with pytest.raises(IntegrityError, match=f"{NOWHERE} is missing .* rollback"):
        store.read(NOWHERE)


@pytest.mark.parametrize(
    "digest", ["", "sha256:../../etc/passwd", "md5:" + "0" * 64, NOWHERE + "0"]
)
def test_a_digest_is_never_a_path(store, digest):
    with pytest.raises(BadInput, match="not a digest"):
        store.read(digest)


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


def test_objects_are_closed_to_writers_and_fetched_as_another_name_of_the_file(
    store, source, tmp_path
):
    told = []
    digest, size = store.put_file(source, progress=told.append)
    assert sum(told) == size
    assert object_path(store, digest).stat().st_mode & 0o222 == 0
    told.clear()
    store.fetch(digest, tmp_path / "copy", progress=told.append)
    assert sum(told) == size
    assert (tmp_path / "copy").samefile(object_path(store, digest))
    store.fetch(digest, tmp_path / "copy")  # over itself
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "source", "store"]
    store.delete(digest)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is one file system only")
def test_another_file_system_gets_a_copy(store, source, tmp_path_factory):
    digest, _ = store.put_file(source)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    if elsewhere.parent.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("there is one file system only")
    store.fetch(digest, elsewhere)
    assert elsewhere.read_bytes() == source.read_bytes()
    assert not elsewhere.samefile(object_path(store, digest))
    assert elsewhere.stat().st_mode & 0o222 == 0


def test_a_file_system_without_hard_links_gets_a_copy(store, source, tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError(errno.EPERM, "no links here")

    digest, _ = store.put_file(source)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store.fetch(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    overwrite(object_path(store, digest), b"rotten")
    with pytest.raises(IntegrityError, match=digest):
        store.fetch(digest, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_who_knows_the_digest_does_not_pay_for_reading_what_is_there(store, source):
    digest, size = store.put_file(source)
    overwrite(object_path(store, digest), b"x" * size)
    assert store.put_file(source, digest=digest) == (digest, size)
    with pytest.raises(IntegrityError):
        store.check(digest)
    store.put_file(source)  # without it the object is read, and healed
    store.check(digest)


def test_wrong_bytes_are_never_stored_under_a_digest_that_the_caller_gives(store, source):
    with pytest.raises(IntegrityError, match="changed while it was published"):
        store.put_file(source, digest=NOWHERE)
    assert store.digests() == []
    assert store.debris(before=datetime.now(UTC) + timedelta(hours=1)) == []


def test_objects_tell_their_size_and_when_they_were_written(store, source):
    before = datetime.now(UTC) - timedelta(seconds=1)
    store.put_bytes(b"mask")
    digest, size = store.put_file(source)
    found = store.objects()
    assert [each.digest for each in found] == store.digests()
    assert {each.digest: each.bytes for each in found}[digest] == size
    assert all(before < each.modified <= datetime.now(UTC) + timedelta(seconds=1) for each in found)
    assert store.sizes([digest, NOWHERE]) == {digest: size, NOWHERE: None}


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
