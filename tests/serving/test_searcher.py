import gc
import itertools
import math
import threading
import weakref

import pytest
from tiny_release import NOON, publish_folders

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.release.publish import promote, resume, rollback
from perennial.serving.searcher import Searcher

KEY = b"a key of the house"


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def searcher(store, tmp_path, clock):
    return Searcher.open(store, "production", tmp_path / "cache", 1.0, clock=clock)


def swap(store, release_id):
    promote(store, "production", release_id, now=NOON, why="newer", who="test")


def damage(store, digest):
    path = store.root / "objects" / digest[7:9] / digest[7:]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def test_an_answer_says_which_release_found_what_and_how_near(searcher, store):
    answer = searcher.search("word7", k=3)
    assert answer.release_id == store.read_channel("production").stable
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    assert answer.hits[0].doc_id == "first-7"
    assert answer.hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert sorted((hit.score for hit in answer.hits), reverse=True) == [
        hit.score for hit in answer.hits
    ]


def test_many_queries_are_answered_in_order(searcher):
    answers = searcher.search_many([f"word{i}" for i in range(40)], k=1)
    assert [answer.hits[0].doc_id for answer in answers] == [f"first-{i}" for i in range(40)]
    assert searcher.search_many([], k=1) == []


def test_k_beyond_the_index_gives_every_document_once(searcher):
    hits = searcher.search("word1", k=1000).hits
    assert len({hit.doc_id for hit in hits}) == len(hits) == 40


@pytest.mark.parametrize("query", ["", " ", "\t\n", "\u2003"])
def test_a_query_without_text_is_bad_input(searcher, query):
    with pytest.raises(BadInput, match="query 2 of 2 is empty"):
        searcher.search_many(["word1", query])


def test_a_query_that_is_not_utf8_is_bad_input(searcher):
    with pytest.raises(BadInput, match="not valid text"):
        searcher.search("word1 \udcff")


def test_k_below_one_is_bad_input(searcher):
    with pytest.raises(BadInput, match="k is 0"):
        searcher.search("word1", k=0)


@pytest.mark.parametrize("query", ["🦆🦆", "never seen", "\0"])
def test_a_query_of_unknown_signs_only_finds_nothing(searcher, query):
    assert searcher.search(query).hits == ()


def test_a_query_of_a_megabyte_is_cut_and_answered(searcher):
    assert searcher.search("word7 " * 170_000, k=1).hits[0].doc_id == "first-7"


def test_a_new_release_is_noticed_after_the_poll_interval(searcher, store, newer, clock):
    swap(store, newer)
    clock.now = 0.9
    assert searcher.search("word7").hits[0].doc_id == "first-7"
    clock.now = 1.0
    answer = searcher.search("word7")
    assert (answer.release_id, answer.hits[0].doc_id) == (newer, "retrained-7")


def test_refresh_looks_at_once_and_says_whether_it_moved(store, newer, tmp_path):
    searcher = Searcher.open(store, "production", tmp_path / "cache", math.inf)
    assert searcher.refresh() is False
    swap(store, newer)
    assert searcher.search("word7").hits[0].doc_id == "first-7"
    assert searcher.refresh() is True
    assert searcher.release.release_id == newer


def test_a_rollback_is_followed_too(searcher, store, newer):
    old = searcher.release.release_id
    swap(store, newer)
    searcher.refresh()
    rollback(store, "production", now=NOON, why="worse", who="test")
    assert searcher.refresh()
    assert searcher.release.release_id == old


def test_a_query_keeps_its_release_until_it_is_answered_and_then_lets_it_go(searcher, store, newer):
    begun = searcher.release
    swap(store, newer)
    searcher.refresh()
    assert begun.search_many(["word7"], 1)[0].hits[0].doc_id == "first-7"
    gone = weakref.ref(begun)
    del begun
    gc.collect()
    assert gone() is None


def test_during_swaps_every_answer_comes_whole_from_one_release(store, newer, tmp_path):
    old = store.read_channel("production").stable
    searcher = Searcher.open(store, "production", tmp_path / "cache", 0.0)
    tags = {old: "first", newer: "retrained"}
    stop, failures, seen = threading.Event(), [], set()

    def keep_searching():
        for i in itertools.cycle(range(40)):
            if stop.is_set():
                return
            answers = searcher.search_many([f"word{i}", f"word{39 - i}"], k=1)
            seen.add(answers[0].release_id)
            expected = [f"{tags[answers[0].release_id]}-{n}" for n in (i, 39 - i)]
            if [answer.hits[0].doc_id for answer in answers] != expected:
                failures.append(answers)

    threads = [threading.Thread(target=keep_searching) for _ in range(4)]
    for thread in threads:
        thread.start()
    for release_id in [newer, old] * 10:
        swap(store, release_id)
        while searcher.release.release_id != release_id:
            assert any(thread.is_alive() for thread in threads)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == {old, newer}
    assert searcher.problem is None


def test_an_unreachable_store_leaves_the_release_serving_until_it_is_back(
    searcher, store, newer, clock
):
    swap(store, newer)
    away = store.root.rename(store.root.with_name("unmounted"))
    clock.now = 1.0
    assert searcher.search("word7").hits[0].doc_id == "first-7"
    assert "serves nothing" in searcher.problem
    store.root.write_text("not a folder")
    assert searcher.refresh() is False
    assert "not a usable folder" in searcher.problem
    store.root.unlink()
    away.rename(store.root)
    assert searcher.refresh() is True
    assert searcher.problem is None


def test_a_damaged_new_release_is_refused_and_the_old_one_serves_on(
    searcher, store, newer, retrained, caplog
):
    manifest = publish_folders(store, retrained)
    swap(store, newer)
    damage(store, manifest.index.segments[0].vectors.digest)
    assert searcher.refresh() is False
    assert searcher.search("word7").hits[0].doc_id == "first-7"
    assert "damaged" in searcher.problem
    assert "keeping" in caplog.text
    publish_folders(store, retrained)  # heals it
    assert searcher.refresh() is True


def test_a_release_that_cannot_come_in_is_tried_ever_more_rarely(store, tmp_path, clock):
    looks = []

    class Watched(type(store)):
        def read_channel(self, name):
            looks.append(clock.now)
            return super().read_channel(name)

    searcher = Searcher.open(
        Watched(store.root), "production", tmp_path / "cache", 1.0, clock=clock
    )
    (store.root / "channels" / "production.json").write_bytes(b"{")
    for second in range(300):
        clock.now = float(second)
        searcher.search("word1", k=1)
    waits = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_nobody_foresaw_stays_away_from_the_query_and_is_tried_ever_more_rarely(
    store, tmp_path, clock
):
    looks = []

    class Odd(type(store)):
        def read_channel(self, name):
            looks.append(clock.now)
            if len(looks) > 1:
                raise KeyError("weight")
            return super().read_channel(name)

    searcher = Searcher.open(Odd(store.root), "production", tmp_path / "cache", 1.0, clock=clock)
    for second in range(30):
        clock.now = float(second)
        assert searcher.search("word7").hits[0].doc_id == "first-7"
    assert searcher.problem == "KeyError: 'weight'"
    assert looks == [0, 1, 3, 7, 15]


def test_opening_on_a_damaged_release_is_refused_before_it_is_parsed(store, first, tmp_path):
    manifest = publish_folders(store, first)
    for file in (manifest.index.segments[0].vectors, manifest.encoder.files[-1]):
        damage(store, file.digest)
        with pytest.raises(IntegrityError, match=file.digest):
            Searcher.open(store, "production", tmp_path / "cache")
        publish_folders(store, first)


def test_opening_without_a_release_says_what_to_do(store, tmp_path):
    with pytest.raises(BadInput, match="perennial bootstrap"):
        Searcher.open(store, "staging", tmp_path / "cache")


def test_with_a_key_only_signed_releases_come_in(store, newer, first, tmp_path):
    signed = publish_folders(store, first, key=KEY)
    promote(store, "signed", signed.release_id, now=NOON, why="", who="test", key=KEY)
    searcher = Searcher.open(store, "signed", tmp_path / "cache", math.inf, KEY)
    promote(store, "signed", newer, now=NOON, why="", who="somebody without the key")
    assert searcher.refresh() is False
    assert "not signed" in searcher.problem
    with pytest.raises(IntegrityError, match="not signed"):
        Searcher.open(store, "production", tmp_path / "cache", math.inf, KEY)


def test_a_hold_does_not_concern_the_searcher(searcher, store, newer):
    swap(store, newer)
    rollback(store, "production", now=NOON, why="worse", who="test")
    assert searcher.search("word7").hits[0].doc_id == "first-7"
    with pytest.raises(Refused):
        swap(store, newer)
    resume(store, "production", reason="fixed", now=NOON, who="test")
    swap(store, newer)
    assert searcher.refresh()
