"""The thin canary: a fixed sample, one interval, and a rule that is said in words."""

import pytest

from perennial.quality.canary import compare_arms, judge_canary


def canary(candidate: int, stable: int, n: int = 1000, *, max_loss: float = 0.02):
    return compare_arms(
        {"stable": n, "candidate": n},
        {"stable": stable, "candidate": candidate},
        max_loss=max_loss,
        confidence=0.95,
    )


@pytest.mark.parametrize(
    ("candidate", "stable", "outcome"),
    [
        (600, 550, "advance"),  # surely better
        (550, 550, "advance"),  # equal: the interval reaches below, but the point does not
        (555, 550, "advance"),
        (500, 550, "rollback"),  # surely worse
        (540, 550, "rollback"),  # points down, and a loss of 0.02 is not excluded
    ],
)
def test_a_loss_that_is_seen_and_not_excluded_rolls_back(candidate, stable, outcome):
    assert judge_canary(canary(candidate, stable)).outcome == outcome


def test_a_small_loss_on_a_large_sample_is_no_loss_that_counts():
    decision = judge_canary(canary(54_990, 55_000, n=100_000))
    assert decision.outcome == "advance"
    (evidence,) = decision.evidence
    assert evidence.n == 200_000 and evidence.value < 0 and evidence.holds is True


def test_an_arm_without_sessions_is_not_enough_evidence():
    decision = judge_canary(canary(0, 0, n=0))
    assert decision.outcome == "inconclusive"
    assert "raise canary.sessions" in decision.reasons[0]


def test_the_difference_is_candidate_minus_stable_and_arms_keep_their_shares():
    found = canary(600, 500).to_dict()
    assert found["difference"]["value"] == pytest.approx(0.1)
    assert found["shares"]["candidate"]["value"] == pytest.approx(0.6)
    assert found["sessions"] == {"stable": 1000, "candidate": 1000}
