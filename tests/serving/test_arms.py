"""A rollout's candidate is followed beside stable, and never costs stable an answer."""

import math
from dataclasses import replace

import pytest
from damage import overwrite

from perennial.release.channels.channel import Candidate
from perennial.serving.searcher import Searcher


@pytest.fixture
def searcher(store, tmp_path):
    """One that looks at the channel only when it is told to."""
    return Searcher.open(store, "production", tmp_path / "cache", math.inf)


@pytest.fixture
def roll_out(store):
    """`roll_out(release_id, share)`: the channel has that candidate from now on; None ends it."""

    def roll_out(release_id, share=0.5, stable=None):
        current = store.read_channel("production")
        candidate = release_id and Candidate(
            release_id, "canary", share, "salt", "2026-01-06T00:00:00Z"
        )
        after = replace(
            current,
            generation=current.generation + 1,
            write_id=f"{current.generation + 1:032x}",
            stable=stable or current.stable,
            candidate=candidate,
        )
        store.compare_and_swap("production", current, after.signed(None))

    return roll_out


def best(searcher, arm):
    return searcher.search_many(["word7"], 1, arm=arm)[0].hits[0].doc_id


def test_each_arm_is_answered_by_its_own_release(searcher, roll_out, newer):
    assert best(searcher, "candidate") == "first-7"  # there is none
    roll_out(newer)
    assert searcher.refresh()
    assert best(searcher, "stable") == "first-7"
    assert best(searcher, "candidate") == "retrained-7"
    assert searcher.serving.rollout.share == 0.5


def test_a_share_that_grows_loads_nothing_anew(searcher, roll_out, newer):
    roll_out(newer, 0.01)
    searcher.refresh()
    before = searcher.serving.candidate
    roll_out(newer, 0.1)
    assert not searcher.refresh()
    assert searcher.serving.candidate is before
    assert searcher.serving.rollout.share == 0.1


def test_a_promoted_candidate_is_not_loaded_a_second_time(searcher, roll_out, newer):
    roll_out(newer)
    searcher.refresh()
    candidate = searcher.serving.candidate
    roll_out(None, stable=newer)
    assert searcher.refresh()
    assert searcher.serving.stable is candidate
    assert searcher.serving.candidate is None


def test_after_a_rollback_everybody_is_on_stable(searcher, roll_out, newer):
    roll_out(newer)
    searcher.refresh()
    roll_out(None)
    assert searcher.refresh()
    assert best(searcher, "candidate") == "first-7"


def test_a_candidate_that_is_damaged_leaves_all_to_stable_and_says_so(
    searcher, store, roll_out, newer
):
    from perennial.release.manifests.manifest import read_manifest

    manifest = read_manifest(store.manifest_bytes(newer), release_id=newer)
    (digest,) = (f.digest for f in manifest.encoder.files if f.path == "model.safetensors")
    path = store.root / "objects" / digest[7:9] / digest[7:]
    overwrite(path, path.read_bytes()[:-1] + b"\0")
    roll_out(newer)
    assert not searcher.refresh()
    assert best(searcher, "candidate") == "first-7"
    assert digest in searcher.problem
    roll_out(None)
    searcher.refresh()
    assert searcher.problem is None


def test_a_new_searcher_has_the_candidate_at_once(store, roll_out, newer, tmp_path):
    roll_out(newer)
    searcher = Searcher.open(store, "production", tmp_path / "cache", math.inf)
    assert best(searcher, "candidate") == "retrained-7"
    assert newer in searcher._follower._source.cache.releases()
