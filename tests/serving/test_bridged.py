"""A bridged release answers like any other, through its map, and is swapped whole."""

import math

import numpy as np
import pytest
from tiny_bridge import TURNED, publish_bridge
from tiny_release import DIMENSION, NOON

from perennial.errors import IntegrityError
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.publish import promote, rollback
from perennial.serving.loaded import load_release
from perennial.serving.searcher import Searcher

SAID = {"now": NOON, "why": "while it is embedded again", "who": "test"}


@pytest.fixture
def bridged(store, first, tmp_path):
    stable = store.read_channel("production").stable
    champion = read_manifest(store.manifest_bytes(stable), release_id=stable)
    return publish_bridge(store, champion, first, tmp_path / "bridged")


def test_its_answers_are_those_of_the_turned_encoder(store, bridged, tmp_path):
    release = load_release(store, bridged.release_id, tmp_path / "cache")
    assert (release.encoder.dimension, release.index.dimension) == (TURNED, DIMENSION)
    champion = load_release(store, bridged.parent, tmp_path / "cache")
    words = [f"word{i}" for i in range(40)]
    for ours, theirs in zip(
        release.search_many(words, 3), champion.search_many(words, 3), strict=True
    ):
        assert [hit.doc_id for hit in ours.hits] == [hit.doc_id for hit in theirs.hits]
        assert ours.release_id == bridged.release_id
        np.testing.assert_allclose(
            [hit.score for hit in ours.hits], [hit.score for hit in theirs.hits], atol=1e-5
        )


def test_a_query_of_unknown_words_finds_nothing_through_a_map_either(store, bridged, tmp_path):
    release = load_release(store, bridged.release_id, tmp_path / "cache")
    unknown, known = release.search_many(["never seen", "word7"], 2)
    assert (len(unknown.hits), len(known.hits)) == (0, 2)


def test_a_searcher_follows_to_the_bridge_and_back(store, bridged, tmp_path):
    searcher = Searcher.open(store, "production", tmp_path / "cache", math.inf)
    old = searcher.release.release_id
    promote(store, "production", bridged.release_id, **SAID)
    assert searcher.refresh() is True
    answer = searcher.search("word7")
    assert (answer.release_id, answer.hits[0].doc_id) == (bridged.release_id, "first-7")
    rollback(store, "production", **SAID)
    assert searcher.refresh() is True
    assert searcher.search("word7").release_id == old


def test_the_index_that_both_have_is_in_memory_once(store, bridged, tmp_path):
    champion = load_release(store, bridged.parent, tmp_path / "cache")
    release = load_release(store, bridged.release_id, tmp_path / "cache", beside=champion)
    assert release.index.segments[0].rows is champion.index.segments[0].rows


def test_a_flipped_map_is_refused_before_it_is_parsed(store, bridged, tmp_path):
    digest = bridged.bridge.map.digest
    path = store.root / "objects" / digest[7:9] / digest[7:]
    path.chmod(0o644)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(IntegrityError, match=digest):
        load_release(store, bridged.release_id, tmp_path / "cache")
