"""Shadow: what two releases answered, compared and judged without knowing which one is right."""

import numpy as np
import pytest

from perennial.quality.alike import compare_answers
from perennial.quality.counterfactual import Clicks
from perennial.quality.paired import Interval
from perennial.quality.shadow import Shadow, judge_shadow

QUERIES = [f"query {i}" for i in range(40)]
SAME = np.array([[f"d{i}-{j}" for j in range(10)] for i in range(40)], dtype=object)
OTHER = np.array([[f"e{i}-{j}" for j in range(10)] for i in range(40)], dtype=object)
SCORES = np.linspace(0.9, 0.5, 10) + np.linspace(0, 0.2, 40)[:, None]
NOTHING = np.full((40, 10), None, dtype=object)
KNOWN = Interval(1.0, 0.9, 1.1, 40)


def shadow(
    candidate: np.ndarray = SAME,
    *,
    slower: float = 1.0,
    queries: int = 40,
    scores: np.ndarray = SCORES,
    measured: int = 40,
):
    milliseconds = np.random.default_rng(0).uniform(1, 2, 40)
    milliseconds[measured:] = np.nan
    return compare_answers(
        QUERIES[:queries],
        champion=SAME[:queries],
        candidate=candidate[:queries],
        champion_scores=SCORES[:queries],
        candidate_scores=scores[:queries],
        champion_ms=milliseconds[:queries],
        candidate_ms=slower * milliseconds[:queries],
        persistence=0.9,
        examples=3,
        samples=200,
        confidence=0.95,
        seed=1,
    )


def judged(found, **changes):
    parts = {"by_frequency": {}, "mirrored": None, "counts": {}, "clicks": ()} | changes
    return judge_shadow(
        Shadow(replayed=found, **parts),
        min_overlap=0.2,
        max_latency_ratio=2.0,
        max_zero_results=0.1,
        max_failed_share=0.05,
        max_click_loss=0.1,
        min_mirrored=30,
        confidence=0.95,
    )


def counts(*, failed: int = 0, dropped: int = 0):
    offered = 40 + failed + dropped
    return {
        "offered": offered,
        "dropped": dropped,
        "failed": failed,
        "compared": 40,
        "lost": 0,
    }


def clicks(low: float, high: float, *, silent: str | None = None):
    sides = {"champion": KNOWN, "candidate": KNOWN}
    change = Interval((low + high) / 2, low, high, 40)
    return Clicks("by place", 40, 4, 40.0, KNOWN, sides, sides, KNOWN, change, silent)


def evidence(decision) -> dict[str, bool | None]:
    return {item.name: item.holds for item in decision.evidence}


def test_equal_answers_at_equal_speed_advance():
    found = shadow()
    assert found.overlap.value == 1.0 and found.most_different == ()
    assert found.latency_ratio.value == pytest.approx(1.0)
    assert found.score_shift.value == found.score_shift_sd == 0.0
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


def test_a_candidate_that_surely_leaves_more_queries_without_an_answer_is_rejected():
    empty = np.where(np.arange(40)[:, None] < 20, NOTHING, SAME)
    scores = np.where(np.arange(40)[:, None] < 20, np.nan, SCORES)
    found = shadow(empty, scores=scores)
    assert found.zero_results["champion"].value == 0.0
    assert found.zero_results["candidate"].value == 0.5
    difference = found.zero_results["difference"]
    assert 0.3 < difference.low < 0.5 < difference.high < 0.7
    decision = judged(found)
    assert decision.outcome == "reject" and "without an answer" in decision.reasons[0]
    assert found.score_shift.n == 20, "scores are compared where both answer"


def test_two_that_never_answer_are_alike_and_have_no_score():
    found = compare_answers(
        QUERIES, champion=NOTHING, candidate=NOTHING,
        champion_scores=np.full((40, 10), np.nan), candidate_scores=np.full((40, 10), np.nan),
        champion_ms=np.ones(40), candidate_ms=np.ones(40), persistence=0.9, examples=3,
        samples=200, confidence=0.95, seed=1,
    )  # fmt: skip
    assert found.overlap.value == found.zero_results["candidate"].value == 1.0
    assert found.score_shift.value is None and found.score_shift_sd is None


def test_a_shift_of_scores_is_told_also_in_the_champions_spread():
    found = shadow(scores=SCORES + 0.1)
    assert found.score_shift.low == pytest.approx(0.1)
    assert found.score_shift.high == pytest.approx(0.1)
    assert found.score_shift_sd == pytest.approx(0.1 / SCORES.mean(axis=1).std())


def test_latencies_that_were_not_measured_are_left_out():
    found = shadow(slower=1.5, measured=12)
    assert found.latency_ratio.n == 12
    assert found.latency_ratio.value == pytest.approx(1.5)


def test_live_queries_are_judged_beside_the_logged_ones():
    alone = judged(shadow())
    both = judged(shadow(), mirrored=shadow(OTHER), counts=counts(dropped=7))
    assert evidence(alone)["overlap@10"] and evidence(both)["overlap@10"]
    assert evidence(both)["overlap@10, mirrored"] is False
    assert both.outcome == "inconclusive" and "live queries" in both.reasons[0]
    assert "dropped 7 of 47" in both.reasons[-1]
    slow = judged(shadow(), mirrored=shadow(slower=3.0), counts=counts())
    assert slow.outcome == "reject"


def test_fewer_live_queries_than_wanted_are_waited_for():
    few = judged(shadow(), mirrored=shadow(queries=20), counts=counts())
    assert few.outcome == "inconclusive" and "wait" in few.reasons[0]
    assert judged(shadow(), mirrored=shadow(), counts=counts()).outcome == "advance"


def test_a_candidate_that_surely_fails_on_live_queries_is_rejected():
    some = judged(shadow(), mirrored=shadow(), counts=counts(failed=1))
    assert evidence(some)["failures, mirrored"] and some.outcome == "advance"
    many = judged(shadow(), mirrored=shadow(), counts=counts(failed=20))
    assert many.outcome == "reject" and "fails on" in many.reasons[0]
    none = judged(shadow(), mirrored=shadow(queries=0), counts=counts(failed=90) | {"compared": 0})
    assert none.outcome == "reject", "nothing but failures is no lack of evidence"


def test_clicks_that_are_surely_lost_need_a_person_and_silent_ones_are_said():
    assert judged(shadow(), clicks=(clicks(-0.2, -0.05),)).outcome == "advance"
    lost = judged(shadow(), clicks=(clicks(-0.3, -0.2),))
    assert lost.outcome == "inconclusive" and "foretell" in lost.reasons[0]
    silent = judged(shadow(), clicks=(clicks(-0.3, -0.2, silent="Nobody clicked."),))
    assert silent.outcome == "advance" and silent.reasons[-1] == "Nobody clicked."
    assert "clicks by place" not in evidence(silent)
