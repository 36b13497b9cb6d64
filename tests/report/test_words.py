"""Numbers and outcomes in words."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from perennial.quality.decision import OUTCOMES
from perennial.report import words


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, True, "text"])
def test_what_is_no_number_is_a_dash(unknown):
    for say in (words.number, words.signed, words.percent, words.count):
        assert say(unknown) == words.MISSING
    assert words.interval({"low": unknown, "high": 1.0}) == "no interval"


def test_a_difference_always_shows_its_sign_and_zero_is_not_negative():
    assert words.signed(0.0641) == "+0.064"
    assert words.signed(-0.0641) == "\N{MINUS SIGN}0.064"
    assert words.signed(-0.0001) == "+0.000"


def test_times_are_said_in_utc_and_long_ones_in_minutes():
    east = timezone(timedelta(hours=2))
    assert words.moment(datetime(2026, 11, 21, 2, 35, tzinfo=east)) == "21 November 2026, 00:35 UTC"
    assert words.moment(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2 January 2026, 03:04 UTC"
    assert [words.duration(s) for s in (0.416, 12.34, 59.97, 185.2)] == [
        "0.42 s",
        "12.3 s",
        "1 min 00 s",
        "3 min 05 s",
    ]


def test_every_outcome_of_a_decision_has_words_and_a_tone():
    assert set(words.OUTCOMES) == set(OUTCOMES)
    assert {tone for _, _, tone in words.OUTCOMES.values()} == {"good", "bad", "open"}


def test_the_deciding_metric_is_the_first_that_was_compared():
    comparison = {"differences": {"candidate-champion": {"map": {}, "ndcg@10": {}, "own@5": {}}}}
    assert words.metrics_of(comparison) == ["ndcg@10", "map", "own@5"]
    decision = {"evidence": [{"name": "queries"}, {"name": "map"}, {"name": "ndcg@10"}]}
    assert words.gate_metric(decision, comparison) == "map"
    assert words.gate_metric({"evidence": []}, comparison) == "ndcg@10"
