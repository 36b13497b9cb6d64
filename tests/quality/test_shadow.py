"""Shadow: what two releases answered, compared and judged without knowing which one is right."""

import numpy as np
import pytest

from perennial.quality.shadow import compare_answers, judge_shadow

QUERIES = [f"query {i}" for i in range(40)]
SAME = np.array([[f"d{i}-{j}" for j in range(10)] for i in range(40)], dtype=object)
OTHER = np.array([[f"e{i}-{j}" for j in range(10)] for i in range(40)], dtype=object)


def shadow(candidate: np.ndarray = SAME, *, slower: float = 1.0, queries: int = 40):
    milliseconds = np.random.default_rng(0).uniform(1, 2, 40)
    return compare_answers(
        QUERIES[:queries],
        champion=SAME[:queries],
        candidate=candidate[:queries],
        champion_ms=milliseconds[:queries],
        candidate_ms=slower * milliseconds[:queries],
        persistence=0.9,
        examples=3,
        samples=200,
        confidence=0.95,
        seed=1,
    )


def judged(found):
    return judge_shadow(found, min_overlap=0.2, max_latency_ratio=2.0)


def test_equal_answers_at_equal_speed_advance():
    found = shadow()
    assert found.overlap.value == 1.0 and found.most_different == ()
    assert found.latency_ratio.value == pytest.approx(1.0)
    assert judged(found).outcome == "advance"


def test_answers_that_share_nothing_need_a_person():
    decision = judged(shadow(OTHER))
    assert decision.outcome == "inconclusive"
    assert "a person should look" in decision.reasons[0]


def test_a_candidate_that_is_surely_too_slow_is_rejected_whatever_it_answers():
    found = shadow(slower=3.0)
    assert found.latency_ratio.value == pytest.approx(3.0)
    assert judged(found).outcome == "reject"


def test_too_few_queries_are_not_enough_evidence():
    assert judged(shadow(queries=3)).outcome == "inconclusive"
    assert judged(shadow(queries=0)).outcome == "inconclusive"


def test_the_most_different_answers_are_shown_with_both_lists():
    mixed = SAME.copy()
    mixed[7] = OTHER[7]
    mixed[9] = SAME[9, ::-1]
    mixed[9, 5:] = None
    first, second = shadow(mixed).most_different
    assert first["query"] == "query 7" and first["overlap"] == 0.0
    assert first["champion"] == list(SAME[7]) and first["candidate"] == list(OTHER[7])
    assert second["query"] == "query 9" and len(second["candidate"]) == 5
