"""The mirror: behind all answers, bounded, counted, and silent whatever the candidate does."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from tiny_release import NOON

from perennial.data.mirrored import read_mirrored
from perennial.errors import BadInput
from perennial.release.caching.cache import ReleaseCache
from perennial.serving.loaded import load_release
from perennial.serving.mirror import Mirror
from perennial.serving.mirrored import Counts, MirroredFiles
from perennial.serving.searcher import Searcher


class Kept(list):
    """Keeps pairs in memory, and adds up what was counted."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()

    def __call__(self, release_id, pairs, counts):
        self.extend(pairs)
        told = vars(counts)
        self.counts = Counts(**{n: v + told[n] for n, v in vars(self.counts).items()})


@pytest.fixture
def candidate(store, newer, tmp_path):
    return load_release(store, newer, ReleaseCache(tmp_path / "candidates"))


@pytest.fixture
def searcher(store, tmp_path):
    with Searcher.open(store, cache=tmp_path / "cache", poll_seconds=10) as searcher:
        yield searcher


def mirror(candidate, keep, **changes):
    given = {"capacity": 100, "busy_share": 1.0, "seconds": 60.0} | changes
    return Mirror(candidate.search_many, release_id=candidate.release_id, keep=keep, **given)


def until(holds, *, seconds=5.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


def test_live_queries_are_asked_again_and_both_answers_kept(searcher, candidate):
    kept = Kept()
    with mirror(candidate, kept, again=searcher.search_many) as shadow:
        for i in range(8):
            answer = searcher.search(f"word{i}", 3)
            assert shadow.offer(f"word{i}", answer, request_id=f"r{i}", k=3)
        until(lambda: shadow.counts.compared == 8)
    assert [pair.request_id for pair in kept] == [f"r{i}" for i in range(8)]
    for i, pair in enumerate(kept):
        assert pair.stable.hits[0].doc_id == f"first-{i}"
        assert pair.candidate.hits[0].doc_id == f"retrained-{i}"
        assert len(pair.candidate.hits) == 3
    assert [pair.stable_ms is not None for pair in kept] == [True, False, False, False] * 2
    assert kept.counts == shadow.counts == Counts(offered=8, compared=8)


def test_a_mirror_that_is_behind_drops_counts_and_keeps_nobody_waiting(searcher, candidate):
    go = threading.Event()
    kept = Kept()

    def slow(queries, k=10, *, slice=None):
        go.wait(10)
        return candidate.search_many(queries, k, slice=slice)

    answer = searcher.search("word1")
    with Mirror(
        slow, release_id=candidate.release_id, capacity=5, keep=kept, busy_share=1.0
    ) as shadow:
        began = time.perf_counter()
        taken = sum(shadow.offer("word1", answer, request_id="r") for _ in range(10_000))
        spent = time.perf_counter() - began
        assert taken in (5, 6), "the capacity, and perhaps one that is under way"
        assert shadow.counts.dropped == 10_000 - taken
        assert spent / 10_000 < 100e-6
        go.set()
        until(lambda: shadow.counts.compared == taken)
    assert kept.counts == Counts(offered=10_000, dropped=10_000 - taken, compared=taken)


def test_offers_of_many_threads_are_all_counted(searcher, candidate):
    answer, kept = searcher.search("word1"), Kept()
    with mirror(candidate, kept, capacity=7) as shadow:

        def offer_many():
            for _ in range(2000):
                shadow.offer("word1", answer, request_id="r")

        threads = [threading.Thread(target=offer_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = shadow.counts
    assert found.offered == 8000 == found.dropped + found.compared
    assert len(kept) == found.compared


def test_a_failing_candidate_is_counted_said_once_and_disturbs_no_answer(
    searcher, candidate, caplog
):
    kept = Kept()

    def fails(queries, k=10, *, slice=None):
        if queries == ["word1"]:
            raise OSError("the candidate fell over")
        return [] if queries == ["word2"] else candidate.search_many(queries, k, slice=slice)

    with (
        caplog.at_level(logging.WARNING),
        Mirror(fails, release_id=candidate.release_id, capacity=9, keep=kept, busy_share=1.0) as m,
    ):
        for word in ("word1", "word1", "word2", "word3"):
            assert m.offer(word, searcher.search(word), request_id=word)
        until(lambda: m.counts.failed + m.counts.compared == 4)
    assert kept.counts == Counts(offered=4, failed=3, compared=1)
    assert sum("the candidate fell over" in r.getMessage() for r in caplog.records) == 1


def test_answers_of_another_release_are_not_the_candidates(searcher, candidate):
    kept = Kept()
    with Mirror(
        searcher.search_many, release_id=candidate.release_id, capacity=9, keep=kept, busy_share=1.0
    ) as shadow:
        shadow.offer("word1", searcher.search("word1"), request_id="r1")
        until(lambda: shadow.counts.dropped == 1)
    assert kept == [] and shadow.counts.failed == 0


def test_a_disk_that_refuses_costs_pairs_and_nothing_else(searcher, candidate):
    def full(release_id, pairs, counts):
        raise OSError("no space left")

    with mirror(candidate, full, rows=2) as shadow:
        for i in range(4):
            shadow.offer(f"word{i}", searcher.search(f"word{i}"), request_id=f"r{i}")
        until(lambda: shadow.counts.lost == 4)
    assert shadow.counts == Counts(offered=4, compared=4, lost=4)


def test_a_closed_mirror_takes_nothing_and_its_thread_is_gone(searcher, candidate):
    kept = Kept()
    shadow = mirror(candidate, kept)
    shadow.close()
    shadow.close()
    assert not shadow.offer("word1", searcher.search("word1"), request_id="r")
    assert shadow.counts == Counts(offered=1, dropped=1)
    assert "perennial-mirror" not in [thread.name for thread in threading.enumerate()]


def test_it_rests_so_that_it_is_busy_for_its_share_of_the_time(searcher, candidate):
    def takes_10_ms(queries, k=10, *, slice=None):
        time.sleep(0.01)
        return candidate.search_many(queries, k, slice=slice)

    answer, kept = searcher.search("word1"), Kept()
    with Mirror(
        takes_10_ms, release_id=candidate.release_id, capacity=99, keep=kept, busy_share=0.2
    ) as m:
        for _ in range(99):
            m.offer("word1", answer, request_id="r")
        time.sleep(0.26)
    assert 2 <= m.counts.compared <= 6  # without rest it would be 26


@pytest.mark.parametrize("changes", [{"capacity": 0}, {"busy_share": 0.0}, {"busy_share": 1.5}])
def test_a_mirror_that_cannot_be_is_refused(candidate, changes):
    with pytest.raises(BadInput, match="give it room"):
        mirror(candidate, Kept(), **changes)


def mirrored_into(folder, searcher, candidate, words, **files):
    keep = MirroredFiles(folder, **files)
    with mirror(candidate, keep, rows=2) as shadow:
        for i, word in enumerate(words):
            shadow.offer(word, searcher.search(word), request_id=f"r{i}")
        until(lambda: shadow.counts.compared == len(words))
    return shadow.counts


def test_what_is_kept_comes_back_newest_first_with_its_counts(searcher, candidate, tmp_path):
    words = ["word1", "word2", "gibberish", "word3"]
    mirrored_into(tmp_path / "m", searcher, candidate, words)
    stable = searcher.release.release_id
    read = {"stable": {stable}, "candidate": {candidate.release_id}, "k": 10}
    found = read_mirrored(tmp_path / "m", most=3, **read)
    assert found.request_ids == ["r3", "r2", "r1"]
    assert found.counts == {"offered": 4, "dropped": 0, "failed": 0, "compared": 4, "lost": 0}
    assert found.stable.documents[0, 0] == "first-3"
    assert found.candidate.documents[0, 0] == "retrained-3"
    assert found.candidate.scores[0, 0] == pytest.approx(1.0)
    assert found.candidate.documents[1, 0] is None, "no word of it is known"
    assert read_mirrored(tmp_path / "m", most=3, **read | {"candidate": {"other"}}) is None
    assert read_mirrored(tmp_path / "m", most=3, **read | {"stable": {"x"}}).request_ids == []
    assert read_mirrored(tmp_path / "none", most=3, **read) is None


def test_no_query_word_is_kept(searcher, candidate, tmp_path):
    mirrored_into(tmp_path / "m", searcher, candidate, ["word1 secret"])
    (path,) = (tmp_path / "m").glob("date=*/*.parquet")
    assert b"secret" not in path.read_bytes()
    assert "query" not in pq.read_schema(path).names


def test_only_the_newest_files_stay(searcher, candidate, tmp_path):
    ticks = (NOON + timedelta(hours=8 * i) for i in range(99))
    mirrored_into(
        tmp_path / "m", searcher, candidate, [f"word{i}" for i in range(10)],
        hours=8.0, now=lambda: next(ticks),
    )  # fmt: skip
    names = sorted(path.parent.name for path in (tmp_path / "m").glob("date=*/*.parquet"))
    assert names == ["date=2026-01-06", "date=2026-01-06"]
    assert not list((tmp_path / "m").rglob("*.partial"))


def test_a_foreign_file_among_them_is_named(tmp_path):
    path = tmp_path / "date=2026-01-05" / "x.parquet"
    path.parent.mkdir()
    path.write_bytes(b"no parquet")
    with pytest.raises(BadInput, match=r"x\.parquet"):
        read_mirrored(tmp_path, stable={"a"}, candidate={"b"}, most=3, k=10)


def test_the_time_of_a_pair_is_that_of_the_given_clock(searcher, candidate):
    kept = Kept()
    with mirror(candidate, kept, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as shadow:
        shadow.offer("word1", searcher.search("word1"), request_id="r")
        until(lambda: shadow.counts.compared == 1)
    assert kept[0].ts == datetime(2026, 1, 1, tzinfo=UTC)
