"""What becomes of a rollout's traffic where something dies: each session keeps its arm, or all are
on stable, and nobody is without an answer."""

from datetime import timedelta

import pytest
from tiny_release import NOON

from perennial.quality.decision import Decision
from perennial.release.rollouts.machine import Planned, ticked
from perennial.release.rollouts.moves import begin, step

STEPS = [Planned("shadow", 0.0, 0.0, 0.0, 9.0), Planned("canary", 0.5, 0.3, 1.0, 4.0)]
SESSIONS = [f"session {number}" for number in range(30)]


@pytest.fixture
def rolling(store, newer):
    """The release that half of all sessions see from now on, and for four hours."""
    said = {"now": NOON, "who": "test"}
    seen = begin(store, "production", newer, steps=STEPS, baseline=None, salt="salt", **said)
    proven = Decision("advance", ("They answer alike.",), ())
    after = ticked(seen.candidate, proven, steps=STEPS, now=NOON).candidate
    step(store, seen, after, why="proven", **said)
    return newer


def arms(served):
    """Each session's arm; everybody is answered, by the release of that arm."""
    found = {each: served.search("word7", k=1, session_id=each)[0] for each in SESSIONS}
    tags = {"stable": "first-7", "candidate": "retrained-7"}
    for result in found.values():
        assert result["hits"][0]["doc_id"] == tags[result["arm"]]
    return [result["arm"] for result in found.values()]


def test_a_store_that_is_away_moves_nobody_and_the_deadline_is_kept_without_it(
    serve, store, rolling
):
    served = serve()
    before = arms(served)
    assert set(before) == {"stable", "candidate"}
    store.root.rename(store.root.with_name("away"))
    assert not served.searcher.refresh() and served.searcher.problem is not None
    assert arms(served) == before
    served.clock.now += timedelta(hours=4)
    assert set(arms(served)) == {"stable"}


def test_a_service_that_was_killed_puts_each_session_where_it_was(serve, store, rolling):
    before = arms(serve())
    assert arms(serve()) == before, "the salt is in the channel, and nothing in the process"
    store.root.rename(store.root.with_name("away"))
    assert set(arms(serve())) == {"stable"}, "it cannot know whether the rollout still is"


def test_a_service_whose_clock_jumps_shows_the_candidate_to_nobody(serve, rolling):
    served = serve()
    assert "candidate" in arms(served)
    for jump in (timedelta(hours=-1), timedelta(days=30)):
        served.clock.now = NOON + jump
        assert set(arms(served)) == {"stable"}
    served.clock.now = NOON + timedelta(hours=1)
    assert "candidate" in arms(served)
