"""Which evidence a retrain has answered, for how long, and beside which champion."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from small import CHECKOUT

from perennial.params.reading import load_params
from perennial.quality.drift.champion import LASTING, OF_A_WEEK
from perennial.release.watched import AskedFor, Watched
from perennial.verbs.watching.quiet import quiet_now

NOON = datetime(2026, 2, 2, 12, tzinfo=UTC)
TAKEN = "2026-02-02T11:00:00Z"  # the end of a log that a retrain took
OURS, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
PARAMS = load_params(CHECKOUT / "params.yaml")


def asked(hours_ago):
    at = (NOON - timedelta(hours=hours_ago)).isoformat().replace("+00:00", "Z")
    effects = {"novel queries": 0.3} | dict.fromkeys(LASTING, 0.2)
    return Watched(asked=AskedFor(at, at, effects, lineage=OURS))


@pytest.mark.parametrize(
    ("hours_ago", "accepted", "is_quiet"),
    [
        (2, None, True),  # it has its time
        (30, None, False),  # it never came
        (30, TAKEN, True),  # one took that log, whatever its gate said
        (30, "2026-01-30T11:00:00Z", False),  # that one was before it
        (24 * 29, TAKEN, False),  # the weeks before are others by now
        (-3, "2026-02-02T16:00:00Z", False),  # a clock that was wrong
    ],
)
def test_a_drift_is_quiet_while_a_retrain_answers_it(hours_ago, accepted, is_quiet):
    found = quiet_now(asked(hours_ago), accepted, OURS, PARAMS, now=NOON)
    assert ("novel queries" in found) is is_quiet
    assert quiet_now(Watched(), accepted, OURS, PARAMS, now=NOON) == {}


def test_what_comes_late_is_quiet_only_while_the_retrain_has_its_time():
    early, late = (
        replace(watched, asked=replace(watched.asked, latecomers={"click success": 0.1}))
        for watched in (asked(2), asked(30))
    )
    assert quiet_now(early, None, OURS, PARAMS, now=NOON)["click success"] == 0.1
    assert "click success" not in quiet_now(late, TAKEN, OURS, PARAMS, now=NOON)


def test_a_week_says_nothing_until_a_week_has_passed_since_the_retrain():
    for hours_ago, accepted in ((2, None), (30, TAKEN), (6 * 24, TAKEN)):
        found = quiet_now(asked(hours_ago), accepted, OTHER, PARAMS, now=NOON)
        assert {found[name] for name in OF_A_WEEK} == {math.inf}
    assert quiet_now(asked(30), None, OURS, PARAMS, now=NOON) == {}, "it never came"


def test_what_lasts_as_long_as_the_champion_stays_answered_until_another_serves():
    for days in (8, 60):
        rejected = quiet_now(asked(24 * days), TAKEN, OURS, PARAMS, now=NOON)
        assert {rejected[name] for name in LASTING} == {0.2}, "it has not grown"
        promoted = quiet_now(asked(24 * days), TAKEN, OTHER, PARAMS, now=NOON)
        assert not promoted.keys() & LASTING, "the other has references of its own"
