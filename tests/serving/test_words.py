"""Words answer where vectors say nothing, or with them where that is asked for; and say so."""

import math

import numpy as np
import pytest
from damage import flip
from tiny_release import fast_folder, publish_folders
from tiny_shop import Shop

from perennial.errors import IntegrityError
from perennial.release.channels.moves import read_kept
from perennial.serving.loaded import load_release
from perennial.serving.searcher import Searcher

# The encoder knows word0 to word59 and no animal.
DOCUMENTS = {
    "a": ("word1 zebra", "guide"),
    "b": ("word1 word2 lion", None),
    "c": ("word3 zebra zebra", None),
}


@pytest.fixture(scope="module")
def shop():
    with fast_folder() as place:
        shop = Shop(place, dict(DOCUMENTS))
        shop.open_with(count=5)
        yield shop


@pytest.fixture
def release(shop, tmp_path):
    return load_release(shop.store, shop.channel().stable, tmp_path / "cache")


def said(answer):
    return list(answer.doc_ids), answer.found


def test_words_answer_a_query_that_has_no_vector(release):
    unknown, known, nothing = release.search_many(["zebra", "word1", "okapi"], 2)
    assert said(unknown) == (["c", "a"], "lexical") and unknown.scores[0] > unknown.scores[1] > 0
    assert known.found == "dense" and known.scores[0] <= 1 + 1e-6
    assert said(nothing) == ([], "dense")
    assert said(release.search_many(["zebra"], 9, slice="guide")[0]) == (["a"], "lexical")


def test_words_answer_where_the_encoder_failed_on_the_query(release):
    vectors = release.embed(["word1", "zebra"])
    vectors[0, 0] = np.nan
    broken, unknown = release.find(vectors, 2, queries=["word2 lion", "zebra"])
    assert said(broken)[0][0] == "b" and broken.found == unknown.found == "lexical"
    assert said(release.find(vectors, 2)[0]) == ([], "dense")


def test_both_rankings_decide_where_that_is_asked_for(shop, tmp_path):
    with Searcher.open(shop.store, "production", tmp_path / "cache", math.inf, fuse=True) as each:
        fused, lexical = each.search_many(["word1 zebra", "zebra"], 3)
        assert said(fused)[1] == "fused" and fused.doc_ids[0] == "a"
        assert fused.scores[0] == pytest.approx(2 / 61)  # the first of both
        assert fused.scores == sorted(fused.scores, reverse=True)
        assert len(fused.doc_ids) == len(set(fused.doc_ids)) == 3
        assert said(lexical) == (["c", "a"], "lexical")


def test_what_a_mask_hides_comes_back_by_no_word(release):
    hidden = release.hiding(["c"], mask="sha256:" + "0" * 64)
    assert said(hidden.search_many(["zebra"], 3)[0]) == (["a"], "lexical")
    alone = hidden.search_many(["zebra"], 3)[0].scores[0]
    assert alone != release.search_many(["zebra"], 3)[0].scores[1]  # it counts no more either


def test_a_release_without_words_answers_as_ever(store, first, tmp_path):
    release = load_release(store, store.read_channel("production").stable, tmp_path / "cache")
    assert release.index.lexical is None
    assert said(release.search_many(["zebra"], 3)[0]) == ([], "dense")
    again = publish_folders(store, first)
    assert again.release_id == release.release_id and b"lexical" not in again.to_bytes()


def test_words_that_rotted_are_refused_before_they_are_read(tmp_path):
    with fast_folder() as place:
        shop = Shop(place)
        release_id = shop.open_with(count=3)
        words = read_kept(shop.store, release_id, key=None).index.segments[0].lexical
        name = words.digest.removeprefix("sha256:")
        flip(shop.store.root / "objects" / name[:2] / name, 200)
        with pytest.raises(IntegrityError, match=name[:12]):
            load_release(shop.store, release_id, tmp_path / "cache")


def test_a_full_build_has_the_same_words_byte_by_byte(shop):
    served, again = (
        read_kept(shop.store, each, key=None).index.segments[0].lexical
        for each in (shop.channel().stable, shop.publish_full(lineage=2))
    )
    assert served == again is not None
