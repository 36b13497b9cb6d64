"""A bridge may serve only where it finds enough, and more than the champion finds without it."""

import numpy as np
import pytest

from perennial.quality.bridged import judge_bridge
from perennial.quality.paired import bootstrap_mean, paired_difference

HOW = {"samples": 200, "confidence": 0.95, "seed": 1}


def judge(bridged: np.ndarray, champion: np.ndarray, *, min_recall: float = 0.7):
    return judge_bridge(
        recall=bootstrap_mean(bridged, **HOW),
        gain=paired_difference(bridged, champion, **HOW),
        min_recall=min_recall,
    )


def shares(mean: float, n: int = 200) -> np.ndarray:
    return np.clip(np.random.default_rng(0).normal(mean, 0.1, n), 0, 1)


def test_a_bridge_that_finds_enough_and_more_than_the_champion_may_serve():
    decision = judge(shares(0.9), shares(0.7))
    assert (decision.outcome, decision.reasons) == ("promote", ())
    assert [item.name for item in decision.evidence] == ["recall", "gain over the champion"]


def test_too_low_a_recall_is_rejected_with_its_interval():
    decision = judge(shares(0.6), shares(0.2))
    assert decision.outcome == "reject"
    assert len(decision.reasons) == 1 and "recall is 0.6" in decision.reasons[0]
    assert "200 queries), not above 0.7" in decision.reasons[0]


def test_a_bridge_that_finds_no_more_than_the_champion_is_rejected_however_much_it_finds():
    decision = judge(shares(0.9), shares(0.9) + 0.01)
    assert decision.outcome == "reject"
    assert "gain over the champion is -0.010" in decision.reasons[0]


def test_a_bound_within_the_interval_is_inconclusive():
    decision = judge(shares(0.7), shares(0.5), min_recall=float(shares(0.7).mean()))
    assert decision.outcome == "inconclusive"
    assert "may lie below" in decision.reasons[0]


@pytest.mark.parametrize("n", [0, 5])
def test_too_few_queries_tell_nothing(n):
    decision = judge(np.ones(n), np.zeros(n))
    assert decision.outcome == "inconclusive"
    assert decision.reasons == (
        f"{n} queries are too few to tell the recall.",
        f"{n} queries are too few to tell the gain over the champion.",
    )
