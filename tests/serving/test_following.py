"""What happens to a searcher while releases come, cannot come, or the store is away."""

import gc
import itertools
import math
import os
import shutil
import threading
import time
import weakref

import pytest
from damage import flip, overwrite
from tiny_release import NOON, publish_folders

from perennial.errors import BadInput
from perennial.release.publishing.publish import promote, rollback
from perennial.release.stores.local import LocalStore
from perennial.release.stores.store import silent
from perennial.serving.searcher import Searcher


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


class Counting(LocalStore):
    """Counts the looks at a channel and the manifests that were asked for."""

    looks = manifests = 0

    def read_channel(self, name):
        self.looks += 1
        return super().read_channel(name)

    def manifest_bytes(self, release_id):
        self.manifests += 1
        return super().manifest_bytes(release_id)


class Slow(LocalStore):
    """Its objects do not come before a test lets them; where it `crawls` it says that they will."""

    def __init__(self, root, *, crawls):
        super().__init__(root)
        self.crawls, self.begun, self.go = crawls, threading.Event(), threading.Event()
        self.go.set()

    def fetch(self, digest, to, *, progress=silent):
        self.begun.set()
        while not self.go.wait(0.005):
            if self.crawls:
                progress(0)
        super().fetch(digest, to, progress=progress)


@pytest.fixture
def searcher(store, tmp_path):
    """One that looks at the channel only when it is told to."""
    return Searcher.open(store, "production", tmp_path / "cache", math.inf)


@pytest.fixture
def restart(store, tmp_path):
    """A searcher of a new process, with the cache that the last one left."""
    return lambda **options: Searcher.open(
        options.pop("store", store), "production", tmp_path / "cache", math.inf, **options
    )


def best(searcher, query="word7"):
    return searcher.search(query, k=1).hits[0].doc_id


def wait_until(holds, seconds=5.0):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def damage(store, digest):
    path = store.root / "objects" / digest[7:9] / digest[7:]
    overwrite(path, path.read_bytes()[:-1] + b"\0")


def test_by_default_a_new_release_serves_within_a_second(store, swap, newer, tmp_path):
    old, took = store.read_channel("production").stable, []
    with Searcher.open(store, "production", tmp_path / "cache") as searcher:
        for release_id in (newer, old, newer):  # a busy machine delays one, not all
            began = time.monotonic()
            swap(release_id)
            wait_until(lambda: searcher.release.release_id == release_id)  # noqa: B023
            took.append(time.monotonic() - began)
        assert best(searcher) == "retrained-7"
    assert min(took) < 1.0


def test_without_an_interval_there_is_no_thread(searcher):
    assert not [t for t in threading.enumerate() if t.name == "perennial-searcher"]


def test_the_thread_ends_with_close_and_with_a_searcher_that_nobody_holds(store, tmp_path):
    def threads():
        return [t for t in threading.enumerate() if t.name == "perennial-searcher"]

    with Searcher.open(store, "production", tmp_path / "cache"):
        assert len(threads()) == 1
    assert threads() == []
    Searcher.open(store, "production", tmp_path / "cache")
    gc.collect()
    wait_until(lambda: threads() == [])


def test_the_old_release_lives_until_its_last_query_is_answered(store, swap, newer, tmp_path):
    with Searcher.open(store, "production", tmp_path / "cache", 0.01) as searcher:
        begun = searcher.release
        gone = weakref.ref(begun)
        swap(newer)
        wait_until(lambda: searcher.release.release_id == newer)
        assert begun.search_many(["word7"], 1)[0].hits[0].doc_id == "first-7"
        del begun
        wait_until(lambda: gone() is None)


def test_refresh_frees_the_old_release_at_once(searcher, swap, newer):
    gone = weakref.ref(searcher.release)
    swap(newer)
    searcher.refresh()
    assert gone() is None


def test_closing_frees_the_release(store, tmp_path):
    with Searcher.open(store, "production", tmp_path / "cache", 0.01) as searcher:
        gone = weakref.ref(searcher.release)
    assert gone() is None


def hammer(searcher, tags, stop, failures, seen):
    for i in itertools.cycle(range(40)):
        if stop.is_set():
            return
        answers = searcher.search_many([f"word{i}", f"word{39 - i}"], k=1)
        seen.add(answers[0].release_id)
        expected = [f"{tags[answers[0].release_id]}-{n}" for n in (i, 39 - i)]
        if [answer.hits[0].doc_id for answer in answers] != expected:
            failures.append(answers)


def swap_under_fire(store, swap, newer, cache, *, swaps):
    """Four threads ask while the channel moves to and fro: (failures, releases seen)."""
    old = store.read_channel("production").stable
    stop, failures, seen = threading.Event(), [], set()
    with Searcher.open(store, "production", cache, 0.0) as searcher:
        arguments = (searcher, {old: "first", newer: "retrained"}, stop, failures, seen)
        threads = [threading.Thread(target=hammer, args=arguments) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for release_id in itertools.islice(itertools.cycle([newer, old]), swaps):
                swap(release_id)
                wait_until(lambda wanted=release_id: searcher.release.release_id == wanted)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert searcher.problem is None
    return failures, seen


def test_during_swaps_every_answer_comes_whole_from_one_release(store, swap, newer, tmp_path):
    failures, seen = swap_under_fire(store, swap, newer, tmp_path / "cache", swaps=6)
    assert failures == []
    assert len(seen) == 2


@pytest.mark.slow
def test_not_one_answer_of_hundreds_of_swaps_is_mixed(store, swap, newer, tmp_path):
    swaps = 1000 if os.environ.get("LIVES") else 300
    failures, seen = swap_under_fire(store, swap, newer, tmp_path / "cache", swaps=swaps)
    assert failures == []
    assert len(seen) == 2


def test_a_query_in_flight_across_many_swaps_is_answered_by_its_own_release(
    store, swap, reindex, searcher
):
    one, other = searcher.release.release_id, reindex(add={"first-7": "word7"})
    begun, go_on, answers = threading.Event(), threading.Event(), []

    class Slow(str):
        """A query that takes as long as the test wants, right after it took its release."""

        def encode(self, *how):
            begun.set()
            assert go_on.wait(30)
            return super().encode(*how)

    ask = threading.Thread(target=lambda: answers.append(searcher.search(Slow("word7"), k=40)))
    ask.start()
    assert begun.wait(5)
    for release_id in [other, one] * 10 + [other]:
        swap(release_id)
        assert searcher.refresh()
    go_on.set()
    ask.join()
    assert answers[0].release_id == one
    assert {hit.doc_id for hit in answers[0].hits} == {f"first-{i}" for i in range(40)}


def test_an_unreachable_store_leaves_the_release_serving_until_it_is_back(
    searcher, store, swap, newer
):
    swap(newer)
    away = store.root.rename(store.root.with_name("unmounted"))
    assert searcher.refresh() is False
    assert best(searcher) == "first-7"
    assert "serves nothing" in searcher.problem
    store.root.write_text("not a folder")
    assert searcher.refresh() is False
    assert "not a usable folder" in searcher.problem
    store.root.unlink()
    away.rename(store.root)
    assert searcher.refresh() is True
    assert searcher.problem is None


def test_a_restart_without_the_store_serves_what_was_served_last(
    searcher, store, swap, newer, restart
):
    swap(newer)
    searcher.refresh()
    away = store.root.rename(store.root.with_name("unmounted"))
    again = restart()
    assert best(again) == "retrained-7"
    assert "serves nothing" in again.problem
    assert again.refresh() is False
    away.rename(store.root)
    assert again.refresh() is False
    assert again.problem is None


def test_a_restart_without_the_store_still_hides_what_is_masked(searcher, store, reindex, restart):
    cleaned = reindex(remove=frozenset({"first-7"}))
    promote(store, "production", cleaned, now=NOON, why="reindex", who="test")
    rollback(store, "production", index=True, now=NOON, why="worse", who="test")
    assert searcher.refresh()
    shutil.rmtree(store.root)
    again = restart()
    assert "first-7" not in {hit.doc_id for hit in again.search("word7", k=100).hits}


def test_a_restart_without_the_store_passes_over_what_is_damaged_here(
    searcher, store, newer, restart, tmp_path
):
    promote(store, "production", newer, now=NOON, why="newer", who="test")
    searcher.refresh()
    shutil.rmtree(store.root)
    flip(tmp_path / "cache" / "releases" / newer / "index" / "segment-0000.faiss", -1)
    assert best(restart()) == "first-7"


def test_a_start_without_a_store_or_anything_in_the_cache_is_refused(store, restart):
    shutil.rmtree(store.root)
    with pytest.raises(BadInput, match="serves nothing"):
        restart()


def test_a_damaged_new_release_is_refused_and_the_old_one_serves_on(
    searcher, store, swap, newer, retrained, restart, caplog
):
    manifest = publish_folders(store, retrained)
    swap(newer)
    damage(store, manifest.index.segments[0].vectors.digest)
    assert searcher.refresh() is False
    assert best(searcher) == "first-7"
    assert "damaged" in searcher.problem
    assert "keeping" in caplog.text
    assert best(restart()) == "first-7"
    publish_folders(store, retrained)  # heals it
    assert searcher.refresh() is True
    assert searcher.problem is None


def test_a_release_that_cannot_come_in_is_tried_ever_more_rarely_and_the_next_one_at_once(
    store, swap, newer, retrained, tmp_path, reindex
):
    clock, watched = Clock(), Counting(store.root)
    good = reindex(add={"extra": "word41"})
    searcher = Searcher.open(watched, "production", tmp_path / "cache", 1.0, clock=clock)
    searcher._poller.close(timeout_seconds=5)  # the test's clock takes the thread's place
    follower = searcher._follower
    damage(store, publish_folders(store, retrained).index.segments[0].vectors.digest)
    swap(newer)
    tries, before = [], watched.manifests
    for second in range(200):
        clock.now = float(second)
        assert follower.look() == 1.0
        if watched.manifests > before:
            tries, before = [*tries, second], watched.manifests
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert waits[:7] == [2, 4, 8, 16, 32, 60, 60]
    swap(good)
    follower.look()
    assert searcher.release.release_id == good


def test_an_unreachable_store_is_looked_for_ever_more_rarely(store, tmp_path):
    searcher = Searcher.open(store, "production", tmp_path / "cache", 1.0)
    searcher._poller.close(timeout_seconds=5)
    (store.root / "channels" / "production.json").write_bytes(b"{")
    waits = [searcher._follower.look() for _ in range(8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_what_nobody_foresaw_stays_away_from_the_query(store, tmp_path):
    class Odd(Counting):
        def read_channel(self, name):
            if self.looks:
                raise KeyError("weight")
            return super().read_channel(name)

    with Searcher.open(Odd(store.root), "production", tmp_path / "cache", 0.01) as searcher:
        wait_until(lambda: searcher.problem == "KeyError: 'weight'")
        assert best(searcher) == "first-7"


def test_the_cache_keeps_the_release_that_serves_and_the_one_before(
    searcher, store, newer, reindex, tmp_path
):
    first = searcher.release.release_id
    second = reindex(add={"extra": "word41"})
    for release_id in (second, newer):
        promote(store, "production", release_id, now=NOON, why="newer", who="test")
        searcher.refresh()
    assert {path.name for path in (tmp_path / "cache" / "releases").iterdir()} == {second, newer}
    assert first not in (second, newer)


def test_what_the_store_no_longer_keeps_leaves_the_cache_too(store, reindex, tmp_path):
    clock, cache = Clock(), tmp_path / "cache"
    searcher = Searcher.open(store, "production", cache, math.inf, clock=clock)
    first = searcher.release.release_id
    second = reindex(remove=frozenset({"first-7"}))
    promote(store, "production", second, now=NOON, why="newer", who="test")
    searcher.refresh()
    searcher.refresh()
    assert {path.name for path in (cache / "releases").iterdir()} == {first, second}
    store.delete_manifest(first)
    clock.now = 60.0
    searcher.refresh()
    assert {path.name for path in (cache / "releases").iterdir()} == {second}
    assert searcher.search("word3", k=1).hits[0].doc_id == "first-3"


def test_what_cannot_be_tidied_costs_a_warning_and_no_swap(searcher, swap, newer, tmp_path, caplog):
    shutil.rmtree(tmp_path / "cache" / "channels")
    (tmp_path / "cache" / "channels").write_text("in the way")
    swap(newer)
    assert searcher.refresh() is True
    assert best(searcher) == "retrained-7"
    assert "could not be tidied" in caplog.text


@pytest.mark.parametrize("crawls", [True, False])
def test_closing_waits_for_no_download(store, swap, newer, tmp_path, monkeypatch, caplog, crawls):
    slow = Slow(store.root, crawls=crawls)
    searcher = Searcher.open(slow, "production", tmp_path / "cache", 0.005)
    slow.begun.clear()
    slow.go.clear()
    swap(newer)
    assert slow.begun.wait(5)
    if not crawls:  # a store that answers no more: then it is the process that ends
        monkeypatch.setattr("perennial.serving.searcher._CLOSING_SECONDS", 0.02)
    searcher.close()
    assert searcher.is_looking is not crawls
    assert caplog.text == ""
    slow.go.set()
    wait_until(lambda: not searcher.is_looking)
    with pytest.raises(BadInput, match="closed"):
        searcher.search("word7")
