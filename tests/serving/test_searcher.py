import itertools
import math
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import overwrite
from tiny_release import NOON, Folders, publish_folders

from perennial.errors import BadInput, IntegrityError
from perennial.release.publishing.publish import promote, rollback
from perennial.serving.searcher import Searcher

KEY = b"a key of the house"


@pytest.fixture
def searcher(store, tmp_path):
    """One that looks at the channel only when it is told to."""
    return Searcher.open(store, "production", tmp_path / "cache", math.inf)


def damage(store, digest):
    path = store.root / "objects" / digest[7:9] / digest[7:]
    overwrite(path, path.read_bytes()[:-1] + b"\0")


def found(searcher, query, **options):
    return [hit.doc_id for hit in searcher.search(query, **options).hits]


def test_an_answer_says_which_release_found_what_and_how_near(searcher, store):
    answer = searcher.search("word7", k=3)
    assert answer.release_id == store.read_channel("production").stable
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    assert answer.hits[0].doc_id == "first-7"
    assert answer.hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert all(a.score >= b.score for a, b in itertools.pairwise(answer.hits))


def test_many_queries_are_answered_in_order(searcher):
    answers = searcher.search_many([f"word{i}" for i in range(40)], k=1)
    assert [answer.hits[0].doc_id for answer in answers] == [f"first-{i}" for i in range(40)]
    assert searcher.search_many([], k=1) == []


def test_k_beyond_the_index_gives_every_document_once(searcher):
    hits = searcher.search("word1", k=10**12).hits  # which no memory holds
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


@pytest.mark.parametrize("query", ["🦆🦆", "never seen", "::"])
def test_a_query_of_unknown_signs_only_finds_nothing(searcher, query):
    assert searcher.search(query).hits == ()


def test_a_query_of_a_megabyte_is_cut_and_answered(searcher):
    assert searcher.search("word7 " * 170_000, k=1).hits[0].doc_id == "first-7"


def test_a_slice_finds_only_its_own_documents(store, first, swap, searcher, tmp_path):
    index = shutil.copytree(first.index, tmp_path / "sliced")
    ids = pq.ParquetFile(index / "segment-0000.parquet").read()
    slices = ["guide" if i % 4 == 0 else None for i in range(len(ids))]
    sliced = ids.drop_columns([n for n in ids.column_names if n == "slice"])
    pq.write_table(sliced.append_column("slice", pa.array(slices)), index / "segment-0000.parquet")
    folders = Folders(first.encoder, index, first.references, first.catalogue)
    swap(publish_folders(store, folders).release_id)
    searcher.refresh()
    assert set(found(searcher, "word7", k=100, slice="guide")) == {
        f"first-{i}" for i in range(0, 40, 4)
    }
    assert found(searcher, "word7", k=1, slice=None) == ["first-7"]
    assert found(searcher, "word7", slice="nowhere") == []


def test_vectors_may_stay_on_the_disk(store, swap, newer, tmp_path):
    with Searcher.open(store, "production", tmp_path / "cache", math.inf, mmap=True) as searcher:
        assert found(searcher, "word7", k=1) == ["first-7"]
        swap(newer)
        assert searcher.refresh()
        assert found(searcher, "word7", k=1) == ["retrained-7"]


def test_refresh_looks_at_once_and_says_whether_it_moved(searcher, swap, newer):
    assert searcher.refresh() is False
    swap(newer)
    assert found(searcher, "word7", k=1) == ["first-7"]
    assert searcher.refresh() is True
    assert searcher.release.release_id == newer


def test_what_was_deleted_before_a_rollback_stays_hidden(searcher, store, reindex):
    old = searcher.release.release_id
    cleaned = reindex(remove=frozenset({"first-7"}))
    promote(store, "production", cleaned, now=NOON, why="reindex", who="test")
    assert searcher.refresh()
    assert "first-7" not in found(searcher, "word7", k=100)
    rollback(store, "production", index=True, now=NOON, why="worse", who="test")
    assert searcher.refresh()
    assert searcher.release.release_id == old
    assert len(found(searcher, "word7", k=100)) == 39
    assert "first-7" not in found(searcher, "word7", k=100)


def test_a_mask_that_comes_or_goes_alone_is_followed_without_loading_again(
    searcher, store, swap, reindex
):
    old = searcher.release
    cleaned = reindex(remove=frozenset({"first-7"}))
    promote(store, "production", cleaned, now=NOON, why="reindex", who="test")
    rollback(store, "production", index=True, now=NOON, why="worse", who="test")
    assert searcher.refresh()
    assert searcher.release.encoder is old.encoder
    assert "first-7" not in found(searcher, "word7", k=100)
    swap(old.release_id)  # which drops the mask
    assert searcher.refresh()
    assert found(searcher, "word7", k=1) == ["first-7"]


def test_opening_on_a_damaged_release_is_refused_before_it_is_parsed(store, first, tmp_path):
    manifest = publish_folders(store, first)
    for file in (manifest.index.segments[0].vectors, manifest.encoder.files[-1]):
        damage(store, file.digest)
        with pytest.raises(IntegrityError, match=file.digest):
            Searcher.open(store, "production", tmp_path / file.path)
        publish_folders(store, first)


def test_opening_without_a_release_says_what_to_do(store, tmp_path):
    with pytest.raises(BadInput, match="perennial bootstrap"):
        Searcher.open(store, "staging", tmp_path / "cache")


@pytest.mark.parametrize("poll_seconds", [-1.0, math.nan])
def test_an_impossible_interval_is_bad_input(store, tmp_path, poll_seconds):
    with pytest.raises(BadInput, match="poll_seconds"):
        Searcher.open(store, "production", tmp_path / "cache", poll_seconds)


def test_with_a_key_only_signed_releases_come_in(store, newer, first, tmp_path):
    signed = publish_folders(store, first, key=KEY)
    promote(store, "signed", signed.release_id, now=NOON, why="", who="test", key=KEY)
    searcher = Searcher.open(store, "signed", tmp_path / "cache", math.inf, KEY)
    promote(store, "signed", newer, now=NOON, why="", who="somebody without the key")
    assert searcher.refresh() is False
    assert "not signed" in searcher.problem
    with pytest.raises(IntegrityError, match="not signed"):
        Searcher.open(store, "production", tmp_path / "cache", math.inf, KEY)


def test_a_closed_searcher_says_so(searcher):
    searcher.close()
    with pytest.raises(BadInput, match="closed"):
        searcher.search("word7")
    assert searcher.refresh() is False
    searcher.close()
