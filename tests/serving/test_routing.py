"""Which arm a session is on: sticky, even, only ever growing, and stable past the deadline."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.release.channels.channel import Candidate, Step
from perennial.release.manifests.canonical import utc_text
from perennial.serving.routing import arm_of, live_share

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
SESSIONS = [f"s-{i}" for i in range(20_000)]


def candidate(**changes):
    known = {"release_id": "rel-000000000000", "stage": "canary", "share": 0.1, "salt": "salt"}
    return Candidate(**known | {"deadline": utc_text(NOON)} | changes)


@given(session=st.text(), salt=st.text(), less=st.floats(0, 1), more=st.floats(0, 1))
def test_a_share_that_grows_takes_no_session_off_the_candidate(session, salt, less, more):
    less, more = sorted((less, more))
    if arm_of(session, salt=salt, share=less) == "candidate":
        assert arm_of(session, salt=salt, share=more) == "candidate"
    assert arm_of(session, salt=salt, share=0.0) == "stable"
    assert arm_of(session, salt=salt, share=1.0) == "candidate"


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_so_many_sessions_are_on_the_candidate_as_the_share_says(share):
    found = sum(arm_of(each, salt="a", share=share) == "candidate" for each in SESSIONS)
    deviation = (len(SESSIONS) * share * (1 - share)) ** 0.5
    assert abs(found - len(SESSIONS) * share) < 4 * deviation


def test_another_salt_draws_anew():
    one, other = (
        [arm_of(each, salt=salt, share=0.5) == "candidate" for each in SESSIONS]
        for salt in ("a", "b")
    )
    both = sum(a and b for a, b in zip(one, other, strict=True))
    assert abs(both / len(SESSIONS) - 0.25) < 0.02


def test_past_the_deadline_everybody_is_on_stable():
    before, after = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
    assert live_share(candidate(), before) == 0.1
    assert live_share(candidate(stage="interleave"), before) == 0.1
    assert live_share(candidate(), NOON) == live_share(candidate(), after) == 0.0


@pytest.mark.parametrize(
    "none",
    [
        None,
        candidate(stage="shadow"),
        candidate(deadline=None),
        candidate(deadline="soon"),
        candidate(deadline="2027-01-01T00:00:00"),
    ],
)
def test_nothing_but_a_candidate_with_a_deadline_gets_traffic(none):
    assert live_share(none, NOON - timedelta(days=1)) == 0.0


def test_a_clock_that_was_set_back_prolongs_nothing():
    since = utc_text(NOON - timedelta(hours=2))
    begun = candidate(steps=(Step("canary", 0.1, since),))
    assert live_share(begun, NOON - timedelta(hours=1)) == 0.1
    assert live_share(begun, NOON - timedelta(hours=2, minutes=4)) == 0.1, "clocks differ a little"
    assert live_share(begun, NOON - timedelta(hours=3)) == 0.0
