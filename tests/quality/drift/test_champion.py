"""A week of queries beside the champion's own: a drift that four weeks follow is seen from afar."""

import numpy as np
import pytest

from perennial.quality.drift.champion import LASTING, OF_A_WEEK, champion_signals
from perennial.quality.drift.hourly import Hourly
from perennial.quality.drift.queries import Asked
from perennial.quality.drift.seasons import DAY, WEEK
from perennial.quality.drift.wording import Words

FIRST = 490_992
END = FIRST + 2 * WEEK
HOURS = np.repeat(FIRST + np.arange(2 * WEEK), 10)
OLD = 200  # texts, and as many of a new topic after them


def vectors():
    rows = np.random.default_rng(0).standard_normal((2 * OLD, 12))
    rows[:OLD, 0] += 4
    rows[OLD:, 1] += 4
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


VECTORS = vectors()


def old(count, seed):
    return np.random.default_rng(seed).integers(0, OLD, count)


def some(share):
    """Which queries are of the new topic, any hour's alike."""
    return np.random.default_rng(1).random(len(HOURS)) < share


def look(is_new, *, reference=None, hours=HOURS, is_common=None, trials=None, least=1e-3):
    """The signals of two weeks, whose queries are of the new topic where told."""
    asked = Asked(
        hours=hours,
        texts=old(len(hours), seed=2) + OLD * is_new,
        slices=np.full(len(hours), None, dtype=object),
        words=Words(["word"] * len(VECTORS)),
        scripts=np.full(len(VECTORS), "LATIN", dtype=object),
        languages=lambda chosen: np.full(len(chosen), "en", dtype=object),
        vectors=lambda chosen: VECTORS[chosen],
        is_common=np.ones(len(hours), dtype=bool) if is_common is None else is_common,
    )
    known = np.arange(hours.min(), END)
    sessions = Hourly(known, np.full(len(known), 10) if trials is None else trials, {})
    kept = old(500, seed=3) if reference is None else reference
    return champion_signals(
        asked, kept, sessions=sessions, end=END, most=500, novel_share=0.05, floor=0.05,
        cloud_floor=0.1, min_queries=50, least=least, seed=1,
    )  # fmt: skip


def fires(signals):
    return {each.key for each in signals if each.p < 5e-3 and each.effect > each.floor}


def test_a_topic_that_came_since_is_seen_though_every_day_of_the_weeks_has_it():
    found = look(some(0.15))
    assert {each.key for each in found} == OF_A_WEEK < LASTING
    assert {each.about for each in found} == {"queries"}
    told = fires(found)
    assert "queries unlike the champion's" in told
    assert "query embeddings beside the champion, MMD" in told
    assert fires(look(some(0.0))) == set()


def test_a_query_that_many_ask_is_compared_as_often_as_they_do():
    (unlike, *_) = look(some(0.0), reference=np.repeat(np.arange(5), 100))
    assert unlike.effect > 0.5, "the log asks two hundred others as often"


def test_a_busy_hour_of_which_only_some_are_known_weighs_as_much_as_it_had():
    trials = np.full(2 * WEEK, 10)
    trials[-WEEK // 2 :] = 90
    (unlike, *_) = look(HOURS >= END - WEEK // 2, trials=trials)
    assert unlike.effect == pytest.approx(0.85, abs=0.06)  # nine of ten, of which 5 % are usual


def test_what_too_few_people_asked_is_compared_with_nothing():
    is_new = some(0.15)
    assert fires(look(is_new, is_common=~is_new)) == set()
    assert look(is_new, is_common=np.zeros(len(HOURS), dtype=bool)) == []


def test_nothing_is_said_before_a_week_and_beside_a_champion_that_kept_too_little():
    late = np.repeat(np.arange(END - WEEK + 1, END), 10)
    assert look(np.zeros(len(late), dtype=bool), hours=late) == []
    assert look(some(0.15), reference=np.zeros(49, dtype=np.int64)) == []


def test_a_day_of_its_own_mood_is_less_sure_a_drift_than_a_week_of_as_many():
    (a_day, *_), (a_week, *_) = look(HOURS >= END - DAY), look(some(1 / 7))
    assert a_day.effect == pytest.approx(a_week.effect, abs=0.05)
    assert a_day.p > 1e-3 > a_week.p
