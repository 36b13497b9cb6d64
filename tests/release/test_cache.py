import gc
import subprocess
import sys
from pathlib import Path

import pytest
from damage import flip

from perennial.errors import IntegrityError, PlaceUnusable
from perennial.model.digest import file_digest
from perennial.release.caching.cache import ReleaseCache
from perennial.release.caching.evict import evict
from perennial.release.caching.remembered import remember_channel, remembered_channel
from perennial.release.manifests.folder import is_whole
from perennial.release.stores.local import LocalStore

USER = Path(__file__).with_name("cache_user.py")
NOBODY = ()


class CountingStore(LocalStore):
    """Says which objects were fetched from it."""

    def __init__(self, root):
        super().__init__(root)
        self.fetched = []

    def fetch(self, digest, to, **options):
        self.fetched.append(digest)
        super().fetch(digest, to, **options)


@pytest.fixture
def counting(store):
    return CountingStore(store.root)


@pytest.fixture
def cache(tmp_path):
    return ReleaseCache(tmp_path / "cache")


@pytest.fixture
def gone(store):
    """A store that cannot be reached."""
    return LocalStore(store.root / "nowhere")


def start(*arguments):
    command = [sys.executable, str(USER), *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def objects_of(cache):
    return {f"sha256:{path.name}" for path in cache.root.glob("objects/??/*")}


def folders_of(cache):
    return {path.name for path in (cache.root / "releases").iterdir()}


def test_a_new_release_of_a_lineage_costs_only_its_new_objects(
    counting, serving, reindexed, publish_tiny, cache
):
    newer = publish_tiny(reindexed)
    cache.open(counting, serving.release_id)
    assert sorted(counting.fetched) == sorted(serving.objects())
    counting.fetched.clear()
    cache.open(counting, newer.release_id)
    assert set(counting.fetched) == newer.objects().keys() - serving.objects().keys()
    assert len(counting.fetched) < len(newer.objects())


def test_what_this_process_has_verified_it_does_not_read_again(
    store, serving, cache, gone, monkeypatch
):
    used = cache.open(store, serving.release_id)
    monkeypatch.setattr("perennial.release.caching.trusted.file_digest", None)  # cannot be called
    assert cache.open(gone, serving.release_id).directory == used.directory


def test_a_fresh_process_reads_everything_again(store, serving, cache, gone):
    used = cache.open(store, serving.release_id)
    for path, file in serving.files():
        flip(used.directory / path, 0)
        with pytest.raises(IntegrityError, match=file.digest):
            ReleaseCache(cache.root).open(gone, serving.release_id)
        flip(used.directory / path, 0)
    assert ReleaseCache(cache.root).open(gone, serving.release_id).manifest == serving


def test_a_file_that_was_written_to_since_is_read_again(store, serving, cache, gone):
    used = cache.open(store, serving.release_id)
    flip(used.directory / "encoder" / "model.safetensors", -1)
    with pytest.raises(IntegrityError):
        cache.open(gone, serving.release_id)


def test_the_folder_is_made_of_links_to_the_objects(store, serving, cache):
    used = cache.open(store, serving.release_id)
    for path, file in serving.files():
        assert (used.directory / path).samefile(cache.object(file.digest))
    assert is_whole(serving, used.directory)


def test_where_no_links_can_be_the_folder_holds_verified_copies(
    store, serving, cache, gone, monkeypatch
):
    def refuse(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    used = cache.open(store, serving.release_id)
    assert is_whole(serving, used.directory)
    assert not (used.directory / "manifest.json").is_symlink()
    assert all(path.stat().st_nlink == 1 for path in used.directory.rglob("*.*"))
    assert ReleaseCache(cache.root).open(gone, serving.release_id).manifest == serving


def test_a_damaged_copy_here_is_fetched_again(counting, serving, cache):
    cache.open(counting, serving.release_id)
    digest = serving.index.segments[0].vectors.digest
    cache.object(digest).unlink()
    cache.object(digest).write_bytes(b"rotten")
    counting.fetched.clear()
    (cache.root / "releases" / serving.release_id / "index" / "index.json").unlink()
    ReleaseCache(cache.root).open(counting, serving.release_id)
    assert counting.fetched == [digest]
    assert file_digest(cache.object(digest)) == digest


def test_progress_is_told_in_bytes_of_what_was_missing(store, serving, cache):
    told = []
    cache.open(store, serving.release_id, progress=lambda done, total: told.append((done, total)))
    missing = sum(serving.objects().values())
    assert told[-1] == (missing, missing)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_eviction_leaves_what_is_kept_in_use_or_served_last(
    store, serving, reindexed, retrained, publish_tiny, cache
):
    second, third = publish_tiny(reindexed), publish_tiny(retrained)
    remembered = store.read_channel("production")
    used = cache.open(store, second.release_id)
    for manifest in (serving, third):
        cache.open(store, manifest.release_id)
    evict(cache, keep={third.release_id})
    assert folders_of(cache) == {second.release_id, third.release_id}
    assert objects_of(cache) == second.objects().keys() | third.objects().keys()

    cache.open(store, serving.release_id)
    remember_channel(cache, remembered, place=store.place)
    del used
    gc.collect()
    evict(cache, keep=NOBODY)
    assert folders_of(cache) == {serving.release_id}
    assert objects_of(cache) == serving.objects().keys()


def test_eviction_removes_what_killed_processes_left(store, serving, cache):
    used = cache.open(store, serving.release_id)
    (cache.root / "releases" / ".rel-0.aaaa.tmp" / "index").mkdir(parents=True)
    debris = cache.object(serving.encoder.files[0].digest).with_name(".half.tmp")
    debris.write_bytes(b"half")
    assert evict(cache, keep=NOBODY)
    assert folders_of(cache) == {used.manifest.release_id}
    assert not debris.exists()


def test_nothing_is_evicted_while_another_process_opens_a_release(store, serving, cache):
    class Nosy(LocalStore):
        def fetch(self, digest, to, **options):
            assert evict(ReleaseCache(cache.root), keep=NOBODY) is False
            super().fetch(digest, to, **options)

    assert cache.open(Nosy(store.root), serving.release_id).manifest == serving


def test_the_channel_that_was_served_last_is_kept_for_each_store(store, serving, cache, tmp_path):
    channel = store.read_channel("production")
    remember_channel(cache, channel, place=store.place)
    other = {"place": str(tmp_path / "other"), "key": None}
    assert remembered_channel(cache, "production", place=store.place, key=None) == channel
    assert remembered_channel(cache, "production", **other) is None
    with pytest.raises(IntegrityError, match="not signed"):
        remembered_channel(cache, "production", place=store.place, key=b"key")


def test_a_cache_that_cannot_be_written_says_so(store, serving, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(PlaceUnusable, match="in the way"):
        ReleaseCache(tmp_path / "cache").open(store, serving.release_id)


@pytest.mark.slow
def test_killed_at_any_step_the_next_open_is_right(
    store, serving, reindexed, publish_tiny, cache, tmp_path
):
    newer = publish_tiny(reindexed)
    cache.open(store, serving.release_id)
    graves = tmp_path / "graves"
    killer = start("die", store.root, cache.root, newer.release_id, graves)
    _, err = killer.communicate(timeout=500)
    assert killer.returncode == 0, err
    found = sorted(graves.iterdir())
    assert len(found) > 30
    for grave in found:
        fresh = ReleaseCache(grave)
        for manifest in (newer, serving):
            used = fresh.open(store, manifest.release_id)
            assert is_whole(manifest, used.directory), grave
        assert evict(fresh, keep={newer.release_id, serving.release_id})
        assert not list(grave.rglob("*.tmp"))


@pytest.mark.slow
def test_a_release_that_another_process_serves_is_not_evicted(
    store, serving, reindexed, publish_tiny, cache
):
    newer = publish_tiny(reindexed)
    other = start("hold", store.root, cache.root, serving.release_id)
    assert other.stdout.readline()
    used = cache.open(store, newer.release_id)
    evict(cache, keep=NOBODY)
    assert folders_of(cache) == {serving.release_id, used.manifest.release_id}
    other.kill()
    other.communicate()
    evict(cache, keep=NOBODY)
    assert folders_of(cache) == {newer.release_id}


@pytest.mark.slow
def test_processes_that_open_and_evict_at_once_never_trip_over_each_other(
    store, serving, reindexed, retrained, publish_tiny, cache
):
    manifests = [serving, publish_tiny(reindexed), publish_tiny(retrained)]
    users = [start("turn", store.root, cache.root, m.release_id, 40) for m in manifests]
    for user in users:
        _, err = user.communicate(timeout=240)
        assert user.returncode == 0, err
